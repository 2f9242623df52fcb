//! The values of variables, taken from an exchange when an expression names them.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

use cel::common::types::{CelInt, CelList, CelMap, CelMapKey, CelNull, CelString};
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;
use smallvec::SmallVec;

use super::check::{Needs, PATTERN_PREFIX};
use super::claims::claims;
use super::cost::ELEMENTS;
use super::language::Pattern;
use super::vocabulary::Fact;
use crate::message::{Headers, Name};
use crate::{Caller, ClientCertificate, Exchange, RouteFacts, Tls};

/// The variables that one expression names, for one exchange.
pub(super) struct View<'x> {
    values: SmallVec<[(&'static str, Held<'x>); 4]>,
    patterns: &'x [Pattern],
}

/// Which values of a header field that came more than once.
#[derive(Clone, Copy)]
pub(super) enum Which {
    /// All of them, joined.
    All,
    /// The one of this number, or the last.
    One(usize),
}

impl Needs {
    /// How often the header field came that came most often of those that are named; 0 if none came
    /// twice.
    pub(super) fn repeated(&self, headers: &Headers) -> usize {
        let names = self.headers.as_deref().unwrap_or_default();
        let most = names.iter().map(|name| headers.all(name).count()).max().unwrap_or_default();
        if most > 1 { most } else { 0 }
    }
}

enum Held<'x> {
    Text(CelString<'x>),
    Number(CelInt),
    Null(CelNull),
    Map(CelMap<'x>),
    List(CelList<'x>),
}

impl<'x> View<'x> {
    /// Looks up what is needed.
    pub(super) fn of(
        exchange: &'x Exchange,
        needs: &'x Needs,
        which: Which,
    ) -> Result<Self, String> {
        let mut values = SmallVec::new();
        for variable in &needs.variables {
            values.push((variable.name, value(exchange, needs, variable.fact, which)?));
        }
        Ok(Self { values, patterns: &needs.patterns })
    }
}

impl VariableResolver for View<'_> {
    fn resolve<'b>(&'b self, name: &str) -> Option<CowVal<'b, 'b>> {
        if let Some((_, held)) = self.values.iter().find(|(known, _)| *known == name) {
            return Some(CowVal::Borrowed(match held {
                Held::Text(text) => text,
                Held::Number(number) => number,
                Held::Null(null) => null,
                Held::Map(map) => map,
                Held::List(list) => list,
            }));
        }
        let number: usize = name.strip_prefix(PATTERN_PREFIX)?.parse().ok()?;
        Some(CowVal::Borrowed(self.patterns.get(number)?))
    }
}

fn value<'x>(
    exchange: &'x Exchange,
    needs: &'x Needs,
    fact: Fact,
    which: Which,
) -> Result<Held<'x>, String> {
    let request = &exchange.request;
    let caller = exchange.caller.as_ref();
    let grant = caller.and_then(|caller| caller.grant.as_deref());
    let route = exchange.route.as_ref();
    let tls = exchange.connection.tls.as_ref();
    Ok(match fact {
        Fact::Method => text(request.method.as_str()),
        Fact::Scheme => text(request.target.scheme.text()),
        Fact::Host => text(request.target.authority.host()),
        Fact::Path => text(&request.target.path),
        Fact::Query => query(request.target.query.as_deref().unwrap_or_default())?,
        Fact::Headers => headers(&request.headers, needs.headers.as_deref(), which)?,
        Fact::Version => text(request.version.text()),
        Fact::Size => match request.body.remaining().and_then(|size| i64::try_from(size).ok()) {
            Some(size) => Held::Number(CelInt::from(size)),
            None => Held::Null(CelNull),
        },
        Fact::Address => Held::Text(CelString::from(exchange.client.to_string())),
        Fact::Application => maybe(caller.and_then(Caller::application_name)),
        Fact::Organization => maybe(caller.and_then(Caller::organization)),
        Fact::Credential => maybe(caller.map(|caller| &*caller.credential)),
        Fact::Labels => map(caller
            .into_iter()
            .filter_map(|caller| caller.application.as_ref())
            .flat_map(|application| application.labels.iter())
            .map(|(name, value)| (Cow::from(name.as_str()), Cow::from(value.as_str()))))?,
        Fact::CallerName => maybe(caller.and_then(Caller::name)),
        Fact::CallerSubject => maybe(grant.and_then(|grant| grant.subject.as_deref())),
        Fact::CallerIssuer => maybe(grant.and_then(|grant| grant.issuer.as_deref())),
        Fact::CallerScopes => list(caller.into_iter().flat_map(Caller::scopes), "scopes")?,
        Fact::CallerGroups => list(caller.into_iter().flat_map(Caller::groups), "groups")?,
        Fact::CallerClaims => match grant {
            Some(grant) => Held::Map(claims(&grant.claims, needs.claims.as_deref())?),
            None => Held::Map(CelMap::from(HashMap::new())),
        },
        Fact::CallerBy => maybe(caller.map(|caller| caller.by)),
        Fact::Api => maybe(route.map(RouteFacts::api)),
        Fact::ApiVersion => maybe(route.and_then(RouteFacts::version)),
        Fact::Route => maybe(route.map(RouteFacts::route)),
        Fact::Params => map(route.into_iter().flat_map(|route| {
            let params = route.params(&request.target.path);
            params.map(|(name, value)| (Cow::from(name), Cow::from(value)))
        }))?,
        Fact::Listener => text(&exchange.connection.listener),
        Fact::Tls => maybe(tls.map(|tls| tls.version)),
        Fact::ServerName => maybe(tls.and_then(|tls| tls.server_name.as_deref())),
        Fact::Subject => maybe(certificate(tls).map(|shown| shown.subject.as_str())),
        Fact::Names => {
            let names = certificate(tls).map(|shown| shown.names.as_slice()).unwrap_or_default();
            list(names.iter().map(String::as_str), "names of the client's certificate")?
        }
        Fact::Status => Held::Number(CelInt::from(i64::from(exchange.response.status.code()))),
        Fact::ResponseHeaders => {
            headers(&exchange.response.headers, needs.response.as_deref(), Which::All)?
        }
    })
}

