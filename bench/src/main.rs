//! `cargo run --release -p bench`: measures the real bootstraps and prints the figures as Markdown tables.

mod alternatives;
mod bare;
mod cost;
mod document;
mod functions;
mod guard;
mod head;
mod log;
mod memory;
mod progress;
mod rates;
mod setup;
mod start;
mod table;
mod template;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, Result};
use clap::{Parser, ValueEnum};
use harness::Cores;

use bare::Bare;
use setup::Bench;

/// Measures DocIntell Webhooks: the real bootstraps, pinned to a processor of their own.
#[derive(Debug, Parser)]
#[command(name = "bench")]
struct Arguments {
    /// What to measure; everything if omitted
    sections: Vec<Section>,
    /// Measure only the headline figures, with fewer repetitions
    #[arg(long)]
    quick: bool,
    /// Also write the tables of a full run into docs/PERFORMANCE.md
    #[arg(long, conflicts_with_all = ["sections", "quick"])]
    write: bool,
    /// Measure the bootstraps `api`, `fanout`, `sender` and `replay` in this folder instead of building them
    #[arg(long)]
    bootstraps: Option<PathBuf>,
}

/// The arguments that the benchmark passes to itself to run the bare loop.
#[derive(Debug, Parser)]
struct Role {
    #[command(flatten)]
    bare: Bare,
}

/// Each section answers one question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Section {
    /// Deliveries per second and processor time of each
    Rates,
    /// Init, first invocation and first HTTPS call; size of the bootstraps
    Start,
    /// Memory of the sender after many deliveries
    Memory,
    /// Requests per second of the api function, deliveries per second queued by fanout
    Functions,
    /// What a list of deliveries reads as the delivery log grows
    Log,
    /// Cost of the guard against hostile endpoints
    Guard,
    /// Cost of deliveries on AWS, from counted requests and list prices
    Cost,
    /// The same sender in Node and in Python
    Alternatives,
}

fn main() -> ExitCode {
    let done = match std::env::args().nth(1).as_deref() {
        Some("bare") => Role::parse_from(std::env::args().skip(1)).bare.work(),
        _ => Arguments::parse().run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

impl Arguments {
    fn run(&self) -> Result<()> {
        let cores = Cores::choose()?;
        // Counts the processors before this program pins itself to one.
        let head = head::text(cores);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(self.measure(cores, &head))
    }

    async fn measure(&self, cores: Cores, head: &str) -> Result<()> {
        let mut bench = Bench::prepare(self.bootstraps.as_deref(), cores, self.quick).await?;
        let sections = self.sections();
        if sections.contains(&Section::Alternatives) {
            bench.alternatives = alternatives::install().await;
        }
        cores.stay()?;

        let begun = Instant::now();
        println!("{head}");
        let mut report = head.to_owned();
        for section in sections {
            let (name, begun) = (section.name(), Instant::now());
            let text = section.measure(&bench).await;
            let text = text.with_context(|| format!("cannot measure {name}"))?;
            progress::done(format_args!("{name} ({:.1} s)", begun.elapsed().as_secs_f64()));
            println!("{text}");
            report = format!("{report}\n{text}");
        }
        progress::done(format_args!("everything ({:.1} s)", begun.elapsed().as_secs_f64()));
        if self.write { document::write(&report) } else { Ok(()) }
    }

    /// The sections to measure, each once and in report order.
    fn sections(&self) -> Vec<Section> {
        let all = Section::value_variants().iter().copied();
        all.filter(|it| self.sections.is_empty() || self.sections.contains(it)).collect()
    }
}

impl Section {
    fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }

    async fn measure(self, bench: &Bench) -> Result<String> {
        // Keeps the servers' processor awake: waking a virtual processor takes tens of microseconds, which
        // would count as the function's time. Not done if the function shares the processor.
        let busy = bench.cores.are_apart().then(|| {
            tokio::spawn(async {
                loop {
                    tokio::task::yield_now().await;
                }
            })
        });
        let text = match self {
            Self::Rates => rates::measure(bench).await,
            Self::Start => start::measure(bench).await,
            Self::Memory => memory::measure(bench).await,
            Self::Functions => functions::measure(bench).await,
            Self::Log => log::measure(bench).await,
            Self::Guard => guard::measure(bench).await,
            Self::Cost => cost::measure(bench).await,
            Self::Alternatives => alternatives::measure(bench).await,
        };
        if let Some(busy) = busy {
            busy.abort();
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn parse(arguments: &[&str]) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from(["bench"].iter().chain(arguments))
    }

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
        Role::command().debug_assert();
    }

    #[test]
    fn everything_is_measured_without_arguments() {
        assert_eq!(parse(&["--quick"]).unwrap().sections(), Section::value_variants());
    }

    #[test]
    fn sections_come_in_the_order_of_the_report() {
        let named = parse(&["memory", "rates", "memory"]).unwrap().sections();
        assert_eq!(named, [Section::Rates, Section::Memory]);
    }

    #[test]
    fn only_a_full_run_is_written_into_the_document() {
        assert!(parse(&["--write"]).is_ok());
        assert!(parse(&["--write", "rates"]).is_err());
        assert!(parse(&["--write", "--quick"]).is_err());
    }

    #[test]
    fn the_help_does_not_mention_the_bare_loop() {
        assert!(!Arguments::command().render_long_help().to_string().contains("bare"));
    }
}
