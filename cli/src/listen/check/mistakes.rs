//! Usual mistakes: what was done to a body, made into a key, or signed. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use webhooks::secret::SigningSecret;

use crate::listen::reason::Scheme;
use crate::listen::received::Received;

/// Bodies that may have been signed before they became `body`, and what was done to each.
pub(super) fn bodies(body: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let text = str::from_utf8(body).ok();
    let lines = |from, to| text.map(|text| text.replace(from, to).into_bytes());
    let candidates = [
        ("a line break was added at its end", body.strip_suffix(b"\n").map(<[u8]>::to_vec)),
        ("a line break was added at its end", body.strip_suffix(b"\r\n").map(<[u8]>::to_vec)),
        ("white space was added around it", Some(body.trim_ascii().to_vec())),
        ("a line break was removed from its end", Some([body, b"\n"].concat())),
        ("its line breaks were changed to CR LF", lines("\r\n", "\n")),
        ("its line breaks were changed to LF", lines("\n", "\r\n")),
        ("a byte order mark was added", body.strip_prefix(b"\xef\xbb\xbf").map(<[u8]>::to_vec)),
        ("it was encoded in base64", STANDARD.decode(body.trim_ascii()).ok()),
        ("it was made a string in JSON", serde_json::from_slice(body).ok().map(String::into_bytes)),
    ];
    candidates
        .into_iter()
        .filter_map(|(change, before)| Some((change, before.filter(|it| it != body)?)))
        .collect()
}

/// Keys that may have been made of `secret`.
pub(super) fn keys(scheme: Scheme, secret: &SigningSecret) -> Vec<(&'static str, Vec<u8>)> {
    let text = secret.expose();
    let encoded = text.trim_start_matches("whsec_");
    let with_line_break = |key: &[u8]| ("made with a line break at its end", [key, b"\n"].concat());
    let without_prefix = ("made of the text without `whsec_`", encoded.as_bytes().to_vec());
    match scheme {
        Scheme::Guide => vec![
            without_prefix,
            ("decoded from base64", secret.expose_decoded().to_vec()),
            with_line_break(text.as_bytes()),
        ],
        Scheme::Standard => vec![
            ("made of the whole text", text.as_bytes().to_vec()),
            without_prefix,
            with_line_break(secret.expose_decoded()),
        ],
    }
}

/// What may have been signed before the body, in the Standard Webhooks scheme.
pub(super) fn heads(received: &Received) -> Vec<(&'static str, String)> {
    let header = |name| received.header(name).unwrap_or_default();
    let (id, time) = (header("webhook-id"), header("webhook-timestamp"));
    vec![
        ("only the body was signed", String::new()),
        ("the id was not signed", format!("{time}.")),
        ("the timestamp was not signed", format!("{id}.")),
        (
            "the time in X-DocIntell-Timestamp was signed",
            format!("{id}.{}.", header("x-docintell-timestamp")),
        ),
        (
            "the id in X-DocIntell-Delivery was signed",
            format!("{}.{time}.", header("x-docintell-delivery")),
        ),
    ]
}