/// A list of these texts, which are `what`.
fn list<'x>(texts: impl Iterator<Item = &'x str>, what: &str) -> Result<Held<'x>, String> {
    let boxed = |text: &'x str| -> Box<dyn Val + 'x> { Box::new(CelString::from(text)) };
    let texts: Vec<_> = texts.take(ELEMENTS as usize + 1).map(boxed).collect();
    if texts.len() as u64 > ELEMENTS {
        return Err(too_many(what));
    }
    Ok(Held::List(CelList::from(texts)))
}

fn text(text: &str) -> Held<'_> {
    Held::Text(CelString::from(text))
}

fn maybe(value: Option<&str>) -> Held<'_> {
    value.map_or(Held::Null(CelNull), text)
}

fn certificate(tls: Option<&Tls>) -> Option<&ClientCertificate> {
    tls?.client.as_deref()
}

/// Header fields by name: those of `names`, or all. Values that are no text can't be compared as
/// such: whatever stood in place of their bytes could be what a condition misses.
fn headers<'x>(
    headers: &'x Headers,
    names: Option<&'x [Name]>,
    which: Which,
) -> Result<Held<'x>, String> {
    let is_text = |value: &[u8]| std::str::from_utf8(value).is_ok();
    let all_text = match names {
        Some(names) => names.iter().all(|name| headers.all(name).all(is_text)),
        None => headers.iter().all(|(.., value)| is_text(value)),
    };
    if !all_text {
        return Err("a header field's value is not UTF-8: the expression is not evaluated".into());
    }
    match names {
        Some(names) => map(names.iter().flat_map(|name| {
            let text = move |value| (Cow::from(name.as_str()), String::from_utf8_lossy(value));
            let skipped = match which {
                Which::All => 0,
                Which::One(number) => headers.all(name).count().saturating_sub(1).min(number),
            };
            let taken = if let Which::One(_) = which { 1 } else { usize::MAX };
            headers.all(name).skip(skipped).take(taken).map(text)
        })),
        None => map(headers.iter().map(|(known, name, value)| {
            let name = match known.text() {
                "" => String::from_utf8_lossy(name).to_ascii_lowercase().into(),
                known => Cow::from(known),
            };
            (name, String::from_utf8_lossy(value))
        })),
    }
}

/// Query parameters by name.
fn query(query: &str) -> Result<Held<'_>, String> {
    map(query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(name), decoded(value))
    }))
}

/// A map of these; values of a name that comes again are joined by commas.
fn map<'x>(pairs: impl Iterator<Item = (Cow<'x, str>, Cow<'x, str>)>) -> Result<Held<'x>, String> {
    let mut joined: HashMap<Cow<'x, str>, Cow<'x, str>> = HashMap::new();
    for (name, value) in pairs {
        if joined.len() as u64 >= ELEMENTS && !joined.contains_key(&name) {
            return Err(too_many("headers, parameters or labels"));
        }
        match joined.entry(name) {
            Entry::Vacant(place) => drop(place.insert(value)),
            Entry::Occupied(mut place) => {
                let all = place.get_mut().to_mut();
                all.push(',');
                all.push_str(&value);
            }
        }
    }
    let string = |text: Cow<'x, str>| match text {
        Cow::Borrowed(text) => CelString::from(text),
        Cow::Owned(text) => CelString::from(text),
    };
    let boxed = |value| -> Box<dyn Val + 'x> { Box::new(string(value)) };
    let entries =
        joined.into_iter().map(|(name, value)| (CelMapKey::String(string(name)), boxed(value)));
    Ok(Held::Map(CelMap::from(entries.collect::<HashMap<_, _>>())))
}

fn too_many(what: &str) -> String {
    format!("there are more than {ELEMENTS} {what}: the expression is not evaluated")
}

/// A part of a query with its escapes resolved (`+` is a space, as forms have it); as it came where
/// they are broken.
fn decoded(part: &str) -> Cow<'_, str> {
    if !part.bytes().any(|byte| matches!(byte, b'%' | b'+')) {
        return Cow::from(part);
    }
    let mut out = Vec::with_capacity(part.len());
    let mut rest = part.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                let (Some(high), Some(low)) = (digit(rest.next()), digit(rest.next())) else {
                    return Cow::from(part);
                };
                out.push((high << 4 | low) as u8);
            }
            byte => out.push(byte),
        }
    }
    match String::from_utf8(out) {
        Ok(text) => Cow::from(text),
        Err(bytes) => String::from_utf8_lossy(bytes.as_bytes()).into_owned().into(),
    }
}
