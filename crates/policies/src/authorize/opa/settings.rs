//! The settings of `opa`, and what may be wrong with them.

use base::{ByteSize, Pointer, Problem, Problems, Secret, Span};
use config::v1::UpstreamTls;
use policy::message::Name;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::asked::{Kept, Use, names, url};

/// Most bytes of a request's body that an agent is told.
const BODY_BYTES: u64 = 1 << 20;

/// Which agent decides, by which rule, and what it is told.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Opa")]
pub(super) struct Settings {
    /// The agent's URL, without `/v1/data`.
    url: String,
    /// The rule whose value decides, as a path: `orders/allow` for `data.orders.allow`.
    decision: String,
    /// The token that the agent knows the gateway by.
    #[serde(default)]
    pub(super) token: Option<Secret>,
    /// Header fields of the request that the agent is told.
    #[serde(default)]
    request_headers: Vec<String>,
    /// Most bytes of the request's body that the agent is told; none of it unless this is given. Of
    /// a longer one it is told the beginning, and that it is not whole.
    #[serde(default)]
    body: Option<ByteSize>,
    /// Header fields of a decision's `headers` that the upstream gets, in place of the client's:
    /// those that the client sends under these names never reach anybody.
    #[serde(default)]
    upstream_headers: Vec<String>,
    /// Header fields of a decision's `response_headers` that the client gets.
    #[serde(default)]
    client_headers: Vec<String>,
    /// Whether decisions are used again.
    #[serde(default)]
    pub(super) cache: Kept,
    /// Time the agent has to answer.
    #[serde(default = "timeout")]
    pub(super) timeout: Span,
    /// TLS towards the agent.
    #[serde(default)]
    pub(super) tls: UpstreamTls,
}

const fn timeout() -> Span {
    Span::secs(2)
}

/// Lists of header fields.
pub(super) struct Lists {
    pub(super) told: Vec<Name>,
    pub(super) upstream: Vec<Name>,
    pub(super) client: Vec<Name>,
}

impl Settings {
    /// The URL of the decision.
    pub(super) fn url(&self, at: &Pointer, problems: &mut Problems) -> Option<String> {
        let base = url(&self.url, &at.key("url"), problems);
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.~".contains(&b);
        let good =
            |part: &str| !part.is_empty() && part != "." && part != ".." && part.bytes().all(plain);
        if !self.decision.split('/').all(good) {
            let what = format!("`{}` is no path of a rule", self.decision);
            let hint = "write package and rule with slashes, as in `orders/allow` for \
                        `data.orders.allow`";
            problems.push(Problem::new(&at.key("decision"), what).hint(hint));
            return None;
        }
        Some(format!("{}/v1/data/{}", base?, self.decision))
    }

    /// The header fields that are told and passed on.
    pub(super) fn lists(&self, at: &Pointer, problems: &mut Problems) -> Lists {
        let mut list = |written: &[String], purpose, word: &str| {
            names(written, purpose, &at.key(word), problems)
        };
        Lists {
            told: list(&self.request_headers, Use::Told, "request_headers"),
            upstream: list(&self.upstream_headers, Use::Upstream, "upstream_headers"),
            client: list(&self.client_headers, Use::Client, "client_headers"),
        }
    }

    /// Most bytes of a body that are told.
    pub(super) fn body(&self, at: &Pointer, problems: &mut Problems) -> Option<usize> {
        let most = self.body?.0;
        if most == 0 || most > BODY_BYTES {
            let what = "an agent is told 1 byte to 1 MiB of a body";
            problems.push(Problem::new(&at.key("body"), what).hint("write `body: 8KiB`"));
        }
        usize::try_from(most).ok()
    }
}
