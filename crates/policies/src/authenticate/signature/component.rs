//! What of a request is signed, and the text that is signed (RFC 9421 §2).

use policy::message::{Known, Name, Request};

use crate::structured::parse;
use crate::structured::value::{Bare, Item, Member, param, write_dictionary, write_list};

/// Components one signature may cover.
const COMPONENTS: usize = 64;

/// Fields known to be structured, and as what (RFC 9421 §2.1.1).
const STRUCTURED: &[(&str, Kind)] = &[
    ("accept", Kind::List),
    ("accept-encoding", Kind::List),
    ("accept-language", Kind::List),
    ("cache-control", Kind::Dictionary),
    ("client-cert", Kind::Item),
    ("client-cert-chain", Kind::List),
    ("content-digest", Kind::Dictionary),
    ("content-length", Kind::Item),
    ("content-type", Kind::Item),
    ("priority", Kind::Dictionary),
    ("repr-digest", Kind::Dictionary),
    ("signature", Kind::Dictionary),
    ("signature-input", Kind::Dictionary),
    ("want-content-digest", Kind::Dictionary),
    ("want-repr-digest", Kind::Dictionary),
];

#[derive(Clone, Copy)]
enum Kind {
    Item,
    List,
    Dictionary,
}

/// The text that is signed (RFC 9421 §2.5): a line for each of `covered`, then `parameters`, the
/// signature's parameters as they are written.
///
/// # Errors
/// What can't be made a line of.
pub(super) fn base(
    request: &Request,
    covered: &[Item],
    parameters: &str,
) -> Result<String, String> {
    if covered.len() > COMPONENTS {
        return Err(format!("it covers more than {COMPONENTS} components"));
    }
    let mut text = String::with_capacity(512);
    for (number, component) in covered.iter().enumerate() {
        if covered.iter().take(number).any(|earlier| is_same(earlier, component)) {
            return Err(format!("it covers {} twice", written(component)));
        }
        let value = value(request, component)
            .ok_or_else(|| format!("the request has no {} to be covered", written(component)))?;
        component.write(&mut text);
        text.push_str(": ");
        text.push_str(&value);
        text.push('\n');
    }
    text.push_str("\"@signature-params\": ");
    text.push_str(parameters);
    Ok(text)
}

fn written(component: &Item) -> String {
    let mut text = String::new();
    component.write(&mut text);
    text
}

/// Whether two identify the same component: the order of parameters says nothing.
fn is_same(one: &Item, other: &Item) -> bool {
    one.value == other.value
        && one.params.len() == other.params.len()
        && one.params.iter().all(|(name, value)| param(&other.params, name) == Some(value))
}

/// The value of a component; none where the request has none, or it can't be known here.
fn value(request: &Request, component: &Item) -> Option<String> {
    let name = component.value.as_str()?;
    if let Some(derived) = name.strip_prefix('@') {
        return derived_value(request, derived, component);
    }
    let target = &request.target;
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return None;
    }
    let mut values: Vec<Vec<u8>> = match Known::of(name.as_bytes()) {
        Known::Host => vec![target.authority.as_str().as_bytes().to_vec()],
        Known::ContentLength => vec![request.body.remaining()?.to_string().into_bytes()],
        _ => {
            let name = Name::new(name)?;
            request.headers.all(&name).map(|value| value.trim_ascii().to_vec()).collect()
        }
    };
    if values.is_empty() {
        return None;
    }
    let (mut structured, mut key) = (false, None);
    for (parameter, value) in &component.params {
        match (parameter.as_str(), value) {
            ("bs", Bare::Boolean(true)) => {
                values.iter_mut().for_each(|value| {
                    let mut text = String::new();
                    let item = Item { value: Bare::Bytes(std::mem::take(value)), params: vec![] };
                    item.write(&mut text);
                    *value = text.into_bytes();
                });
            }
            ("sf", Bare::Boolean(true)) => structured = true,
            ("key", Bare::String(name)) => key = Some(name),
            // Trailers come when all is decided; `req` is for responses.
            _ => return None,
        }
    }
    let joined = values.join(&b", "[..]);
    if let Some(key) = key {
        let (_, member) = parse::dictionary(&joined)?.into_iter().find(|(name, _)| name == key)?;
        let mut text = String::new();
        member.write(&mut text);
        return Some(text);
    }
    if structured {
        return restructured(name, &joined);
    }
    // What is not ASCII can't be in a signature base (§2.5).
    joined.is_ascii().then(|| String::from_utf8(joined).ok())?
}

