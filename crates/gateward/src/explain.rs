//! `gateward explain`: what would happen to a request, and why. Nothing is sent anywhere.

mod answer;
mod judge;
mod print;

use std::sync::Arc;

use dataplane::canonical;
use policy::message::{Method, Scheme};
use snapshot::{Bind, Listener, Snapshot};

use crate::cli::{Exit, ExplainArgs, LogFormat};
use crate::load::Loader;
use crate::run::fail;
use crate::terminal;
use answer::Answer;
use judge::Heard;

/// `gateward explain`.
pub fn explain(args: &ExplainArgs) -> Exit {
    let heard = Heard::default();
    let loader = Loader::new();
    let loaded = match loader.load_with(&args.config, &heard) {
        Ok(loaded) => loaded,
        Err(report) => {
            eprint!("{}", report.render(terminal::colours_err()));
            return Exit::Refused;
        }
    };
    let asked = match Asked::read(args) {
        Ok(asked) => asked,
        Err(error) => return fail(&error),
    };
    let listener = match listener(&loaded.snapshot, args.listener.as_deref(), &asked) {
        Ok(listener) => listener,
        Err(error) => return fail(&error),
    };
    let answer = match canonical(
        asked.method,
        asked.scheme,
        &asked.authority,
        &asked.target,
        &asked.headers,
        listener.limits.paths,
    ) {
        Ok(request) => {
            let answer = Answer::new(&loaded.snapshot, listener, &request);
            let judged = judge::judge(&loaded.snapshot, listener, request, args.client, &heard);
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
            match runtime.map(|runtime| runtime.block_on(judged)) {
                Ok(verdicts) => answer.judged(verdicts),
                Err(error) => return fail(&format!("the policies can't be asked: {error}")),
            }
        }
        Err(refusal) => Answer::refused(listener, &refusal),
    };
    match args.format {
        LogFormat::Text => print!("{}", print::text(&answer, terminal::colours_out())),
        LogFormat::Json => println!("{:#}", answer.to_json()),
    }
    if answer.takes.is_some() { Exit::Done } else { Exit::NoRoute }
}

/// The request as it was typed.
struct Asked {
    method: Method,
    scheme: Scheme,
    authority: String,
    port: u16,
    target: String,
    headers: Vec<(String, String)>,
}

impl Asked {
    fn read(args: &ExplainArgs) -> Result<Self, String> {
        let method = Method::new(args.method.as_bytes())
            .ok_or_else(|| format!("`{}` is not a method; write GET, POST, …", args.method))?;
        let wrong = || {
            format!(
                "`{}` is not a URL; write it whole, as in http://localhost:8080/orders/7",
                args.url
            )
        };
        let (scheme, rest) = args.url.split_once("://").ok_or_else(wrong)?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "http" | "ws" | "grpc" => Scheme::Http,
            "https" | "wss" | "grpcs" => Scheme::Https,
            _ => return Err(wrong()),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        let target = target.split('#').next().unwrap_or_default();
        let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
        let port = authority.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        let headers = args.headers.iter().map(|field| {
            let pair = field
                .split_once(':')
                .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()));
            pair.ok_or_else(|| {
                format!("`{field}` is not a header field; write it as `Name: value`")
            })
        });
        Ok(Self {
            method,
            scheme,
            authority: authority.to_owned(),
            port: port.unwrap_or_else(|| scheme.port()),
            target,
            headers: headers.collect::<Result<_, _>>()?,
        })
    }
}

/// The listener the request would come by: the one named, else the one at the URL's port, else one
/// that speaks its scheme, else the first.
fn listener<'s>(
    snapshot: &'s Snapshot,
    name: Option<&str>,
    asked: &Asked,
) -> Result<&'s Arc<Listener>, String> {
    let all = &snapshot.listeners;
    if let Some(name) = name {
        let known = || all.iter().map(|listener| &*listener.name);
        return all.iter().find(|listener| *listener.name == *name).ok_or_else(
            || match base::closest(name, known()) {
                Some(meant) => format!("there is no listener `{name}`; did you mean `{meant}`?"),
                None => format!(
                    "there is no listener `{name}`; there are {}",
                    known().collect::<Vec<_>>().join(", ")
                ),
            },
        );
    }
    let at_port = |listener: &&Arc<Listener>| match &listener.bind {
        Bind::Tcp(at) => at.port() == asked.port,
        Bind::Unix(_) => false,
    };
    let speaks =
        |listener: &&Arc<Listener>| listener.tls.is_some() == (asked.scheme == Scheme::Https);
    let best = all.iter().find(at_port).or_else(|| all.iter().find(speaks)).or_else(|| all.first());
    best.ok_or_else(|| "the document has no listener".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: &str, url: &str, headers: &[&str]) -> Result<Asked, String> {
        Asked::read(&ExplainArgs {
            method: method.into(),
            url: url.into(),
            headers: headers.iter().map(|field| (*field).to_owned()).collect(),
            listener: None,
            client: [127, 0, 0, 1].into(),
            config: "gateward.yaml".into(),
            format: LogFormat::Text,
        })
    }

    #[test]
    fn urls_are_taken_apart_as_clients_do() {
        for (url, authority, port, target) in [
            ("http://localhost:8080/orders/7?a=b#c", "localhost:8080", 8080, "/orders/7?a=b"),
            ("https://api.example.com", "api.example.com", 443, "/"),
            ("http://h?q", "h", 80, "/?q"),
            ("http://[::1]:9/x", "[::1]:9", 9, "/x"),
            ("wss://h/chat", "h", 443, "/chat"),
        ] {
            let asked = asked("GET", url, &["A: b"]).unwrap();
            assert_eq!(
                (asked.authority.as_str(), asked.port, asked.target.as_str()),
                (authority, port, target),
                "{url}"
            );
            assert_eq!(asked.headers, [("A".to_owned(), "b".to_owned())]);
        }
    }

    #[test]
    fn what_cannot_be_a_request_is_said_so() {
        assert!(asked("G T", "http://h/", &[]).is_err());
        assert!(asked("GET", "/orders", &[]).is_err());
        assert!(asked("GET", "ftp://h/", &[]).is_err());
        assert!(asked("GET", "http://h/", &["no colon"]).is_err());
    }
}
