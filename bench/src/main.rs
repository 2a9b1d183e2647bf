//! `cargo run --release -p bench`: measures the real bootstraps and prints the figures as Markdown tables.

mod alternatives;
mod bare;
mod cost;
mod document;
mod functions;
mod guard;
mod head;
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
    /// What to measure; everything, if nothing is named
    sections: Vec<Section>,
    /// The headline figures, with fewer repetitions
    #[arg(long)]
    quick: bool,
    /// Write the tables of a whole run into docs/PERFORMANCE.md too
    #[arg(long, conflicts_with_all = ["sections", "quick"])]
    write: bool,
    /// Measure the bootstraps `api`, `fanout` and `sender` in this folder instead of building them
    #[arg(long)]
    bootstraps: Option<PathBuf>,
}

/// The arguments with which the benchmark starts itself as the loop that the sender is compared with.
#[derive(Debug, Parser)]
struct Role {
    #[command(flatten)]
    bare: Bare,
}

/// One question each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Section {
    /// Deliveries a second and processor time of each
    Rates,
    /// Init, first invocation, first HTTPS call, size of the bootstraps
    Start,
    /// Memory of the sender after many deliveries
    Memory,
    /// Requests a second of the api function, deliveries queued by fanout
    Functions,
    /// What the guard against hostile endpoints costs
    Guard,
    /// What deliveries cost on AWS, by counted requests and list prices
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
        // Before this program keeps to one of the processors, which the head counts.
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

    /// What is to be measured, each once and in the order of the report.
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
        // The servers' processor must not sleep: waking a virtual one takes tens of microseconds, which would
        // be counted as the function's. Where the function shares it, it has better things to do.
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
    fn without_named_sections_everything_is_measured() {
        assert_eq!(parse(&["--quick"]).unwrap().sections(), Section::value_variants());
    }

    #[test]
    fn sections_come_in_the_order_of_the_report() {
        let named = parse(&["memory", "rates", "memory"]).unwrap().sections();
        assert_eq!(named, [Section::Rates, Section::Memory]);
    }

    #[test]
    fn only_a_whole_run_is_written_into_the_document() {
        assert!(parse(&["--write"]).is_ok());
        assert!(parse(&["--write", "rates"]).is_err());
        assert!(parse(&["--write", "--quick"]).is_err());
    }

    #[test]
    fn the_role_of_the_bare_loop_is_not_offered() {
        assert!(!Arguments::command().render_long_help().to_string().contains("bare"));
    }
}
