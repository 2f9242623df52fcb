//! Lets in callers by the certificate they show when they connect.
//!
//! The listener asks for certificates and verifies them against its authority
//! (`client_certificates`, with `mode: request` where not all of its APIs need one); this policy
//! says whose certificate is which application's, and turns everyone else away with 403.
//!
//! ```yaml
//! apis:
//!   - name: orders
//!     path: /orders
//!     upstream: http://127.0.0.1:9001
//!     policies:
//!       - mtls:
//!           callers:
//!             - { san: "dns:shop.acme.example", application: shop }
//!             - { subject: "CN=batch, O=acme", application: batch }
//!             - { sha256: 2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683 }
//! applications:
//!   - name: shop
//!   - name: batch
//! ```
//!
//! A caller is found by a name the certificate is for (`san`, with its kind: `dns:`, `email:`,
//! `uri:`, `ip:`), by its whole `subject` as RFC 4514 writes it, or by the SHA-256 of its DER form.
//! A common name alone is nobody's name, and neither is a name with a `*` in it. `anyone: true`
//! takes every certificate that the listener's authority signed, without an application.
//!
//! `crl` names files with lists of revoked certificates (PEM or DER, up to 4 MiB each); they are
//! read again when they change. A certificate whose issuer has no current list in them is refused,
//! since it can't be told. A list that can't be read refuses the whole document; what ran before
//! goes on.
//!
//! A connection may outlive its certificate: that it has not ended is checked with every request.

mod certificate;
mod revoked;

use std::sync::Arc;
use std::time::Duration;

