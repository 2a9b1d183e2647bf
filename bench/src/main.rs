//! `cargo run --release -p bench`: measures, counts, and prints the figures as tables.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, Result};
use bench::alternatives::Alternative;
use bench::bare::Bare;
use bench::bench::Bench;
use bench::report::Report;
use bench::table::Table;
use bench::{
    alternatives, cost, functions, growth, guard, interim, memory, neighbours, progress, rates,
    start,
};
use clap::{Parser, ValueEnum};
use harness::Cores;

/// Measures DocIntell Webhooks: the real bootstraps, pinned to a processor of their own.
#[derive(Debug, Parser)]
#[command(name = "bench")]
struct Arguments {
    /// What to measure; everything, if nothing is named
    sections: Vec<Section>,
    /// The headline figures, with fewer repetitions
    #[arg(long)]
    quick: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    /// Measure the bootstraps `api`, `fanout` and `sender` in this folder instead of building them
    #[arg(long)]
    bootstraps: Option<PathBuf>,
}

/// What this program is when it measures itself: the loop of posts that the sender is compared with.
#[derive(Debug, Parser)]
struct Role {
    #[command(flatten)]
    bare: Bare,
}

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
    /// A delivery beside endpoints that never end an answer, on little processor
    Interim,
    /// What a million deliveries cost on AWS, by counted requests
    Cost,
    /// What each operation asks of AWS as an account grows
    Growth,
    /// A quiet webhook beside a flood and one that hangs: a model
    Neighbours,
    /// The same sender in Node and in Python
    Alternatives,
}

fn main() -> ExitCode {
    let done = match std::env::args().nth(1).as_deref() {
        Some("bare") => Role::parse_from(std::env::args().skip(1)).bare.work(),
        _ => run(&Arguments::parse()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    let cores = Cores::choose()?;
    let report = Report::begin(cores);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(arguments.measure(cores, report))
}

impl Arguments {
    /// What is to be measured, each once and in the order in which it is reported.
    fn sections(&self) -> Vec<Section> {
        let all = Section::value_variants().iter().copied();
        all.filter(|it| self.sections.is_empty() || self.sections.contains(it)).collect()
    }

    async fn measure(&self, cores: Cores, mut report: Report) -> Result<()> {
        let bench = Bench::prepare(self.bootstraps.as_deref(), Some(cores), self.quick).await?;
        let mut others = Vec::new();
        if self.sections().contains(&Section::Alternatives) {
            others = alternatives::install().await;
        }
        cores.stay()?;
        let begun = Instant::now();
        if !self.json {
            println!("{report}");
        }
        for section in self.sections() {
            let begun = Instant::now();
            let name = format!("{section:?}").to_lowercase();
            let tables = section.measure(&bench, &mut others).await;
            let tables = tables.with_context(|| format!("cannot measure {name}"))?;
            progress::done(format_args!("{name} ({:.1} s)", begun.elapsed().as_secs_f64()));
            if self.json {
                report.tables.extend(tables);
            } else {
                for table in tables {
                    println!("{table}");
                }
            }
        }
        if self.json {
            println!("{}", serde_json::to_string_pretty(&report)?);
        }
        progress::done(format_args!("everything ({:.1} s)", begun.elapsed().as_secs_f64()));
        Ok(())
    }
}

impl Section {
    /// Whether it is about time, and not about what is asked for.
    fn is_timed(self) -> bool {
        !matches!(self, Self::Cost | Self::Growth | Self::Interim | Self::Neighbours)
    }

    async fn measure(self, bench: &Bench, others: &mut [Alternative]) -> Result<Vec<Table>> {
        // The servers' processor never sleeps: to wake a virtual one costs whoever does it tens of
        // microseconds, which would be counted as the function's. Where it is the function's too, it has
        // better things to do.
        let is_apart = bench.cores.is_some_and(Cores::are_apart);
        let awake = (self.is_timed() && is_apart).then(|| {
            tokio::spawn(async {
                loop {
                    tokio::task::yield_now().await;
                }
            })
        });
        let tables = match self {
            Self::Rates => rates::tables(bench).await,
            Self::Start => start::tables(bench).await,
            Self::Memory => memory::tables(bench).await,
            Self::Functions => functions::tables(bench).await,
            Self::Guard => guard::tables(bench).await,
            Self::Interim => interim::tables(bench).await,
            Self::Cost => cost::tables(bench).await,
            Self::Growth => growth::tables(bench).await,
            Self::Neighbours => Ok(neighbours::tables()),
            Self::Alternatives => alternatives::tables(bench, others).await,
        };
        if let Some(awake) = awake {
            awake.abort();
        }
        tables
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn sections(arguments: &[&str]) -> Vec<Section> {
        let line = ["bench"].iter().chain(arguments);
        Arguments::try_parse_from(line).unwrap().sections()
    }

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
        Role::command().debug_assert();
    }

    #[test]
    fn nothing_named_is_everything() {
        assert_eq!(sections(&["--quick"]), Section::value_variants());
    }

    #[test]
    fn sections_come_in_the_reports_order() {
        let named = sections(&["memory", "rates", "--json", "memory"]);
        assert_eq!(named, [Section::Rates, Section::Memory]);
    }

    #[test]
    fn the_role_of_the_bare_loop_is_not_offered() {
        assert!(!Arguments::command().render_long_help().to_string().contains("bare"));
    }
}
