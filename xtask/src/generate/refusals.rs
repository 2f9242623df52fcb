//! `docs/manual/refusals.md`: every answer Gateward may give instead of the upstream's.

use std::fmt::Write;

use policy::{Code, Fault, PolicyKind};

use super::{Generated, cell};

const HEAD: &str = "\
<!-- Made by `cargo xtask generate` from `crates/policy/src/refusal.rs` and the policies. -->

# Refusals

A refusal is an answer Gateward gives instead of the upstream's: a status, and a body of type `application/problem+json` (RFC 9457) whose
`code` is one of the names below. The names are part of the API: programs may rely on them. gRPC calls get the gRPC status instead, and
`Proxy-Status` (RFC 9209) carries the error in both cases.

| code | status | gRPC | Proxy-Status | who can mend it | what it says | what to do |
|---|---|---|---|---|---|---|
";

/// The engine's codes, then those of the policies in their order.
pub fn generate(engine: &[&Code], kinds: &[&PolicyKind]) -> Generated {
    let mut text = HEAD.to_owned();
    engine.iter().for_each(|code| row(&mut text, code));
    for kind in kinds {
        let mut own = kind.codes.iter().filter(|code| !engine.contains(code)).peekable();
        if own.peek().is_none() {
            continue;
        }
        let _ = write!(
            text,
            "\n## Of the policy [`{0}`](policies/{0}.md)\n\n\
             | code | status | gRPC | Proxy-Status | who can mend it | what it says | what to do |\n\
             |---|---|---|---|---|---|---|\n",
            kind.name
        );
        own.for_each(|code| row(&mut text, code));
    }
    Generated { path: "docs/manual/refusals.md".into(), text }
}

fn row(text: &mut String, code: &Code) {
    let who = match code.fault {
        Fault::Caller => "the caller",
        Fault::Gateway => "the operator of the gateway",
        Fault::Upstream => "the operator of the upstream",
    };
    let _ = writeln!(
        text,
        "| `{}` | {} | {} | `{}` | {who} | {} | {} |",
        code.name,
        code.status,
        code.grpc,
        code.proxy_error,
        cell(code.title),
        cell(code.cure)
    );
}
