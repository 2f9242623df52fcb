//! Says which programs may call, by what they call themselves (`User-Agent`).
//!
//! This keeps out those who say who they are: crawlers, crawlers that feed AI, tools that look for
//! holes, libraries. Whoever wants to hide can call themselves a browser; against those there are
//! `rate`, authentication and `ip`.
//!
//! ```yaml
//! apis:
//!   - name: shop
//!     path: /
//!     upstream: http://127.0.0.1:9001
//!     policies:
//!       - bot:
//!           deny_known: [ scanners, ai ]
//!           deny: [ "^acme-sync/1\\." ]
//!           allow: [ "GPTBot" ]
//!           missing: refuse
//! ```
//!
//! `allow` and `deny` are regular expressions, found anywhere and in either case of letters. What
//! `allow` finds passes; else what `deny` or a list of `deny_known` finds is refused with 403; the
//! others pass, or are refused with `others: refuse`. Those who say nothing pass unless `missing:
//! refuse`. Who says several things at once is refused for one of them, and let through by `allow`
//! only for all.
//!
//! The lists of `deny_known`:
//!
//! - `scanners`: tools that look for holes, as sqlmap, Nikto, Nuclei, ZGrab;
//! - `ai`: crawlers that gather for models or answer by them, as GPTBot, ClaudeBot, CCBot;
//! - `crawlers`: those of search engines, archives, link previews and market research;
//! - `libraries`: programs that keep the name of what they are made with, as curl,
//!   python-requests, Go-http-client.
//!
//! With `mode: report` nothing is refused: what would have been stands as `note` in the access log.

mod lists;

use std::sync::Arc;

use base::{Pointer, Problem, Problems};
use policy::message::{Known, Request};
use policy::{
    Code, Compile, Exchange, Fault, Phase, Policy, PolicyKind, Posture, Refusal, Stage, Step,
};
use regex::bytes::RegexSet;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use self::lists::List;
use crate::expressions;
use crate::mode::Mode;

pub(crate) static KIND: PolicyKind = PolicyKind {
    name: "bot",
    phase: Phase::Admit,
    manual: crate::manual::manual!(),
    stage: Stage::Stable,
    posture: Posture { untrusted_callers: true, untrusted_upstreams: true, buffers: false },
    codes: &[&DENIED],
    schema: PolicyKind::schema_of::<Settings>,
    compile,
};

static DENIED: Code = Code {
    name: "program_denied",
    status: 403,
    grpc: 7,
    title: "Programs like this one may not call",
    proxy_error: "http_request_denied",
    fault: Fault::Caller,
    cure: "Say in User-Agent what calls; operators add it to the `allow` of the bot policy, or \
           remove what the log's note names from its `deny`.",
};

/// Which programs may call.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Bot")]
struct Settings {
    /// Regular expressions: whom they find passes.
    #[serde(default)]
    allow: Vec<String>,
    /// Regular expressions: whom they find is refused.
    #[serde(default)]
    deny: Vec<String>,
    /// Lists of programs that are refused.
    #[serde(default)]
    deny_known: Vec<List>,
    /// What becomes of those that neither finds.
    #[serde(default)]
    others: Choice,
    /// What becomes of those who do not say what they are.
    #[serde(default)]
    missing: Choice,
    /// Whether who is to be refused is.
    #[serde(default)]
    mode: Mode,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "BotChoice")]
enum Choice {
    /// It passes.
    #[default]
    Pass,
    /// It is refused.
    Refuse,
}

/// Says which programs may call.
#[derive(Debug)]
struct Bot {
    allow: RegexSet,
    deny: RegexSet,
    known: Vec<(List, RegexSet)>,
    others: Choice,
    missing: Choice,
    mode: Mode,
}

fn compile(
    settings: &Value,
    at: &Pointer,
    _: &mut Compile<'_>,
) -> Result<Arc<dyn Policy>, Problems> {
    let settings: Settings = PolicyKind::settings(settings, at)?;
    let mut problems = Problems::new();
    let mut set = |texts: &[String], key: &str| {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        expressions::any_case(&texts, &at.key(key)).unwrap_or_else(|bad| {
            problems.extend(bad);
            RegexSet::empty()
        })
    };
    let (allow, deny) = (set(&settings.allow, "allow"), set(&settings.deny, "deny"));
    let mut known = Vec::new();
    for list in settings.deny_known {
        match expressions::any_case(list.programs(), &at.key("deny_known")) {
            Ok(set) => known.push((list, set)),
            Err(bad) => problems.extend(bad),
        }
    }
    let refuses = settings.others == Choice::Refuse || settings.missing == Choice::Refuse;
    if problems.is_empty() && deny.is_empty() && known.is_empty() && !refuses {
        let what = "nobody is ever refused";
        let hint = "write `deny_known: [scanners]`, or `deny` with expressions of your own";
        problems.push(Problem::new(at, what).hint(hint));
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let Settings { others, missing, mode, .. } = settings;
    Ok(Arc::new(Bot { allow, deny, known, others, missing, mode }))
}

impl Policy for Bot {
    fn on_request<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        let said = self.judge(&exchange.request);
        Step::Done(self.mode.settle(exchange, said))
    }
}

impl Bot {
    fn judge(&self, request: &Request) -> Result<(), Refusal> {
        let refused = |why: String| Err(Refusal::new(&DENIED).note(why));
        let said = || request.headers.all(Known::UserAgent).filter(|text| !text.is_empty());
        if said().next().is_none() {
            return match self.missing {
                Choice::Pass => Ok(()),
                Choice::Refuse => refused("it has no User-Agent".to_owned()),
            };
        }
        if said().all(|text| self.allow.is_match(text)) {
            return Ok(());
        }
        for text in said() {
            if let Some(found) = self.deny.matches(text).iter().next() {
                let pattern = self.deny.patterns().get(found).map_or("", String::as_str);
                return refused(format!("`deny` finds it by `{pattern}`"));
            }
            if let Some((list, _)) = self.known.iter().find(|(_, set)| set.is_match(text)) {
                return refused(format!("it is one of the known {}", list.word()));
            }
        }
        match self.others {
            Choice::Pass => Ok(()),
            Choice::Refuse => refused("`allow` does not find it".to_owned()),
        }
    }
}
