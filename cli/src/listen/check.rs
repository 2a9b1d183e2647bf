//! Checks both signatures of a request, and finds out why one is not valid. Pure.
//!
//! The rule: what was signed is unknown, so each usual mistake is tried. A signature that matches one
//! of them proves it.

mod mistakes;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use webhooks::secret::SigningSecret;
use webhooks::signature::{guide_matches, hmac_sha256, standard_matches};
use webhooks::timestamp::Timestamp;

use super::json::{Form, Json};
use super::reason::{Reason, Scheme, TOLERANCE};
use super::received::Received;

/// A signature's 32 bytes.
type Tag = [u8; 32];

/// What became of both signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Checks {
    pub(crate) guide: Result<(), Reason>,
    pub(crate) standard: Result<(), Reason>,
}

impl Checks {
    /// DocIntell always makes both signatures.
    pub(crate) fn are_valid(&self) -> bool {
        self.guide.is_ok() && self.standard.is_ok()
    }

    pub(crate) fn all(&self) -> [(Scheme, &Result<(), Reason>); 2] {
        [(Scheme::Guide, &self.guide), (Scheme::Standard, &self.standard)]
    }
}

/// A signature in a request, which may be wrong.
struct Claim {
    scheme: Scheme,
    /// The header's value.
    header: String,
    /// The signatures in it.
    tags: Vec<Tag>,
    /// What is signed before the body.
    head: String,
}

impl Claim {
    /// Whether one of the signatures is that of `body`.
    fn is_of(&self, key: &[u8], head: &str, body: &[u8]) -> bool {
        self.tags.contains(&hmac_sha256(key, &[head.as_bytes(), body]))
    }
}

/// Checks the signatures of `received`, which has arrived at `now`.
pub(crate) fn check(secret: &SigningSecret, received: &Received, now: Timestamp) -> Checks {
    let body = &received.body;
    let guide = guide_claim(received);
    let standard = standard_claim(received);
    let guide_is_valid =
        guide.as_ref().is_ok_and(|claim| guide_matches(secret, body, &claim.header));
    let standard_is_valid = standard.as_ref().is_ok_and(|(claim, id, sent_at)| {
        standard_matches(secret, id, *sent_at, body, &claim.header)
    });
    Checks {
        guide: match &guide {
            Err(reason) => Err(reason.clone()),
            Ok(_) if guide_is_valid => Ok(()),
            Ok(claim) => Err(match &standard {
                Ok((other, ..)) if standard_is_valid => rotation(secret, received, other)
                    .unwrap_or_else(|| explain(claim, true, secret, received)),
                _ => explain(claim, false, secret, received),
            }),
        },
        standard: match &standard {
            Err(reason) => Err(reason.clone()),
            Ok((_, _, sent_at)) if standard_is_valid => in_time(*sent_at, now),
            Ok((claim, ..)) => Err(explain(claim, guide_is_valid, secret, received)),
        },
    }
}

/// The age of a valid signature.
fn in_time(sent_at: i64, now: Timestamp) -> Result<(), Reason> {
    let seconds = now.unix_seconds().saturating_sub(sent_at);
    let distance = Duration::from_secs(seconds.unsigned_abs());
    match distance {
        _ if distance <= TOLERANCE => Ok(()),
        _ if seconds > 0 => Err(Reason::Stale(distance)),
        _ => Err(Reason::Early(distance)),
    }
}

fn missing(header: &'static str, received: &Received) -> Reason {
    let instead = received.foreign_signature().map(ToString::to_string);
    Reason::MissingHeader { header, instead }
}

fn guide_claim(received: &Received) -> Result<Claim, Reason> {
    let scheme = Scheme::Guide;
    let malformed = |problem| Reason::MalformedSignature { scheme, problem };
    let header =
        received.header(scheme.header()).ok_or_else(|| missing(scheme.header(), received))?;
    if header.starts_with("v1,") {
        return Err(Reason::OtherScheme(Scheme::Standard));
    }
    let hex = match header.strip_prefix("sha256=") {
        Some(hex) => hex,
        None if tag_of_hex(&header).is_some() => return Err(malformed("lacks `sha256=`")),
        None => return Err(malformed("does not start with `sha256=`")),
    };
    let tag = tag_of_hex(hex).ok_or_else(|| {
        malformed(match hex {
            _ if tag_of_base64(hex).is_some() => "is in base64",
            _ if hex.bytes().all(|it| it.is_ascii_hexdigit()) => {
                "has another length: it may be cut"
            }
            _ => "is not in hex",
        })
    })?;
    Ok(Claim { scheme, tags: vec![tag], head: String::new(), header })
}

