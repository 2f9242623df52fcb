//! `gateward key`: keys for applications.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;
use base::{Moment, Span};
use config::v1::Key;
use serde_json::json;

use crate::cli::{Exit, KeyCommand, LogFormat, NewKeyArgs};
use crate::run::fail;

/// `gateward key`.
pub fn key(command: &KeyCommand) -> Exit {
    match command {
        KeyCommand::New(args) => new(args),
    }
}

/// Makes a key, and shows it this once: what is kept of it is its hash.
fn new(args: &NewKeyArgs) -> Exit {
    let Ok((key, sha256)) = issue() else { return fail("there is no randomness to be had") };
    let entry = Key {
        id: args.id.clone(),
        sha256,
        enabled: true,
        not_before: None,
        expires: args.expires,
        scopes: args.scopes.clone(),
    };
    match args.format {
        LogFormat::Text => print!("{}", text(args.application.as_deref(), &key, &entry)),
        LogFormat::Json => {
            let answer = json!({ "key": key, "application": args.application, "entry": entry });
            println!("{answer:#}");
        }
    }
    Exit::Done
}

/// A key, and its SHA-256 in hexadecimal.
fn issue() -> Result<(String, String), aws_lc_rs::error::Unspecified> {
    let mut drawn = Ok(());
    let key = policy::issue(|| {
        let mut byte = [0];
        // What comes without randomness is thrown away below.
        drawn = drawn.and(rand::fill(&mut byte));
        byte.first().copied().unwrap_or_default()
    });
    drawn?;
    let hash = digest(&SHA256, key.as_bytes());
    let hash = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok((key, hash))
}

/// The key, and the lines to put into a document.
fn text(application: Option<&str>, key: &str, entry: &Key) -> String {
    // A JSON text is YAML, whatever stands in it.
    let quoted = |text: &str| json!(text).to_string();
    let mut lines = Vec::new();
    lines.extend(entry.id.as_deref().map(|id| format!("id: {}", quoted(id))));
    lines.push(format!("sha256: {}", entry.sha256));
    lines.extend(entry.expires.map(|expires| format!("expires: \"{expires}\"")));
    if !entry.scopes.is_empty() {
        let scopes: Vec<String> = entry.scopes.iter().map(|scope| quoted(scope)).collect();
        lines.push(format!("scopes: [ {} ]", scopes.join(", ")));
    }
    let name = quoted(application.unwrap_or("NAME"));
    format!(
        "The key, shown this once:\n\n  {key}\n\n\
         For the document, which knows its hash alone:\n\n\
         applications:\n  - name: {name}\n    keys:\n      - {}\n",
        lines.join("\n        ")
    )
}

/// When a key ends: a point in time, or how long from now.
pub fn expires(text: &str) -> Result<Moment, String> {
    let Ok(span) = text.parse::<Span>() else {
        return text
            .parse::<Moment>()
            .map_err(|what| format!("{what}, or how long from now, as in 90d"));
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    now.checked_add(span.get()).map(Moment::since_1970).ok_or_else(|| "that is too far".to_owned())
}

/// A scope (RFC 6749 §3.3).
pub fn scope(text: &str) -> Result<String, String> {
    let good = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    match !text.is_empty() && text.bytes().all(good) {
        true => Ok(text.to_owned()),
        false => Err("a scope is one word of visible ASCII without `\"` and `\\`".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use config::{Memory, Schema};
    use policy::Issued;

    use super::*;

    #[test]
    fn what_is_printed_is_a_document_that_knows_the_key() {
        let (key, sha256) = issue().unwrap();
        let (other, _) = issue().unwrap();
        assert_ne!(key, other);
        assert_eq!(Issued::of(key.as_bytes()), Issued::Yes);
        let entry = Key {
            id: Some("a \"b\": #c".into()),
            sha256: sha256.clone(),
            enabled: true,
            not_before: None,
            expires: Some("2027-01-31".parse().unwrap()),
            scopes: vec!["orders:read".into(), "#x".into()],
        };
        let printed = text(Some("shop: the \"first\""), &key, &entry);
        assert_eq!(printed.matches(&key).count(), 1);
        let (_, document) = printed.split_once("applications:").unwrap();
        let document = format!("version: 1\napplications:{document}");
        let schema = Schema::any_policy();
        let written = config::read_text("a.yaml", &document, &schema, &Memory::default());
        let written = written.unwrap_or_else(|report| panic!("{report}\n{document}"));
        let application = &written.document.applications[0];
        assert_eq!(application.name, "shop: the \"first\"");
        assert_eq!(json!(application.keys), json!([entry]));
        let bare = Key { id: None, expires: None, scopes: Vec::new(), ..entry };
        assert!(text(None, &key, &bare).ends_with(&format!("      - sha256: {sha256}\n")));
    }

    #[test]
    fn an_end_is_a_day_a_time_or_a_while_from_now() {
        assert_eq!(expires("2027-01-31"), "2027-01-31".parse());
        let soon = expires("90d").unwrap();
        let later = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + 90 * 86_400;
        assert!(soon.as_secs() <= later && later - soon.as_secs() < 3600);
        assert!(expires("soon").unwrap_err().contains("90d"));
    }
}