use base::{Pointer, Problem, Problems};
use policy::{
    Application, Caller, ClientCertificate, Code, Compile, Exchange, Fault, Grant, Phase, Policy,
    PolicyKind, Posture, Refusal, Stage, Step,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::asked::{Answers, Told};
use certificate::{Facts, San};
use revoked::{Lists, Standing};

pub(crate) static KIND: PolicyKind = PolicyKind {
    name: "mtls",
    phase: Phase::Authenticate,
    manual: crate::manual::manual!(),
    stage: Stage::Stable,
    posture: Posture { untrusted_callers: true, untrusted_upstreams: true, buffers: false },
    codes: &[
        &MISSING,
        &UNKNOWN,
        &ENDED,
        &REVOKED,
        &UNCERTAIN,
        &policy::codes::APPLICATION_DISABLED,
        &policy::codes::ORGANIZATION_DISABLED,
    ],
    schema: PolicyKind::schema_of::<Settings>,
    compile,
};

static MISSING: Code = Code {
    name: "mtls_missing",
    status: 403,
    grpc: 16,
    title: "A client certificate is needed",
    proxy_error: "http_request_denied",
    fault: Fault::Caller,
    cure: "Connect over TLS with a client certificate; operators let the listener ask for it with \
           client_certificates.",
};

static UNKNOWN: Code = Code {
    name: "mtls_unknown",
    status: 403,
    grpc: 7,
    title: "The client certificate is not one of a known caller",
    proxy_error: "http_request_denied",
    fault: Fault::Caller,
    cure: "Use the certificate that was registered; operators add its names to the policy's callers.",
};

static ENDED: Code = Code {
    name: "mtls_ended",
    status: 403,
    grpc: 16,
    title: "The client certificate has ended",
    proxy_error: "http_request_denied",
    fault: Fault::Caller,
    cure: "Connect again with a certificate that is valid.",
};

static REVOKED: Code = Code {
    name: "mtls_revoked",
    status: 403,
    grpc: 16,
    title: "The client certificate was revoked",
    proxy_error: "http_request_denied",
    fault: Fault::Caller,
    cure: "Get a new certificate from its issuer.",
};

static UNCERTAIN: Code = Code {
    name: "mtls_revocation_unknown",
    status: 403,
    grpc: 7,
    title: "Whether the client certificate was revoked can't be told",
    proxy_error: "http_request_denied",
    fault: Fault::Gateway,
    cure: "Operators put a current list of the certificate's issuer into one of the policy's crl \
           files; lists end with their nextUpdate.",
};

/// Most certificates of which it is kept whose they are.
const KEPT: usize = 10_000;

/// Whose certificates are taken.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Mtls")]
struct Settings {
    /// Who calls with which certificate. The first that fits counts.
    callers: Vec<Written>,
    /// Whether others are let in too, known by their certificate alone.
    anyone: bool,
    /// Files with lists of revoked certificates.
    crl: Vec<String>,
}

/// A caller, by one of the ways to know a certificate.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "MtlsCaller")]
struct Written {
    /// A name the certificate is for, with its kind: `dns:shop.example`, `email:`, `uri:`, `ip:`.
    #[serde(default)]
    san: Option<String>,
    /// Its whole subject, as RFC 4514 writes it: `CN=shop, O=acme`.
    #[serde(default)]
    subject: Option<String>,
    /// The SHA-256 of its DER form, in hexadecimal digits.
    #[serde(default)]
    sha256: Option<String>,
    /// The application that calls.
    #[serde(default)]
    application: Option<String>,
}

/// How a certificate is known.
#[derive(Debug)]
enum By {
    San(San),
    Subject(String),
    Sha256([u8; 32]),
}

#[derive(Debug)]
struct Known {
    by: By,
    application: Option<Arc<Application>>,
}

/// Asks for a certificate.
#[derive(Debug)]
struct Mtls {
    callers: Vec<Known>,
    anyone: bool,
    /// None where revocation is not asked about.
    lists: Option<Lists>,
    /// Whose certificates were, by their SHA-256.
    kept: Arc<Answers<Result<Caller, &'static Code>>>,
}

fn compile(
    settings: &Value,
    at: &Pointer,
    cx: &mut Compile<'_>,
) -> Result<Arc<dyn Policy>, Problems> {
    let settings: Settings = PolicyKind::settings(settings, at)?;
    let mut problems = Problems::new();
    if settings.callers.is_empty() && !settings.anyone {
        let problem = Problem::new(&at.key("callers"), "an empty list lets nobody in");
        problems.push(problem.hint("write whose certificates are taken, or `anyone: true`"));
    }
    let mut callers = Vec::with_capacity(settings.callers.len());
    for (number, written) in settings.callers.iter().enumerate() {
        callers.extend(known(written, &at.key("callers").index(number), cx, &mut problems));
    }
    let mut lists = (!settings.crl.is_empty()).then(Lists::default);
    for (number, name) in settings.crl.iter().enumerate() {
        let at = at.key("crl").index(number);
        let read = cx.world.read(name, "list of revoked certificates", revoked::BYTES, &at);
        match (read, &mut lists) {
            (Ok(bytes), Some(lists)) => {
                if let Err(what) = lists.add(&bytes) {
                    let problem = Problem::new(&at, format!("`{name}` can't be used: {what}"));
                    problems.push(problem.hint("get the list anew from the certificates' issuer"));
                }
            }
            (Err(problem), _) => problems.push(problem),
            (Ok(_), None) => {}
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let kept = Arc::new(Answers::new(KEPT));
    Ok(Arc::new(Mtls { callers, anyone: settings.anyone, lists, kept }))
}

fn known(
    written: &Written,
    at: &Pointer,
    cx: &Compile<'_>,
    problems: &mut Problems,
) -> Option<Known> {
    let by = match (&written.san, &written.subject, &written.sha256) {
        (Some(san), None, None) => San::read(san).map(By::San).ok_or((
            "san",
            "this is no name that a certificate can be known by",
            "write its kind and the whole name, as in `dns:shop.acme.example`",
        )),
        (None, Some(subject), None) if subject.contains('=') => Ok(By::Subject(subject.clone())),
        (None, Some(_), None) => {
            Err(("subject", "this is no subject", "write all of it, as in `CN=shop, O=acme`"))
        }
        (None, None, Some(hex)) => digits(hex).map(By::Sha256).ok_or((
            "sha256",
            "this is no SHA-256",
            "write 64 hexadecimal digits: openssl x509 -fingerprint -sha256 shows them",
        )),
        _ => Err(("", "a caller is known in one way", "write `san`, `subject` or `sha256`")),
    };
    let application = match &written.application {
        None => None,
        Some(name) => match cx.directory.by_name(name) {
            Some(found) => Some(found.clone()),
            None => {
                let what = format!("there is no application `{name}`");
                let problem = Problem::new(&at.key("application"), what);
                problems.push(problem.hint("name one that stands in `applications`"));
                return None;
            }
        },
    };
    match by {
        Ok(by) => Some(Known { by, application }),
        Err((key, what, hint)) => {
            let at = if key.is_empty() { at.clone() } else { at.key(key) };
            problems.push(Problem::new(&at, what).hint(hint));
            None
        }
    }
}

/// The bytes of 64 hexadecimal digits, which may stand in pairs with colons between them.
fn digits(hex: &str) -> Option<[u8; 32]> {
    let plain: String = hex.chars().filter(|c| *c != ':').collect();
    if plain.len() != 64 || !plain.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; 32];
    for (to, pair) in bytes.iter_mut().zip(plain.as_bytes().chunks_exact(2)) {
        *to = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

impl Policy for Mtls {
    fn on_request<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        let tls = exchange.connection.tls.as_ref();
        let Some(client) = tls.and_then(|tls| tls.client.as_ref()) else {
            return Step::refuse(Refusal::new(&MISSING).absent());
        };
        let now = exchange.wall;
        let told = self.kept.find(&client.sha256, now).unwrap_or_else(|| self.judge(client, now));
        match &told.value {
            Ok(caller) => {
                let caller = caller.clone();
                exchange.caller = Some(caller);
                Step::next()
            }
            Err(code) => Step::refuse(Refusal::new(code)),
        }
    }
}

impl Mtls {
    /// Whose certificate it is. Kept until it ends, or its issuer's list does.
    fn judge(
        &self,
        client: &ClientCertificate,
        now: Duration,
    ) -> Arc<Told<Result<Caller, &'static Code>>> {
        let (value, until) = match self.caller(client, now) {
            Ok((caller, until)) => (Ok(caller), until),
            // What is refused may be let in when the clock is set, so it is looked at each time.
            Err(code) => (Err(code), now),
        };
        let good = value.is_ok();
        let told = Arc::new(Told { value, until, good });
        if good {
            self.kept.keep(client.sha256, told.clone());
        }
        told
    }

    fn caller(
        &self,
        client: &ClientCertificate,
        now: Duration,
    ) -> Result<(Caller, Duration), &'static Code> {
        let facts = Facts::read(&client.der).ok_or(&UNKNOWN)?;
        if now >= facts.ends {
            return Err(&ENDED);
        }
        let mut until = facts.ends;
        if let Some(lists) = &self.lists {
            match lists.standing(&facts.issuer, &facts.serial, now) {
                Standing::Good(renewed) => until = until.min(renewed),
                Standing::Revoked => return Err(&REVOKED),
                Standing::Unknown => return Err(&UNCERTAIN),
            }
        }
        let is_it = |known: &&Known| match &known.by {
            By::San(name) => facts.names.contains(name),
            By::Subject(subject) => *subject == client.subject,
            By::Sha256(hash) => *hash == client.sha256,
        };
        let found = self.callers.iter().find(is_it);
        if found.is_none() && !self.anyone {
            return Err(&UNKNOWN);
        }
        let application = found.and_then(|known| known.application.clone());
        if let Some(application) = &application {
            application.may_call()?;
        }
        let grant = Grant {
            subject: Some(client.subject.as_str()).filter(|it| !it.is_empty()).map(Into::into),
            expires: Some(facts.ends),
            ..Grant::default()
        };
        let credential = hex(client.sha256.get(..8).unwrap_or_default());
        Ok((Caller { application, credential, by: KIND.name, grant: Some(Arc::new(grant)) }, until))
    }
}

/// The start of a fingerprint: enough to tell certificates apart in a log.
fn hex(bytes: &[u8]) -> Arc<str> {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into()
}

#[cfg(test)]
mod tests;