/// A structured field, written strictly (§2.1.1).
fn restructured(name: &str, field: &[u8]) -> Option<String> {
    let (_, kind) = STRUCTURED.iter().find(|(known, _)| *known == name)?;
    let mut text = String::new();
    match kind {
        Kind::Item => parse::item(field)?.write(&mut text),
        Kind::List => write_list(&parse::list(field)?, &mut text),
        Kind::Dictionary => write_dictionary(&parse::dictionary(field)?, &mut text),
    }
    Some(text)
}

/// A component that is no field (§2.2).
fn derived_value(request: &Request, name: &str, component: &Item) -> Option<String> {
    let target = &request.target;
    if name == "query-param" {
        let [(known, Bare::String(name))] = &*component.params else { return None };
        return (known == "name").then(|| query_param(target.query.as_deref()?, name))?;
    }
    if !component.params.is_empty() {
        return None;
    }
    let with_query = |start: String| match &target.query {
        Some(query) => format!("{start}?{query}"),
        None => start,
    };
    let authority = target.authority.as_str();
    Some(match name {
        "method" => request.method.as_str().to_owned(),
        "authority" => authority.to_owned(),
        "scheme" => target.scheme.text().to_owned(),
        "path" => target.path.clone(),
        "query" => format!("?{}", target.query.as_deref().unwrap_or_default()),
        "request-target" => with_query(target.path.clone()),
        "target-uri" => {
            with_query(format!("{}://{authority}{}", target.scheme.text(), target.path))
        }
        _ => return None,
    })
}

/// The one parameter `name` of a query (§2.2.8), as it is written when it is encoded again.
fn query_param(query: &str, name: &str) -> Option<String> {
    let mut found = None;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (written, value) = pair.split_once('=').unwrap_or((pair, ""));
        // One that is there twice must not be covered.
        if recoded(written) == name && found.replace(recoded(value)).is_some() {
            return None;
        }
    }
    found
}

/// `text` decoded as forms are and encoded again.
fn recoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        let mut byte = *first;
        if byte == b'+' {
            byte = b' ';
        } else if byte == b'%'
            && let [high, low, after @ ..] = rest
            && let (Some(high), Some(low)) =
                (char::from(*high).to_digit(16), char::from(*low).to_digit(16))
        {
            byte = (high << 4 | low) as u8;
            rest = after;
        }
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'*' | b'-' | b'.' | b'_' => {
                out.push(char::from(byte));
            }
            byte => {
                let digit = |of: u8| char::from_digit(u32::from(of), 16).unwrap_or('0');
                let digits = [digit(byte >> 4), digit(byte & 15)];
                out.push('%');
                out.extend(digits.map(|digit| digit.to_ascii_uppercase()));
            }
        }
    }
    out
}

/// Whether `covered` covers the whole of what `name` names.
pub(super) fn covers(covered: &[Item], name: &str) -> bool {
    covered.iter().any(|component| {
        let Some(found) = component.value.as_str() else { return false };
        if found == name {
            // A `key` covers a part alone.
            return component.params.iter().all(|(name, _)| name != "key");
        }
        // `@target-uri` holds all there is of the target, `@request-target` path and query.
        match name {
            "@authority" | "@scheme" => found == "@target-uri",
            "@path" | "@query" => matches!(found, "@target-uri" | "@request-target"),
            _ => false,
        }
    })
}

/// The digests that `Content-Digest` tells: names and values.
pub(super) fn content_digest(request: &Request) -> Option<Vec<(String, Vec<u8>)>> {
    let name = Name::new("content-digest")?;
    let field: Vec<_> = request.headers.all(&name).collect();
    let members = parse::dictionary(&field.join(&b", "[..]))?.into_iter();
    Some(
        members
            .filter_map(|(name, member)| match member {
                Member::Item(Item { value: Bare::Bytes(bytes), .. }) => Some((name, bytes)),
                _ => None,
            })
            .collect(),
    )
}
