//! What each operation asks of AWS does not grow faster than what it works on.

use bench::bench::Bench;
use bench::growth::{Dimension, SMALL};

async fn assert_nothing_grows(dimension: Dimension) {
    let bench = Bench::prepare(None, None, true).await.expect("the functions can be built");
    let (_, sizes) = SMALL.into_iter().find(|(it, _)| *it == dimension).expect("it has sizes");
    dimension.table(&bench, sizes).await.expect("nothing grows faster than its input");
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
