//! `cargo run --release -p bench`: measures, counts, and prints the figures as tables.

use std::path::PathBuf;

use anyhow::Result;
use bench::bare::Bare;
use bench::bench::Bench;
use bench::cores::Cores;
use bench::table::Table;
use bench::{progress, rates};
use clap::{Parser, Subcommand, ValueEnum};

/// Measures DocIntell Webhooks: the real bootstraps, pinned to a processor of their own.
#[derive(Parser)]
struct Arguments {
    /// What to measure; everything, if nothing is named
    sections: Vec<Section>,
    /// The headline figures only
    #[arg(long)]
    quick: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Measure the bootstraps `api`, `fanout` and `sender` in this folder instead of building them
    #[arg(long)]
    bootstraps: Option<PathBuf>,
    #[command(subcommand)]
    role: Option<Role>,
}

/// What this program is when it measures itself.
#[derive(Subcommand)]
enum Role {
    /// The loop of posts that the sender is compared with
    #[command(hide = true)]
    Bare(Bare),
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Section {
    /// Deliveries a second and processor time of each
    Rates,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if let Some(Role::Bare(bare)) = &arguments.role {
        return bare.work();
    }
    let cores = Cores::choose()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let tables = runtime.block_on(measure(&arguments, cores))?;
    progress::end();
    for table in &tables {
        println!("{table}");
    }
    Ok(())
}

async fn measure(arguments: &Arguments, cores: Cores) -> Result<Vec<Table>> {
    let bench =
        Bench::prepare(arguments.bootstraps.as_deref(), Some(cores), arguments.quick).await?;
    cores.stay()?;
    // The servers' processor never sleeps: to wake a virtual one costs whoever does it tens of
    // microseconds, which would be counted as the sender's.
    let awake = tokio::spawn(async {
        loop {
            tokio::task::yield_now().await;
        }
    });
    let tables = rates::tables(&bench).await;
    awake.abort();
    tables
}
