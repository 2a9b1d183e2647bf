//! How often the functions ask AWS: for a delivery, and when there is more of everything.
//!
//! The rule: requests are counted and nothing is timed, so that the figures are the same on every machine.

use std::time::Duration;

use bench::bench::Bench;
use bench::cost::budget::Budget;
use bench::cost::case::{Case, FAN_OUT, HAPPY, Used};
use bench::growth::{Dimension, SMALL};

use super::runtime_api::{PLACES, bootstrap};

/// Two full batches of the stream, or twenty of the queue.
const DELIVERIES: usize = 200;

/// The bootstraps that every other test uses, too.
async fn bench() -> Bench {
    let folder = bootstrap("sender").await.parent();
    Bench::prepare(folder, None, true).await.expect("the folder of the build can be written")
}

async fn count(case: Case) -> Used {
    let case = Case { wait: Duration::ZERO, ..case };
    let bench = bench().await;
    let _place = PLACES.acquire().await.expect("it is never closed");
    case.run(&bench, DELIVERIES).await.expect("every delivery is made")
}

async fn assert_nothing_grows(dimension: Dimension) {
    let bench = bench().await;
    let _place = PLACES.acquire().await.expect("it is never closed");
    let (_, sizes) = SMALL.into_iter().find(|(it, _)| *it == dimension).expect("it has sizes");
    dimension.table(&bench, sizes).await.expect("nothing grows faster than its input");
}

#[tokio::test]
async fn a_delivery_costs_a_tenth_of_each_request_and_one_write() {
    let used = count(HAPPY).await;
    Budget::of(HAPPY, DELIVERIES).check(&used.aws).unwrap();
}

#[tokio::test]
async fn an_event_for_ten_webhooks_costs_as_little_for_each_delivery() {
    let used = count(FAN_OUT).await;
    Budget::of(FAN_OUT, DELIVERIES).check(&used.aws).unwrap();
}

#[tokio::test]
async fn a_tenants_webhooks_make_only_its_list_and_its_fan_out_larger() {
    assert_nothing_grows(Dimension::Webhooks).await;
}

#[tokio::test]
async fn other_tenants_make_nothing_larger() {
    assert_nothing_grows(Dimension::Tenants).await;
}

#[tokio::test]
async fn a_longer_log_makes_nothing_larger() {
    assert_nothing_grows(Dimension::Log).await;
}
