//! Measures the phases of an attempt: resolving the host name, opening a connection, waiting for the response.
//!
//! The rule: only an attempt that opens a connection pays for it. The HTTP client opens connections inside the
//! request's own future, so a task-local value finds its way from there to the attempt. A connection that the
//! client finishes in the background, because another one became free, belongs to no attempt.

use std::cell::Cell;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;
use tower::{Layer, Service};
use webhooks::delivery::Phases;

tokio::task_local! {
    static PHASES: Cell<Phases>;
}

/// Awaits an attempt's request. Returns the phases too, even those of a request that failed.
pub(crate) async fn measured<T, E>(
    request: impl Future<Output = Result<T, E>>,
) -> (Result<T, E>, Phases) {
    let begun = Instant::now();
    let measured = async {
        let result = request.await;
        (result, PHASES.with(Cell::get))
    };
    let (result, mut phases) = PHASES.scope(Cell::default(), measured).await;
    if result.is_ok() {
        phases.first_byte_ms = Some(millis(begun.elapsed()));
        // The name was resolved for a connection that the request did not wait for.
        if phases.connect_ms.is_none() {
            phases.dns_ms = None;
        }
    }
    (result, phases)
}

/// Awaits the resolution of a host name.
pub(crate) async fn resolving<T>(resolution: impl Future<Output = T>) -> T {
    let begun = Instant::now();
    let resolved = resolution.await;
    record(|phases| phases.dns_ms = Some(millis(begun.elapsed())));
    resolved
}

/// A layer of the HTTP client that measures how long opening a connection takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ConnectLayer;

/// Opens connections with another connector, and measures each.
///
/// The client clones its connector for every request, whether it connects or not. An `Arc` keeps that cheap.
pub(crate) struct MeasuredConnector<C>(Arc<C>);

impl<C> Layer<C> for ConnectLayer {
    type Service = MeasuredConnector<C>;

    fn layer(&self, connector: C) -> Self::Service {
        MeasuredConnector(Arc::new(connector))
    }
}

impl<C, R> Service<R> for MeasuredConnector<C>
where
    C: Service<R> + Clone + Send + Sync + 'static,
    C::Future: Send,
    R: Send + 'static,
{
    type Response = C::Response;
    type Error = C::Error;
    type Future = Pin<Box<dyn Future<Output = Result<C::Response, C::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), C::Error>> {
        // `call` waits until the clone that it uses is ready.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, target: R) -> Self::Future {
        let mut connector = C::clone(&self.0);
        Box::pin(async move {
            let begun = Instant::now();
            poll_fn(|context| connector.poll_ready(context)).await?;
            let connection = connector.call(target).await?;
            record(|phases| {
                let all = millis(begun.elapsed());
                phases.connect_ms = Some(all.saturating_sub(phases.dns_ms.unwrap_or(0)));
            });
            Ok(connection)
        })
    }
}

impl<C> Clone for MeasuredConnector<C> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<C> fmt::Debug for MeasuredConnector<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MeasuredConnector").finish_non_exhaustive()
    }
}

/// Changes the phases of the attempt whose future calls this; does nothing outside of one.
fn record(change: impl FnOnce(&mut Phases)) {
    let recorded = PHASES.try_with(|cell| {
        let mut phases = cell.get();
        change(&mut phases);
        cell.set(phases);
    });
    // Fails if no attempt waits for this connection.
    recorded.ok();
}

fn millis(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use tokio::time::sleep;
    use tower::ServiceExt as _;
    use tower::util::service_fn;

    use super::*;

    const WAIT: Duration = Duration::from_millis(50);

    /// Resolves for 50 ms, and then connects for 50 ms.
    async fn connect(_target: ()) -> Result<(), Infallible> {
        resolving(sleep(WAIT)).await;
        sleep(WAIT).await;
        Ok(())
    }

    #[tokio::test]
    async fn resolving_and_connecting_are_told_apart() {
        let connector = ConnectLayer.layer(service_fn(connect));
        let begun = Instant::now();
        let (_, phases) = measured(connector.oneshot(())).await;
        let [dns, connect, first_byte] =
            [phases.dns_ms, phases.connect_ms, phases.first_byte_ms].map(Option::unwrap);
        assert!(dns >= 50 && connect >= 49, "{phases:?}");
        assert!(dns + connect <= first_byte && first_byte <= millis(begun.elapsed()), "{phases:?}");
    }

    #[tokio::test]
    async fn a_response_over_another_connection_has_no_phases_of_this_one() {
        let connector = ConnectLayer.layer(service_fn(connect));
        let request = async {
            let connecting = connector.oneshot(());
            // Another request's connection becomes free during the lookup, or just after it.
            tokio::time::timeout(WAIT + WAIT / 2, connecting).await.unwrap_or(Ok(()))
        };
        let (_, phases) = measured(request).await;
        assert_eq!((phases.dns_ms, phases.connect_ms), (None, None));
        assert!(phases.first_byte_ms.is_some());
    }

    #[tokio::test]
    async fn a_connection_without_an_attempt_is_not_measured() {
        ConnectLayer.layer(service_fn(connect)).oneshot(()).await.unwrap();
        let (result, phases) = measured(async { Err::<(), _>("no answer") }).await;
        assert_eq!((result, phases), (Err("no answer"), Phases::default()));
    }
}
