//! What each operation asks of AWS when a tenant has more webhooks, when there are more tenants, and when the
//! log is longer.
//!
//! [`world`] asks the real functions, [`limit`] says what may grow. The rule: nothing may grow faster than its
//! input, or the section fails.

pub mod limit;
pub mod world;

use anyhow::{Result, bail};

use crate::bench::Bench;
use crate::table::{Cell, Table};
use limit::{Figures, Limit, NAMES};
use world::{TASKS, Task, World};

/// What there is more and more of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dimension {
    /// Webhooks of the tenant in question.
    Webhooks,
    /// Tenants, with a webhook and an API key each.
    Tenants,
    /// Deliveries in the log.
    Log,
}

/// How much of it there is.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    of: [usize; 3],
    columns: [&'static str; 13],
}

macro_rules! sizes {
    ($small:literal, $middle:literal, $large:literal) => {
        Sizes {
            of: [$small, $middle, $large],
            columns: [
                "operation",
                concat!("requests: ", $small),
                concat!($middle),
                concat!($large),
                concat!("bytes: ", $small),
                concat!($middle),
                concat!($large),
                concat!("read units: ", $small),
                concat!($middle),
                concat!($large),
                concat!("write units: ", $small),
                concat!($middle),
                concat!($large),
            ],
        }
    };
}

/// Every dimension, for a whole run.
const WHOLE: [(Dimension, Sizes); 3] = [
    (Dimension::Webhooks, sizes!(1, 10, 50)),
    (Dimension::Tenants, sizes!(1, 100, 10_000)),
    (Dimension::Log, sizes!(10, 1000, 100_000)),
];

/// The same, for a run that is to be quick.
const QUICK: [(Dimension, Sizes); 3] = [
    (Dimension::Webhooks, sizes!(1, 10, 50)),
    (Dimension::Tenants, sizes!(1, 100, 1000)),
    (Dimension::Log, sizes!(10, 1000, 10_000)),
];

/// The smallest sizes at which growth would show.
pub const SMALL: [(Dimension, Sizes); 3] = [
    (Dimension::Webhooks, sizes!(1, 10, 50)),
    (Dimension::Tenants, sizes!(1, 10, 30)),
    (Dimension::Log, sizes!(10, 30, 100)),
];

/// Counts everything, and fails where something grows too fast.
pub async fn tables(bench: &Bench) -> Result<Vec<Table>> {
    let dimensions = if bench.quick { QUICK } else { WHOLE };
    let mut tables = Vec::new();
    for (dimension, sizes) in dimensions {
        tables.push(dimension.table(bench, sizes).await?);
    }
    Ok(tables)
}

impl Dimension {
    /// What every operation asks for at each size; an error where that grows too fast.
    pub async fn table(self, bench: &Bench, sizes: Sizes) -> Result<Table> {
        let mut figures: Vec<Vec<Figures>> = TASKS.iter().map(|_| Vec::new()).collect();
        for size in sizes.of {
            crate::progress::say(format_args!("growth: {size} {}", self.name()));
            let (webhooks, tenants, logged) = match self {
                Self::Webhooks => (size, 1, 0),
                Self::Tenants => (1, size, 0),
                Self::Log => (1, 1, size),
            };
            let mut world = World::with(bench, webhooks, tenants).await?;
            world.fill_log(logged).await?;
            for (task, figures) in TASKS.into_iter().zip(&mut figures) {
                figures.push(Figures::of(&world.ask(task).await?));
            }
        }
        let mut table = Table::new(self.title(), &sizes.columns);
        for (task, figures) in TASKS.into_iter().zip(&figures) {
            if let Some(words) = self.limit(task).broken_by(&sizes.of, figures) {
                bail!("{}: {words} {}", task.name(), self.name());
            }
            let by_figure = (0..NAMES.len()).flat_map(|at| figures.iter().map(move |it| it.0[at]));
            table.row(std::iter::once(Cell::text(task.name())).chain(by_figure.map(Cell::count)));
        }
        table.note(self.note());
        Ok(table)
    }

    /// How a task may grow with it.
    fn limit(self, task: Task) -> Limit {
        match (self, task) {
            (Self::Webhooks, Task::Api("list", ..)) => Limit::Bytes,
            (Self::Webhooks, Task::JobChange) => Limit::Batches,
            _ => Limit::Flat,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Webhooks => "webhooks of the tenant",
            Self::Tenants => "tenants",
            Self::Log => "deliveries in the log",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Webhooks => "Requests to AWS by the webhooks that the tenant has",
            Self::Tenants => "Requests to AWS by the tenants that there are",
            Self::Log => "Requests to AWS by the deliveries that are in the log",
        }
    }

    fn note(self) -> &'static str {
        match self {
            Self::Webhooks => {
                "Each operation once, by functions that have done it before; bytes of requests and answers together. \
                 A list is one read of the tenant's rows whichever page is asked for, and a job's change one read and \
                 a request to the queue for every ten webhooks."
            }
            Self::Tenants => {
                "Each tenant has a webhook and an API key, and the sender has delivered to every one of them before."
            }
            Self::Log => {
                "The log was filled by deliveries of the real sender. No function ever reads it, and what DynamoDB \
                 charges for a write does not depend on the table's size."
            }
        }
    }
}
