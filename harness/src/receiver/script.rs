//! Scripts for receivers: the acts that follow a request.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Barrier;

use super::Arrival;
use crate::lock;

/// A proxy's answer when its upstream server is down.
const BAD_GATEWAY: &str = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n\
    <center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n";

/// A step of a script. After the last one, the receiver reads the next request.
#[derive(Debug, Clone)]
pub enum Act {
    Send(Bytes),
    /// Sends bytes again and again, with a pause after each time, until the client hangs up.
    Repeat(Bytes, Duration),
    Wait(Duration),
    /// Waits until enough requests have arrived.
    Meet(Arc<Barrier>),
    /// Closes the connection, over TLS with an alert.
    HangUp,
    /// Drops the connection, over TLS without an alert.
    Vanish,
}

/// An answer without a body.
#[must_use]
pub fn status(code: u16) -> Vec<Act> {
    answer(code, &[], b"")
}

/// An answer with headers and a body. The connection stays open.
#[must_use]
pub fn answer(code: u16, headers: &[(&str, &str)], body: &[u8]) -> Vec<Act> {
    let lines = headers.iter().map(|(name, value)| [name, ": ", value, "\r\n"].concat());
    let lines: String = lines.collect();
    let head = format!("HTTP/1.1 {code} Test\r\n{lines}Content-Length: {}\r\n\r\n", body.len());
    vec![Act::Send([head.as_bytes(), body].concat().into())]
}

/// An answer without a body that closes the connection.
#[must_use]
pub fn answer_and_close(code: u16) -> Vec<Act> {
    [answer(code, &[("Connection", "close")], b""), vec![Act::HangUp]].concat()
}

/// These acts after a wait.
#[must_use]
pub fn after(wait: Duration, acts: Vec<Act>) -> Vec<Act> {
    [vec![Act::Wait(wait)], acts].concat()
}

pub struct Script(Box<ByRequest>);

/// Takes the request's number, from 1, and the request.
type ByRequest = dyn Fn(u64, &Arrival) -> Arc<[Act]> + Send + Sync;

/// A script that depends on the request's number, from 1.
pub fn by_number(script: impl Fn(u64) -> Vec<Act> + Send + Sync + 'static) -> Script {
    Script(Box::new(move |number, _| script(number).into()))
}

impl Script {
    pub(super) fn acts(&self, number: u64, arrival: &Arrival) -> Arc<[Act]> {
        (self.0)(number, arrival)
    }
}

impl From<Vec<Act>> for Script {
    fn from(acts: Vec<Act>) -> Self {
        let acts = Arc::<[Act]>::from(acts);
        Self(Box::new(move |_, _| Arc::clone(&acts)))
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Script").finish_non_exhaustive()
    }
}

/// Selects deliveries that fail, as behind a proxy whose server is down.
#[derive(Debug, Clone, Copy)]
pub struct Failing {
    /// Every n-th delivery fails, in order of arrival.
    pub one_in: usize,
    /// Failed attempts of each such delivery before it succeeds.
    pub attempts: u32,
}

impl Failing {
    /// Answers after `wait`: 502 to a failing attempt, 200 to every other one.
    #[must_use]
    pub fn after(self, wait: Duration) -> Script {
        let script = |acts| Arc::<[Act]>::from(after(wait, acts));
        let (good, bad) = (script(status(200)), script(answer(502, &[], BAD_GATEWAY.as_bytes())));
        // Remaining failures, by delivery.
        let left = Mutex::new(HashMap::new());
        Script(Box::new(move |_, arrival| {
            let fails = self.fails(&mut lock(&left), arrival.header("x-docintell-delivery"));
            Arc::clone(if fails { &bad } else { &good })
        }))
    }

    fn fails(self, left: &mut HashMap<String, u32>, delivery: &str) -> bool {
        let is_chosen = left.len().is_multiple_of(self.one_in);
        let attempts = if is_chosen { self.attempts } else { 0 };
        let left = left.entry(delivery.to_owned()).or_insert(attempts);
        let fails = *left > 0;
        *left = left.saturating_sub(1);
        fails
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_three_deliveries_fails_once() {
        let failing = Failing { one_in: 3, attempts: 1 };
        let mut left = HashMap::new();
        let mut round =
            || ["0", "1", "2", "3", "4", "5"].map(|delivery| failing.fails(&mut left, delivery));
        assert_eq!(round(), [true, false, false, true, false, false]);
        assert_eq!(round(), [false; 6]);
    }
}
