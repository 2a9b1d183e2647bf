//! Why a signature is not valid, and what to do about it. Pure.
//!
//! The rule: a reason says what is certain, and says so where two causes would look the same.

use std::fmt;
use std::time::Duration;

use super::json::Form;
use crate::age;

/// Maximum age of `webhook-timestamp`, as the libraries of Standard Webhooks have it.
pub(crate) const TOLERANCE: Duration = Duration::from_mins(5);

/// One of the two signatures of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// The guide's: over the body.
    Guide,
    /// Standard Webhooks: over the event's id, the attempt's time and the body.
    Standard,
}

impl Scheme {
    /// The header that has the signature.
    pub(crate) const fn header(self) -> &'static str {
        match self {
            Self::Guide => "X-DocIntell-Signature",
            Self::Standard => "webhook-signature",
        }
    }

    const fn form(self) -> &'static str {
        match self {
            Self::Guide => "`sha256=` and 64 hex digits",
            Self::Standard => {
                "`v1,` and 44 characters of base64, once or more, with spaces between them"
            }
        }
    }

    const fn key(self) -> &'static str {
        match self {
            Self::Guide => "the whole secret as text, with `whsec_`",
            Self::Standard => "what follows `whsec_`, decoded from base64",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reason {
    MissingHeader {
        header: &'static str,
        /// Another sender's header.
        instead: Option<String>,
    },
    /// The header has the other scheme's signature.
    OtherScheme(Scheme),
    MalformedSignature {
        scheme: Scheme,
        problem: &'static str,
    },
    MalformedTimestamp,
    /// The signature is right, but so old.
    Stale(Duration),
    /// The signature is right, but so far in the future.
    Early(Duration),
    /// The signature is that of the same JSON in this form.
    Reserialised(Form),
    /// The signature is that of another body; what was done to it.
    ChangedBody(&'static str),
    /// The body is not in the service's form.
    ForeignBody {
        /// What is different.
        how: String,
    },
    /// The secret is right; how the key was made of it.
    WrongKey {
        scheme: Scheme,
        made: &'static str,
    },
    /// The secret and the body are right; what was signed.
    WrongContent(&'static str),
    /// Body and secret are right, because the other signature is.
    ChangedHeader(Scheme),
    /// The secret has been replaced; it still signs `webhook-signature`.
    Rotated,
    /// The signature was made with the secret before this one.
    PreviousSecret,
    /// Nothing matches, and the body looks right.
    WrongSecret,
}

impl Reason {
    /// For programs; never changes.
    pub(crate) const fn code(&self) -> &'static str {
        match self {
            Self::MissingHeader { .. } => "missing_header",
            Self::OtherScheme(_) => "other_scheme",
            Self::MalformedSignature { .. } => "malformed_signature",
            Self::MalformedTimestamp => "malformed_timestamp",
            Self::Stale(_) | Self::Early(_) => "stale_timestamp",
            Self::Reserialised(_) => "reserialised_json",
            Self::ChangedBody(_) | Self::ForeignBody { .. } => "changed_body",
            Self::WrongKey { .. } => "wrong_key",
            Self::WrongContent(_) => "wrong_content",
            Self::ChangedHeader(_) => "changed_header",
            Self::Rotated => "rotated_secret",
            Self::PreviousSecret => "previous_secret",
            Self::WrongSecret => "wrong_secret",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingHeader { header, instead: None } => {
                write!(
                    f,
                    "there is no header {header}: something on the way removed it, or DocIntell did not send this"
                )
            }
            Self::MissingHeader { header, instead: Some(other) } => {
                write!(f, "there is no header {header}, but {other}, which another sender uses")
            }
            Self::OtherScheme(scheme) => {
                let other = match scheme {
                    Scheme::Guide => Scheme::Standard,
                    Scheme::Standard => Scheme::Guide,
                };
                write!(f, "{} has a signature that belongs in {}", other.header(), scheme.header())
            }
            Self::MalformedSignature { scheme, problem } => {
                write!(f, "{} {problem}; expected {}", scheme.header(), scheme.form())
            }
            Self::MalformedTimestamp => {
                f.write_str("webhook-timestamp is not a time; expected Unix seconds, such as 1764757847")
            }
            Self::Stale(age) => write!(
                f,
                "stale: the signature is right, but webhook-timestamp is {} old, and the limit is 5m. This is an old \
                 request that was sent again, or a clock is wrong. Retries and replays have a new timestamp",
                age::short(*age)
            ),
            Self::Early(ahead) => write!(
                f,
                "the signature is right, but webhook-timestamp is {} in the future, and the limit is 5m: a clock is \
                 wrong",
                age::short(*ahead)
            ),
            Self::Reserialised(form) => write!(
                f,
                "re-serialised JSON: the signature is that of the same JSON written {form}. Something parsed the body \
                 and wrote it again. Pass on and verify the raw bytes"
            ),
            Self::ChangedBody(how) => {
                write!(f, "changed body: {how} after the body was signed. Pass on and verify the raw bytes")
            }
            Self::ForeignBody { how } => write!(
                f,
                "changed body, probably: {how}. If nothing on the way can have changed it, DocIntell did not send it, \
                 or signed it with another secret"
            ),
            Self::WrongKey { scheme, made } => write!(
                f,
                "the secret is right, but the key was {made}; the key of {} is {}",
                scheme.header(),
                scheme.key()
            ),
            Self::WrongContent(what) => write!(
                f,
                "the secret is right, but {what}; expected the values of webhook-id and webhook-timestamp and the \
                 body, with dots between them"
            ),
            Self::ChangedHeader(Scheme::Guide) => f.write_str(
                "changed header: webhook-signature proves the secret and the body right, so X-DocIntell-Signature was \
                 changed, or made with another secret",
            ),
            Self::ChangedHeader(Scheme::Standard) => f.write_str(
                "changed header: X-DocIntell-Signature proves the secret and the body right, so webhook-id, \
                 webhook-timestamp or webhook-signature was changed",
            ),
            Self::Rotated => f.write_str(
                "rotated secret: this is the previous one. webhook-signature still has a signature with it, and \
                 X-DocIntell-Signature has one only if you answer 401",
            ),
            Self::PreviousSecret => f.write_str(
                "previous secret: a rotation overlaps, and this is the second request after a 401 or 403, signed with \
                 the secret before this one",
            ),
            Self::WrongSecret => f.write_str(
                "wrong secret, probably: the body is exactly as DocIntell writes it, but it was signed with another \
                 secret: that of another webhook, or one before or after a rotation. A changed value in the body would \
                 look the same",
            ),
        }
    }
}
