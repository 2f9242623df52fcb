//! Bodies that are looked into: which ones can be, and what becomes of the others.

use bytes::Bytes;
use policy::message::{Body, BodyError, Known, Request};
use policy::{Code, Fault, Refusal, codes};
use schemars::JsonSchema;
use serde::Deserialize;

/// A body that is not JSON, or in more than one way.
pub(in crate::protect) static UNREADABLE: Code = Code {
    name: "body_not_json",
    status: 400,
    grpc: 3,
    title: "The body is no JSON, or could be read in two ways",
    proxy_error: "http_request_denied",
    fault: Fault::Caller,
    cure: "Send one JSON value in UTF-8, each member of an object once, nested at most 64 deep.",
};

/// A body that can't be looked into where JSON is.
pub(in crate::protect) static TYPE: Code = Code {
    name: "body_type_unsupported",
    status: 415,
    grpc: 3,
    title: "Only JSON is taken here",
    proxy_error: "http_request_denied",
    fault: Fault::Caller,
    cure: "Send one Content-Type, application/json or one that ends in +json, and no \
           Content-Encoding; operators let others through by `other_types: pass`.",
};

/// What becomes of bodies that are not JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "ProtectOtherTypes")]
pub(in crate::protect) enum Other {
    /// They are refused.
    #[default]
    Refuse,
    /// They pass unseen.
    Pass,
}

/// What is seen of a body.
#[derive(Debug)]
pub(in crate::protect) enum Seen {
    /// There is none.
    Nothing,
    /// It is of another format by what it says of itself.
    Other,
    /// It is what is looked for, but compressed: what stands in it can't be seen. It never passes,
    /// or whatever is refused would pass by being compressed.
    Compressed,
    /// It is longer than is looked at.
    TooLarge,
    /// All of it, which is what is looked for by what it says of itself.
    Whole(Bytes),
}

/// What is looked into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::protect) enum Format {
    /// JSON.
    Json,
    /// XML.
    Xml,
}

/// What can be told of the body of `request` without waiting for it; at most `most` bytes of one of
/// this format are looked at.
pub(in crate::protect) fn at_hand(request: &Request, format: Format, most: usize) -> Option<Seen> {
    let length = request.body.remaining();
    if length == Some(0) {
        return Some(Seen::Nothing);
    }
    if !format.is_that_of(request) {
        return Some(Seen::Other);
    }
    if request.headers.has(Known::ContentEncoding) {
        return Some(Seen::Compressed);
    }
    if length.is_some_and(|length| length > most as u64) {
        return Some(Seen::TooLarge);
    }
    match &request.body {
        Body::Full(bytes) => Some(Seen::Whole(bytes.clone())),
        _ => None,
    }
}

/// Waits for all of the body of `request`, which goes on as it came.
///
/// # Errors
/// It broke off.
pub(in crate::protect) async fn hold(
    request: &mut Request,
    most: usize,
) -> Result<Seen, BodyError> {
    let held = request.body.hold(most).await?;
    Ok(match (held.whole, held.bytes.is_empty()) {
        (false, _) => Seen::TooLarge,
        // One that turned out to be empty only at its end.
        (true, true) => Seen::Nothing,
        (true, false) => Seen::Whole(held.bytes),
    })
}

/// The refusal of a body of more than `most` bytes.
pub(in crate::protect) fn too_large(most: usize) -> Refusal {
    let detail = format!("at most {most} bytes are looked at here");
    Refusal::new(&codes::BODY_TOO_LARGE).detail(detail)
}

impl Other {
    /// What becomes of a body that can't be looked into: it passes, or is refused by `code`.
    pub(in crate::protect) fn judge(self, code: &'static Code) -> Result<(), Refusal> {
        match self {
            Self::Pass => Ok(()),
            Self::Refuse => Err(Refusal::new(code)),
        }
    }
}

impl Format {
    /// Whether a body says of itself, once, that it is of this format.
    pub(in crate::protect) fn is_that_of(self, request: &Request) -> bool {
        let mut types = request.headers.all(Known::ContentType);
        let (Some(only), None) = (types.next(), types.next()) else { return false };
        let kind = only.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        let kind = kind.to_ascii_lowercase();
        let (names, suffix): (&[&[u8]], &[u8]) = match self {
            Self::Json => (&[b"application/json"], b"+json"),
            Self::Xml => (&[b"application/xml", b"text/xml"], b"+xml"),
        };
        names.contains(&kind.as_slice()) || kind.len() > suffix.len() && kind.ends_with(suffix)
    }
}

#[cfg(test)]
mod faults;