/// The claim, the event's id and the attempt's time in Unix seconds.
fn standard_claim(received: &Received) -> Result<(Claim, String, i64), Reason> {
    let scheme = Scheme::Standard;
    let header = |name| received.header(name).ok_or_else(|| missing(name, received));
    let signatures = header(scheme.header())?;
    if signatures.starts_with("sha256=") {
        return Err(Reason::OtherScheme(Scheme::Guide));
    }
    let (id, time) = (header("webhook-id")?, header("webhook-timestamp")?);
    let sent_at = time.parse().map_err(|_malformed| Reason::MalformedTimestamp)?;
    let versioned: Vec<&str> =
        signatures.split(' ').filter_map(|signature| signature.strip_prefix("v1,")).collect();
    let tags: Vec<Tag> = versioned.iter().filter_map(|text| tag_of_base64(text)).collect();
    if tags.is_empty() {
        let problem = match versioned.first() {
            None if tag_of_base64(&signatures).is_some() => "lacks `v1,`",
            None => "does not start with `v1,`",
            Some(text) if tag_of_hex(text).is_some() => "is in hex",
            Some(_) => "is not in base64 or has another length: it may be cut",
        };
        return Err(Reason::MalformedSignature { scheme, problem });
    }
    let head = format!("{id}.{time}.");
    Ok((Claim { scheme, tags, head, header: signatures }, id, sent_at))
}

fn tag_of_hex(text: &str) -> Option<Tag> {
    base16ct::mixed::decode_vec(text).ok()?.try_into().ok()
}

fn tag_of_base64(text: &str) -> Option<Tag> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

/// Why the guide's signature is not made with `secret`, if `standard` has a signature with it beside another one.
fn rotation(secret: &SigningSecret, received: &Received, standard: &Claim) -> Option<Reason> {
    let key = secret.expose_decoded();
    let own = hmac_sha256(key, &[standard.head.as_bytes(), &received.body]);
    match standard.tags.as_slice() {
        [_] => None,
        [newest, ..] if *newest == own => Some(Reason::PreviousSecret),
        _ => Some(Reason::Rotated),
    }
}

/// Why `claim` is not valid. `is_body_right` if the other signature is valid.
fn explain(
    claim: &Claim,
    is_body_right: bool,
    secret: &SigningSecret,
    received: &Received,
) -> Reason {
    let body = &*received.body;
    let key = match claim.scheme {
        Scheme::Guide => secret.expose().as_bytes(),
        Scheme::Standard => secret.expose_decoded(),
    };
    let json = Json::parse(body);
    let is_signed = |before: &[u8]| claim.is_of(key, &claim.head, before);
    for (change, before) in mistakes::bodies(body) {
        if is_signed(&before) {
            return Reason::ChangedBody(change);
        }
    }
    let is_of_form = |json: &Json, form: Form| is_signed(json.write(form).as_bytes());
    let form = json.iter().find_map(|json| Form::usual().find(|form| is_of_form(json, *form)));
    if let Some(form) = form {
        return Reason::Reserialised(form);
    }
    for (made, key) in mistakes::keys(claim.scheme, secret) {
        if claim.is_of(&key, &claim.head, body) {
            return Reason::WrongKey { scheme: claim.scheme, made };
        }
    }
    if claim.scheme == Scheme::Standard {
        for (what, head) in mistakes::heads(received) {
            if claim.is_of(key, &head, body) {
                return Reason::WrongContent(what);
            }
        }
    }
    if is_body_right {
        return Reason::ChangedHeader(claim.scheme);
    }
    let foreign = |how: &str| Reason::ForeignBody { how: how.to_owned() };
    match json.map(|json| json.difference(body)) {
        _ if body.is_empty() => foreign("the body is empty"),
        None => foreign("the body is not JSON"),
        Some(None) => Reason::WrongSecret,
        Some(Some(at)) => {
            foreign(&format!("the body is not as DocIntell writes it, first at byte {}", at + 1))
        }
    }
}

#[cfg(test)]
mod tests;
