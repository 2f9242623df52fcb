//! Responses, held to what their operation promises.

use contract::{Content, Media, Operation, Response};
use policy::message::{Known, Method};
use policy::{Exchange, Flow, Refusal, Step, Violation};
use serde_json::{Map, Value};

use super::RESPONSE;
use super::body::content;
use super::fields;
use super::form::Unread;
use super::judge::Judge;
use super::request::violation;
use super::text::{Guess, Reader};
use crate::mode::Mode;
use crate::strict_json;

/// Deepest nesting of a body.
const DEPTH: u8 = 64;

/// Looks at responses.
#[derive(Debug)]
pub(super) struct Responses {
    pub judge: Judge,
    pub mode: Mode,
    pub percent: f64,
    pub most: usize,
}

/// What a response is to be.
struct Promise<'o> {
    operation: &'o Operation,
    /// The numbers of the operation and of the response in it.
    numbers: [usize; 2],
    response: &'o Response,
}

impl Responses {
    /// Looks at the response of `exchange`, if it is the upstream's and its turn.
    pub fn step<'a>(&'a self, exchange: &'a mut Exchange, operation: &'a Operation) -> Step<'a> {
        let theirs = exchange.refusal.is_none() && exchange.upstream.status.is_some();
        if !theirs || fastrand::f64() * 100.0 >= self.percent {
            return Step::next();
        }
        let number = exchange.route.as_ref().and_then(|route| route.names.operation);
        let Some(number) = number.and_then(|number| usize::try_from(number).ok()) else {
            return Step::next();
        };
        let status = exchange.response.status.code();
        let each = operation.responses.iter().enumerate();
        let fit = each.filter_map(|(at, one)| Some((one.statuses.matches(status)?, at, one)));
        let Some((_, at, response)) = fit.max_by_key(|(exactly, ..)| *exactly) else {
            let what = format!("the contract has no status {status}");
            let wrong = vec![violation("status", "", &what, operation)];
            return Step::Done(self.settle(exchange, wrong));
        };
        let promise = Promise { operation, numbers: [number, at], response };
        match promise.read(exchange) {
            None => {
                let wrong = self.judged(exchange, &promise, None);
                Step::Done(self.settle(exchange, wrong))
            }
            Some(content) => Step::Wait(Box::pin(async move {
                let Ok(held) = exchange.response.body.hold(self.most).await else {
                    // Whoever sends it on will meet the same.
                    return Flow::Continue;
                };
                let body = held.whole.then_some((content, &held.bytes[..]));
                let wrong = self.judged(exchange, &promise, body);
                self.settle(exchange, wrong)
            })),
        }
    }

    /// What is wrong with a response of which this is the body.
    fn judged(
        &self,
        exchange: &Exchange,
        promise: &Promise<'_>,
        body: Option<(usize, &[u8])>,
    ) -> Vec<Violation> {
        let (mut parts, mut wrong) = promise.headers(exchange);
        if let Some((number, bytes)) = body {
            match strict_json::value(bytes, DEPTH) {
                Ok(value) => drop(parts.insert(format!("body:{number}"), value)),
                Err(_) => wrong.push(violation("body", "", "it is no JSON", promise.operation)),
            }
        }
        wrong.extend(self.judge.judge(&promise.numbers, parts, 1));
        wrong
    }

    fn settle(&self, exchange: &mut Exchange, wrong: Vec<Violation>) -> Flow {
        let said = wrong.first().map_or(Ok(()), |first| {
            let note = format!("`{}`: {} (`{}`)", first.pointer, first.what, first.rule);
            Err(Refusal::new(&RESPONSE).note(note))
        });
        self.mode.settle(exchange, said)
    }
}

impl Promise<'_> {
    /// The number of the content whose schema the body is to be held to; none where it is not read.
    fn read(&self, exchange: &Exchange) -> Option<usize> {
        let media = media(exchange)?;
        let (number, found) = self.content(exchange, &media)?;
        let plain = !exchange.response.headers.has(Known::ContentEncoding);
        (plain && media.is_json() && found.schema.is_some()).then_some(number)
    }

    /// What the contract has for a body of this type; none also where there is no body.
    fn content(&self, exchange: &Exchange, media: &Media) -> Option<(usize, &Content)> {
        let bodiless = exchange.request.method == Method::Head || exchange.response.body.is_empty();
        if bodiless { None } else { content(&self.response.contents, media) }
    }

    /// The response's header fields that the contract has, and what is wrong with them.
    fn headers(&self, exchange: &Exchange) -> (Map<String, Value>, Vec<Violation>) {
        let (mut fields, mut wrong) = (Map::new(), Vec::new());
        let headers = &exchange.response.headers;
        for one in &self.response.headers {
            let mut reader = Reader::new(Guess::Typed);
            match fields::header(headers, one, &mut reader) {
                Err(Unread::Missing) if !one.required => {}
                Err(why) => {
                    wrong.push(violation("header", &one.name, why.what(), self.operation));
                }
                Ok(_) if one.schema.is_none() || reader.open => {}
                Ok(value) => drop(fields.insert(one.name.clone(), value)),
            }
        }
        let body = !exchange.response.body.is_empty() && exchange.request.method != Method::Head;
        let fits =
            media(exchange).is_some_and(|it| content(&self.response.contents, &it).is_some());
        if body && !self.response.contents.is_empty() && !fits {
            let what = "the contract has no such type for this status";
            wrong.push(violation("header", "content-type", what, self.operation));
        }
        let named = (!fields.is_empty()).then(|| ("header".to_owned(), fields.into()));
        (named.into_iter().collect(), wrong)
    }
}

/// The type that a response's body says it has.
fn media(exchange: &Exchange) -> Option<Media> {
    let value = exchange.response.headers.get(Known::ContentType)?;
    std::str::from_utf8(value).ok().map(Media::of)
}
