//! The parameters `limit` and `cursor` of lists that are read a part at a time.
//!
//! The rule: a cursor is only a position. It says neither whose list nor which filters, so it shows nothing of another
//! tenant.

use std::fmt::{self, Display};
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::error::Details;
use crate::extract::parameter;
use crate::page::{DEFAULT_SIZE, size};

/// The id of the last item of a page. Encoded, so that nobody takes it for the id of an item that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cursor<T>(pub T);

impl<T: Display> Display for Cursor<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0.to_string()))
    }
}

/// Parses the parameter `cursor`.
pub(crate) fn position<T: FromStr>(text: &str) -> Result<T, String> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok();
    let id = bytes.as_deref().and_then(|bytes| str::from_utf8(bytes).ok()?.parse().ok());
    id.ok_or_else(|| "must be the `next_cursor` of another page".to_owned())
}

/// The parameter `limit`: 1 to [`MAX_SIZE`](crate::page::MAX_SIZE), default [`DEFAULT_SIZE`].
pub(crate) fn limit(parameters: &[(String, String)], wrong: &mut Details) -> usize {
    parameter(parameters, "limit", wrong, size).unwrap_or(DEFAULT_SIZE)
}
