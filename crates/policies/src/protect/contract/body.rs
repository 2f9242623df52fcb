//! The body of a request, as its operation takes it.

use bytes::Bytes;
use contract::{Content, Media, Operation};
use policy::message::{Body, BodyError, Known, Request};
use policy::{Refusal, Violation};
use serde_json::{Map, Value};

use super::TYPE;
use super::form::Pairs;
use super::request::violation;
use super::text::Reader;
use crate::protect::body::{UNREADABLE, too_large};
use crate::strict_json;

/// Deepest nesting of a body.
const DEPTH: u8 = 64;

/// What is seen of a body.
#[derive(Debug)]
pub(super) enum Seen {
    /// There is none.
    Nothing,
    /// The operation takes none of its type, or it is compressed and would have to be read.
    Refused,
    /// The operation takes none at all.
    Unasked,
    /// It is of a type that is taken and not read.
    Unread,
    /// It is longer than is looked at.
    TooLarge(usize),
    /// All of it, of the content of this number.
    Whole(usize, Bytes),
}

/// How a body is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Json,
    Form,
    Text,
    Other,
}

impl Kind {
    fn of(content: &Content, media: &Media) -> Self {
        match () {
            () if content.schema.is_none() => Self::Other,
            () if media.is_json() => Self::Json,
            () if media.is_form() => Self::Form,
            () if media.is_text() => Self::Text,
            () => Self::Other,
        }
    }
}

/// The type a request's body says it has; none where it says none, or several.
fn media(request: &Request) -> Option<Media> {
    let mut types = request.headers.all(Known::ContentType);
    let (Some(only), None) = (types.next(), types.next()) else { return None };
    std::str::from_utf8(only).ok().map(Media::of)
}

/// The content that says `media` most exactly, and its number.
pub(super) fn content<'c>(contents: &'c [Content], media: &Media) -> Option<(usize, &'c Content)> {
    let each = contents.iter().enumerate();
    let fit = each.filter_map(|(at, one)| Some((one.media.matches(media)?, at, one)));
    // Of two that say as much, the first.
    let best = fit.max_by_key(|(exactly, at, _)| (*exactly, std::cmp::Reverse(*at)));
    best.map(|(_, at, one)| (at, one))
}

/// What can be told of a body without waiting for it.
pub(super) fn at_hand(request: &Request, operation: &Operation, most: usize) -> Option<Seen> {
    let length = request.body.remaining();
    if length == Some(0) {
        return Some(Seen::Nothing);
    }
    let Some(asked) = &operation.body else {
        // One that says nothing of its length may turn out to be empty.
        return length.map(|_| Seen::Unasked);
    };
    let media = media(request);
    let found = media.as_ref().and_then(|media| Some((content(&asked.contents, media)?, media)));
    let Some(((number, content), media)) = found else {
        return length
            .map(|_| if asked.contents.is_empty() { Seen::Unread } else { Seen::Refused });
    };
    if Kind::of(content, media) == Kind::Other {
        return Some(Seen::Unread);
    }
    if request.headers.has(Known::ContentEncoding) {
        return Some(Seen::Refused);
    }
    if length.is_some_and(|length| length > most as u64) {
        return Some(Seen::TooLarge(most));
    }
    match &request.body {
        Body::Full(bytes) => Some(Seen::Whole(number, bytes.clone())),
        _ => None,
    }
}

/// Waits for a body, which goes on as it came.
///
/// # Errors
/// It broke off.
pub(super) async fn hold(
    request: &mut Request,
    operation: &Operation,
    most: usize,
) -> Result<Seen, BodyError> {
    let held = request.body.hold(most).await?;
    if held.whole && held.bytes.is_empty() {
        return Ok(Seen::Nothing);
    }
    let Some(asked) = &operation.body else { return Ok(Seen::Unasked) };
    let media = media(request);
    let found = media.as_ref().and_then(|media| content(&asked.contents, media));
    Ok(match (found, held.whole) {
        (None, _) if asked.contents.is_empty() => Seen::Unread,
        (None, _) => Seen::Refused,
        (Some(_), false) => Seen::TooLarge(most),
        (Some((number, _)), true) => Seen::Whole(number, held.bytes),
    })
}

/// What was read of a body.
#[derive(Debug)]
pub(super) enum Read<'o> {
    /// There is none, though there has to be.
    Missing,
    /// There is one, though none is taken.
    Unasked,
    /// A value, of the content of this number.
    Value(usize, Value),
    /// A form, of this content.
    Form(usize, &'o Content, String),
}

/// Reads a body of which this was seen.
///
/// # Errors
/// It can't be read, or not be taken.
pub(super) fn value(operation: &Operation, seen: Seen) -> Result<Option<Read<'_>>, Refusal> {
    let (number, bytes) = match seen {
        Seen::Nothing => {
            let required = operation.body.as_ref().is_some_and(|body| body.required);
            return Ok(required.then_some(Read::Missing));
        }
        Seen::Unasked => return Ok(Some(Read::Unasked)),
        Seen::Unread => return Ok(None),
        Seen::Refused => return Err(refused(operation)),
        Seen::TooLarge(most) => return Err(too_large(most)),
        Seen::Whole(number, bytes) => (number, bytes),
    };
    let content = operation.body.as_ref().and_then(|body| body.contents.get(number));
    let Some(content) = content else { return Ok(None) };
    let text = || {
        let text = std::str::from_utf8(&bytes).map(str::to_owned);
        text.map_err(|_| Refusal::new(&UNREADABLE).detail("it is not UTF-8"))
    };
    Ok(Some(if content.media.is_form() {
        Read::Form(number, content, text()?)
    } else if content.media.is_text() {
        Read::Value(number, Value::String(text()?))
    } else {
        Read::Value(number, json(&bytes)?)
    }))
}

/// The JSON that `bytes` are.
pub(super) fn json(bytes: &[u8]) -> Result<Value, Refusal> {
    strict_json::value(bytes, DEPTH)
        .map_err(|error| Refusal::new(&UNREADABLE).detail(error.to_string()))
}

fn refused(operation: &Operation) -> Refusal {
    let contents = operation.body.iter().flat_map(|body| &body.contents);
    let types: Vec<&str> = contents.take(10).map(|content| content.media.as_str()).collect();
    Refusal::new(&TYPE).detail(format!("it takes {}", types.join(", ")))
}

impl Read<'_> {
    /// Adds the body to the parts of a request, or what is wrong with it. Where nothing else could
    /// be read in another way, a value is given away: nobody asks again.
    pub fn add(
        &mut self,
        of: &Operation,
        reader: &mut Reader,
        parts: &mut Map<String, Value>,
        wrong: &mut Vec<Violation>,
    ) {
        let (number, value) = match self {
            Self::Missing => return wrong.push(violation("body", "", "it is missing", of)),
            Self::Unasked => {
                return wrong.push(violation("body", "", "the operation takes none", of));
            }
            Self::Value(number, value) if reader.open => (number, value.clone()),
            Self::Value(number, value) => (number, std::mem::take(value)),
            Self::Form(number, content, text) => {
                let form = Pairs::of(text).form(&content.shape, &content.encodings, reader);
                match form {
                    Ok(form) => (number, form),
                    Err((name, why)) => {
                        return wrong.push(violation("body", &name, why.what(), of));
                    }
                }
            }
        };
        parts.insert(format!("body:{number}"), value);
    }
}
