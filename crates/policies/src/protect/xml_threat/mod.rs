//! Refuses XML that is made to hurt whoever reads it.
//!
//! Entities that grow without bound, entities that read files or call servers, elements nested
//! thousands of levels deep: XML can do more than most of its readers know. The body is held back
//! until it is known to be well-formed XML within these bounds; at the first that is broken it is
//! refused with 400, which says which one.
//!
//! ```yaml
//! apis:
//!   - name: orders
//!     path: /orders
//!     upstream: http://127.0.0.1:9001
//!     policies:
//!       - xml_threat: { depth: 10, max: 64KiB }
//! ```
//!
//! A document type (DTD) is always refused, and with it external entities and expanding ones: no
//! setting allows them. So is every entity but `&lt;`, `&gt;`, `&amp;`, `&quot;` and `&apos;`. The
//! XML is of version 1.0, in UTF-8, with its namespaces declared.
//!
//! XML is what comes as `application/xml`, `text/xml` or a type that ends in `+xml`, SOAP among
//! them. Bodies of another `Content-Type` can't be looked into. They are refused with 415 unless
//! `other_types: pass` is written; XML that is compressed is refused with 415 in any case. A
//! request without a body passes. With `mode: report` nothing is refused: what would have been
//! stands as `note` in the access log.

mod walk;

use std::sync::Arc;

use base::{ByteSize, Pointer, Problem, Problems};
use policy::{
    Code, Compile, Exchange, Fault, Flow, Phase, Policy, PolicyKind, Posture, Refusal, Stage, Step,
    codes,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::mode::Mode;
use crate::protect::body::{self, Format, Other, Seen};
use walk::{Bad, Bounds, Broken};

pub(crate) static KIND: PolicyKind = PolicyKind {
    name: "xml_threat",
    phase: Phase::Protect,
    manual: crate::manual::manual!(),
    stage: Stage::Preview,
    posture: Posture { untrusted_callers: true, untrusted_upstreams: true, buffers: true },
    codes: &[&THREAT, &UNREADABLE, &TYPE, &codes::BODY_TOO_LARGE],
    schema: PolicyKind::schema_of::<Settings>,
    compile,
};

static THREAT: Code = Code {
    name: "xml_threat",
    status: 400,
    grpc: 3,
    title: "The XML is larger or deeper than is taken here, or has what is not taken",
    proxy_error: "http_request_denied",
    fault: Fault::Caller,
    cure: "Send less at once, and no document type: the detail says of what. Operators raise that \
           bound of the xml_threat policy where callers need more.",
};

static UNREADABLE: Code = Code {
    name: "body_not_xml",
    status: 400,
    grpc: 3,
    title: "The body is no XML, or could be read in two ways",
    proxy_error: "http_request_denied",
    fault: Fault::Caller,
    cure: "Send one well-formed document of XML 1.0 in UTF-8, its namespaces declared.",
};

static TYPE: Code = Code {
    name: "body_type_not_xml",
    status: 415,
    grpc: 3,
    title: "Only XML is taken here",
    proxy_error: "http_request_denied",
    fault: Fault::Caller,
    cure: "Send one Content-Type, application/xml, text/xml or one that ends in +xml, and no \
           Content-Encoding; operators let others through by `other_types: pass`.",
};

/// Deepest nesting that can be allowed: few readers take more.
const DEPTH_MAX: usize = 1_000;

/// What XML may be like.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "XmlThreat")]
struct Settings {
    /// Elements inside each other.
    #[schemars(range(max = 1000))]
    depth: usize,
    /// Elements in all.
    elements: usize,
    /// Elements right inside one.
    children: usize,
    /// Attributes of an element, declarations of namespaces among them.
    attributes: usize,
    /// Namespaces declared around an element.
    namespaces: usize,
    /// Bytes of a name.
    name: ByteSize,
    /// Bytes of an attribute's value.
    value: ByteSize,
    /// Bytes of a text between two tags.
    text: ByteSize,
    /// Whether there may be comments.
    comments: bool,
    /// Whether there may be processing instructions, such as `<?xml-stylesheet …?>`.
    instructions: bool,
    /// Bytes of the body, all of which is held back until it is looked through.
    max: ByteSize,
    /// What becomes of a body that is not as it should be.
    mode: Mode,
    /// What becomes of bodies that are not XML by their `Content-Type`.
    other_types: Other,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            depth: 20,
            elements: 10_000,
            children: 1_000,
            attributes: 50,
            namespaces: 20,
            name: ByteSize(256),
            value: ByteSize(8 << 10),
            text: ByteSize(64 << 10),
            comments: true,
            instructions: false,
            max: ByteSize(1 << 20),
            mode: Mode::default(),
            other_types: Other::default(),
        }
    }
}

