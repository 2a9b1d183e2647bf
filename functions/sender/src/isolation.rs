//! Isolates the deliveries of a batch from each other.
//!
//! The rule: a panic or the deadline ends only the delivery that it interrupts, and the log identifies that
//! delivery.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use tokio::time::{Instant, timeout_at};
use webhooks::log::panic_message;

use crate::Finished;
use crate::message::{Message, message_error};

/// What interrupted the handling of a message.
#[derive(Debug, thiserror::Error)]
enum Interruption {
    #[error("the invocation's deadline was reached")]
    Deadline,
    #[error("a panic: {0}")]
    Panic(String),
}

/// Runs `handling` until `ends_at` and returns how it ended. Logs an interruption with everything that
/// identifies the delivery.
///
/// Not an `async fn`, which would reserve space for the future twice.
pub(crate) fn finish_by<'a>(
    ends_at: Instant,
    message: &'a Message,
    handling: impl Future<Output = Finished<'a>>,
) -> impl Future<Output = (&'a Message, Finished<'a>)> {
    timeout_at(ends_at, catch_panic(handling)).map(move |result| {
        let interruption = match result {
            Ok(Ok(finished)) => return (message, finished),
            Ok(Err(panic)) => Interruption::Panic(panic),
            Err(_elapsed) => Interruption::Deadline,
        };
        let delivery = message.delivery.as_ref().ok();
        message_error!(
            message,
            attempt.number = delivery.map(|it| message.progress_of(it).next_attempt()),
            reason = %interruption,
            "message handling interrupted; the queue will deliver the message again"
        );
        (message, Finished::Interrupted)
    })
}

/// The future's value, or the message of its panic.
///
/// Not an `async fn`, for the same reason.
pub(crate) fn catch_panic<F: Future>(future: F) -> impl Future<Output = Result<F::Output, String>> {
    let caught = AssertUnwindSafe(future).catch_unwind();
    caught.map(|result| result.map_err(|payload| panic_message(&*payload)))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use futures_util::future::{join_all, pending};
    use lambda_runtime::tracing::subscriber;
    use serde_json::Value;

    use super::*;

    #[tokio::test]
    async fn a_panic_does_not_affect_other_deliveries() {
        let deliveries = (1..=3).map(|number| async move {
            tokio::task::yield_now().await;
            assert!(number != 2, "number two has a bug");
            number
        });
        let bug = Err("number two has a bug".to_owned());
        assert_eq!(join_all(deliveries.map(catch_panic)).await, [Ok(1), bug, Ok(3)]);
    }

    /// The lines that are logged while the future runs, each a JSON object.
    async fn log_of(future: impl Future) -> Vec<Value> {
        #[derive(Clone, Default)]
        struct Lines(Arc<Mutex<Vec<u8>>>);

        impl Write for Lines {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                self.0.lock().unwrap().write(bytes)
            }

            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }

        let lines = Lines::default();
        let writer = lines.clone();
        let json = subscriber::fmt().json().flatten_event(true).with_writer(move || writer.clone());
        let guard = tracing::subscriber::set_default(json.finish());
        future.await;
        drop(guard);
        let text = lines.0.lock().unwrap();
        text.split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect()
    }

    #[tokio::test]
    async fn the_log_identifies_a_delivery_that_a_panic_or_the_deadline_interrupts() {
        let message = Message::sample();
        let delivery = message.delivery.as_ref().unwrap();
        let panicking = async { panic!("a bug") };
        let soon = Instant::now() + Duration::from_millis(10);
        let later = Instant::now() + Duration::from_mins(1);
        let lines = log_of(async {
            let (_, panicked) = finish_by(later, &message, panicking).await;
            let (_, late) = finish_by(soon, &message, pending()).await;
            assert!(matches!([panicked, late], [Finished::Interrupted, Finished::Interrupted]));
        })
        .await;
        let expected = ["a panic: a bug", "the invocation's deadline was reached"];
        assert_eq!(lines.len(), 2);
        for (line, reason) in lines.iter().zip(expected) {
            assert_eq!((&line["level"], &line["reason"]), (&"ERROR".into(), &reason.into()));
            assert_eq!(line["message.id"], message.id);
            assert_eq!(line["delivery.id"], delivery.delivery_id.to_string());
            assert_eq!(line["webhook.id"], delivery.webhook_config_id.to_string());
            assert_eq!(line["tenant.id"], delivery.tenant_id.to_string());
            assert_eq!(line["event.id"], delivery.event_id.to_string());
            assert_eq!(line["delivery.chain"], 1);
            assert_eq!(
                (&line["event.name"], &line["attempt.number"]),
                (&delivery.event.as_str().into(), &1.into())
            );
        }
    }
}
