//! How each operation's AWS usage grows with a tenant's webhooks, with the tenants, and with the delivery log.
//!
//! Nothing grows faster than its input. The tests count requests and do not measure time, so that the figures are
//! the same on every machine.
//!
//! `cargo test -p tests --test e2e growth -- --nocapture` prints the tables of docs/PERFORMANCE.md.

mod log;

use harness::{Unit, Usage};

use super::account::{Account, TASKS, Task};

/// The most messages in one request to the queue.
const MESSAGES: usize = 10;
/// The most bytes by which equal requests differ, because the number of digits of times and durations varies.
const DIGITS: u64 = 64;

/// The names of [`Figures`].
const NAMES: [&str; 4] = ["requests", "bytes", "read units", "write units"];

/// Requests to AWS, bytes of the bodies of requests and responses, read units and write units.
type Figures = [u64; 4];

/// How an operation may grow.
#[derive(Debug, Clone, Copy)]
enum Limit {
    /// Not at all.
    Flat,
    /// Bytes and units in proportion to the size, with the same number of requests.
    Bytes,
    /// Like [`Self::Bytes`], with one more request for every ten messages.
    Batches,
}

#[tokio::test]
async fn only_list_and_fanout_grow_with_a_tenants_webhooks() {
    let limit = |task| match task {
        Task::Api("list", ..) => Limit::Bytes,
        Task::JobChange => Limit::Batches,
        _ => Limit::Flat,
    };
    assert_growth("webhooks of the tenant", [1, 10, 50], |size| (size, 1, 0), limit).await;
}

#[tokio::test]
async fn no_operation_grows_with_the_number_of_tenants() {
    assert_growth("tenants", [1, 10, 100], |size| (1, size, 0), |_| Limit::Flat).await;
}

#[tokio::test]
async fn no_operation_grows_with_the_delivery_log() {
    let sizes = [10, 100, 1000];
    assert_growth("deliveries in the log", sizes, |size| (1, 1, size), |_| Limit::Flat).await;
}

/// Counts the usage of every task in accounts of these sizes, prints it, and asserts the task's limit. `account`
/// maps a size to the number of webhooks, of tenants, and of deliveries in the log.
async fn assert_growth(
    what: &str,
    sizes: [usize; 3],
    account: impl Fn(usize) -> (usize, usize, usize),
    limit: impl Fn(Task) -> Limit,
) {
    let mut counted = TASKS.map(|_| Vec::new());
    for size in sizes {
        let (webhooks, tenants, logged) = account(size);
        let mut account = Account::with(webhooks, tenants).await;
        account.deliver_to_all().await;
        account.fill_log(logged).await;
        for (task, figures) in TASKS.into_iter().zip(&mut counted) {
            figures.push(figures_of(&account.usage_of(task).await));
        }
    }
    println!("{}", table(what, sizes, &counted));
    for (task, figures) in TASKS.into_iter().zip(&counted) {
        let broken = limit(task).broken_by(sizes, figures);
        assert_eq!(broken, None, "{} by {what}", task.name());
    }
}

/// A column for each size; in each cell requests, bytes, read units and write units.
fn table(what: &str, sizes: [usize; 3], counted: &[Vec<Figures>]) -> String {
    let row = |name: &str, [small, middle, large]: [String; 3]| {
        format!("| {name:<16} | {small:>19} | {middle:>19} | {large:>19} |\n")
    };
    let mut text = format!("{what}: {} at each size\n\n", NAMES.join(" / "));
    text += &row("operation", sizes.map(|size| size.to_string()));
    text += &row("---", sizes.map(|_| "---:".to_owned()));
    for (task, counted) in TASKS.iter().zip(counted) {
        let cells = [0, 1, 2].map(|at| counted[at].map(|figure| figure.to_string()).join(" / "));
        text += &row(task.name(), cells);
    }
    text
}

fn figures_of(usage: &Usage) -> Figures {
    let total = usage.total();
    let bytes = total.bytes_in + total.bytes_out;
    [total.calls, bytes, usage.units(Unit::Read), usage.units(Unit::Write)]
}

impl Limit {
    /// The most that an operation may use at size `to` if it uses `figures` at size `from`.
    fn at(self, from: usize, figures: Figures, to: usize) -> Figures {
        let [requests, bytes, read_units, write_units] = figures;
        let times = |figure: u64| (figure * to as u64).div_ceil(from as u64);
        let batches = (to.div_ceil(MESSAGES) - from.div_ceil(MESSAGES)) as u64;
        match self {
            Self::Flat => [requests, bytes + DIGITS, read_units, write_units],
            Self::Bytes => [requests, times(bytes), times(read_units), times(write_units)],
            Self::Batches => {
                [requests + batches, times(bytes), times(read_units), times(write_units)]
            }
        }
    }

    /// Describes the first figure that grows beyond the limit.
    fn broken_by<const N: usize>(self, sizes: [usize; N], figures: &[Figures]) -> Option<String> {
        let (from, first) = (sizes[0], figures[0]);
        sizes.iter().zip(figures).find_map(|(&size, used)| {
            let limit = self.at(from, first, size);
            let at = (0..NAMES.len()).find(|&at| used[at] > limit[at])?;
            let (name, first, used, limit) = (NAMES[at], first[at], used[at], limit[at]);
            Some(format!("{name} grew from {first} at {from} to {used} at {size}, beyond {limit}"))
        })
    }
}

const AT_ONE: Figures = [2, 1000, 1, 1];

fn is_kept(limit: Limit, at_fifty: Figures) -> bool {
    limit.broken_by([1, 50], &[AT_ONE, at_fifty]).is_none()
}

#[test]
fn a_flat_limit_allows_no_growth() {
    assert!(is_kept(Limit::Flat, [2, 1064, 1, 1]));
    for more in [[3, 1000, 1, 1], [2, 1065, 1, 1], [2, 1000, 2, 1], [2, 1000, 1, 2]] {
        assert!(!is_kept(Limit::Flat, more), "{more:?}");
    }
}

#[test]
fn a_bytes_limit_allows_more_bytes_but_no_more_requests() {
    assert!(is_kept(Limit::Bytes, [2, 50_000, 50, 1]));
    assert!(!is_kept(Limit::Bytes, [2, 50_001, 50, 1]));
    assert!(!is_kept(Limit::Bytes, [3, 50_000, 50, 1]));
}

#[test]
fn a_batches_limit_allows_one_more_request_per_ten_webhooks() {
    assert!(is_kept(Limit::Batches, [6, 1000, 1, 1]));
    assert!(!is_kept(Limit::Batches, [7, 1000, 1, 1]));
}

#[test]
fn a_broken_limit_is_described_with_its_sizes() {
    let description = Limit::Flat.broken_by([1, 10, 50], &[AT_ONE, AT_ONE, [9, 1000, 1, 1]]);
    assert_eq!(description.unwrap(), "requests grew from 2 at 1 to 9 at 50, beyond 2");
}