/// Looks through XML.
#[derive(Debug)]
struct XmlThreat {
    bounds: Bounds,
    most: usize,
    mode: Mode,
    other: Other,
}

fn compile(
    settings: &Value,
    at: &Pointer,
    _: &mut Compile<'_>,
) -> Result<Arc<dyn Policy>, Problems> {
    let settings: Settings = PolicyKind::settings(settings, at)?;
    let mut problems = Problems::new();
    if settings.depth > DEPTH_MAX {
        let what = format!("nesting is looked through {DEPTH_MAX} deep at most");
        let hint = "few readers take more; leave the policy out where the upstream's does";
        problems.push(Problem::new(&at.key("depth"), what).hint(hint));
    }
    let counts = [("max", settings.max.0 == 0), ("elements", settings.elements == 0)];
    let nested = [("depth", settings.depth == 0), ("name", settings.name.0 == 0)];
    for (key, _) in counts.into_iter().chain(nested).filter(|(_, is_none)| *is_none) {
        let hint = "to let no body through use `body_size: { max: 0 }`";
        let what = "a bound of 0 lets no body through";
        problems.push(Problem::new(&at.key(key), what).hint(hint));
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let bytes = |size: ByteSize| usize::try_from(size.0).unwrap_or(usize::MAX);
    Ok(Arc::new(XmlThreat {
        bounds: Bounds {
            depth: settings.depth,
            elements: settings.elements,
            children: settings.children,
            attributes: settings.attributes,
            namespaces: settings.namespaces,
            name: bytes(settings.name),
            value: bytes(settings.value),
            text: bytes(settings.text),
            comments: settings.comments,
            instructions: settings.instructions,
        },
        most: bytes(settings.max),
        mode: settings.mode,
        other: settings.other_types,
    }))
}

impl Policy for XmlThreat {
    fn on_request<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        if let Some(seen) = body::at_hand(&exchange.request, Format::Xml, self.most) {
            let said = self.judge(seen);
            return Step::Done(self.mode.settle(exchange, said));
        }
        Step::Wait(Box::pin(async move {
            match body::hold(&mut exchange.request, self.most).await {
                Ok(seen) => {
                    let said = self.judge(seen);
                    self.mode.settle(exchange, said)
                }
                Err(broken) => Flow::Refuse(Box::new(broken.into())),
            }
        }))
    }
}

impl XmlThreat {
    fn judge(&self, seen: Seen) -> Result<(), Refusal> {
        let body = match seen {
            Seen::Nothing => return Ok(()),
            Seen::Other => return self.other.judge(&TYPE),
            Seen::Compressed => return Err(Refusal::new(&TYPE)),
            Seen::TooLarge => return Err(body::too_large(self.most)),
            Seen::Whole(body) => body,
        };
        let unreadable = |why: &str| Refusal::new(&UNREADABLE).detail(why);
        let text = std::str::from_utf8(&body).map_err(|_| unreadable("it is not UTF-8"))?;
        walk::check(text, &self.bounds).map_err(|bad| match bad {
            Bad::Form(why) => unreadable(why),
            Bad::Bound(broken, bound) => Refusal::new(&THREAT).detail(broken.told(bound)),
            Bad::Forbidden(what) => Refusal::new(&THREAT).detail(format!("it has {what}")),
        })
    }
}

impl Broken {
    /// What is told to whoever sent it.
    fn told(self, bound: usize) -> String {
        match self {
            Self::Depth => format!("elements are nested more than {bound} deep"),
            Self::Elements => format!("there are more than {bound} elements"),
            Self::Children => format!("an element has more than {bound} inside it"),
            Self::Attributes => format!("an element has more than {bound} attributes"),
            Self::Namespaces => format!("more than {bound} namespaces are declared"),
            Self::Name => format!("a name has more than {bound} bytes"),
            Self::Value => format!("an attribute has more than {bound} bytes"),
            Self::Text => format!("a text has more than {bound} bytes"),
        }
    }
}
