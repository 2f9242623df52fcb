//! The list: every fault and attack that is tested, numbered for good.

/// A fault or an attack.
pub struct Case {
    /// Its number: a section's letter and two digits.
    pub id: &'static str,
    /// What happens, in a few words.
    pub what: &'static str,
    /// Why there is no test yet, where there can't be one.
    pub not_yet: Option<&'static str>,
}

/// Cases that belong together.
pub struct Section {
    /// What they have in common.
    pub title: &'static str,
    /// In order.
    pub cases: &'static [Case],
}

const fn case(id: &'static str, what: &'static str) -> Case {
    Case { id, what, not_yet: None }
}

const fn later(id: &'static str, what: &'static str, why: &'static str) -> Case {
    Case { id, what, not_yet: Some(why) }
}

/// All sections.
pub const SECTIONS: &[Section] = &[
    Section { title: "A. HTTP/1 framing and smuggling", cases: FRAMING },
    Section { title: "B. HTTP/2", cases: HTTP2 },
    Section { title: "D. Trust in paths, hosts and header fields", cases: TRUST },
    Section { title: "G. Clients that use up what there is", cases: EXHAUSTION },
    Section { title: "H. WebSocket, gRPC, server-sent events, TCP", cases: STREAMS },
    Section { title: "I. Upstreams that fail or lie", cases: UPSTREAMS },
    Section { title: "J. Reload, upgrade, drain, crash", cases: PROCESS },
];

const FRAMING: &[Case] = &[
    case("A01", "Content-Length beside Transfer-Encoding"),
    case("A02", "two Content-Length that differ"),
    case("A03", "the same Content-Length twice, as fields or as a list"),
    case("A04", "an empty Content-Length, alone or before a real one"),
    case("A05", "a Content-Length that is not just digits, or too many"),
    case("A06", "transfer codings that are nearly, or not, chunked"),
    case("A07", "chunked announced twice"),
    case("A08", "HTTP/1.0 with a transfer coding, or a body without a length"),
    case("A09", "chunk sizes that are not hexadecimal digits, or too many"),
    case("A10", "chunk lines that end wrongly, chunks longer than said"),
    case("A11", "chunk extensions, long ones, and a chunk a byte"),
    case("A12", "bytes after the end of a body"),
    case("A13", "lines that end in LF alone"),
    case("A14", "CR, NUL and other control bytes in names and values"),
    case("A15", "space before the colon, before the first field, folded lines"),
    case("A16", "fields without a name, lines without a colon"),
    case("A17", "names that are no tokens, values with high bytes"),
    case("A18", "versions that are none, or not of this protocol"),
    case("A19", "methods that are no tokens, too long, unknown, in lower case"),
    case("A20", "targets of every strange form"),
    case("A21", "Host missing, twice, a list, empty, with more than a host in it"),
    case("A22", "Host that contradicts the target"),
    case("A23", "bodies on GET, HEAD, DELETE and TRACE"),
    case("A24", "an answer before the body was read, with a request hidden in it"),
    case("A25", "an upstream that answers before it has read the body"),
    case("A26", "Expect: met, unknown, answered otherwise, not waited for"),
    case("A27", "bytes for the new protocol before the upgrade was granted"),
    case("A28", "an upgrade to h2c"),
    case("A29", "CONNECT"),
    case("A30", "a thousand requests at once from a client that does not read"),
    case("A31", "trailers that pretend to be header fields"),
    case("A32", "responses that can be read in two ways"),
    case("A33", "responses that end early, or have no announced end"),
    case("A34", "the same bytes read by other implementations"),
];

const HTTP2: &[Case] = &[
    case("B01", "requests reset as soon as they are sent"),
    case("B02", "requests that make the server reset them"),
    case("B03", "header blocks that never end"),
    case("B04", "one large table entry, named again and again"),
    case("B05", "thousands of tiny fields per request, held by closed windows"),
    case("B06", "cookie crumbs and repeated fields beyond the count"),
    case("B07", "responses nobody lets flow"),
    case("B08", "windows opened a byte at a time"),
    case("B09", "frames without content"),
    case("B10", "bodies of one-byte frames"),
    case("B11", "control frames by the thousand, answers unread"),
    case("B12", "settings that are absurd or change all the time"),
    case("B13", "frames larger than allowed"),
    case("B14", "padding, and data on streams that were reset"),
    case("B15", "more streams than allowed"),
    case("B16", "stream numbers out of order"),
    case("B17", "conformance with RFC 9113"),
    case("B18", "one protocol where the other is spoken"),
    case("B19", "uploads nobody reads"),
    case("B20", "pseudo fields missing, doubled, unknown, out of place"),
    case("B21", "bytes in fields that would break out of an HTTP/1 line"),
    case("B22", "fields of a connection"),
    case("B23", "a Content-Length that the frames contradict"),
    case("B24", ":authority and Host that differ"),
    case("B25", "frames that follow a reset"),
    case("B26", "an upstream that breaks the protocol"),
    case("B27", "an upstream that says GOAWAY while requests run"),
    case("B28", "one stream that stalls among others"),
];

const TRUST: &[Case] = &[
    case("D01", "dot segments and double slashes around what is denied"),
    case("D02", "encoded dots, slashes and backslashes"),
    case("D03", "what is encoded twice"),
    case("D04", "path parameters, also on dot segments"),
    case("D05", "case, Unicode, overlong UTF-8, letters encoded for no reason"),
    case("D06", "encoded control characters"),
    case("D07", "stripping or rewriting that makes dot segments"),
    case("D08", "text of the caller in a rewrite's captures"),
    case("D09", "router, policies, log and upstream read the same path"),
    case("D10", "Connection that names the gateway's own fields"),
    case("D11", "X-Forwarded-For from a stranger"),
    case("D12", "X-Forwarded-For from a trusted proxy: long, strange, broken"),
    case("D13", "other fields proxies are believed by"),
    case("D14", "other spellings of protected names"),
    case("D15", "protected fields sent twice or in mixed case"),
    case("D16", "several values where one is matched"),
    case("D17", "values that are not UTF-8 under a negative match"),
    case("D18", "a server name that is not the Host"),
    case("D19", "a ClientHello in pieces, too long, or stalled"),
    case("D20", "a session ticket used where a certificate is asked for"),
    case("D21", "a connection used for a host it was not opened for"),
    case("D22", "internationalised names, and names that only look like them"),
    case("D23", "which of several matching hosts wins"),
    case("D24", "queries that servers read differently"),
    case("D25", "PROXY headers: missing, malformed, from strangers"),
    case("D26", "line ends in what is put into fields and redirects"),
    case("D27", "redirects that lead elsewhere"),
    case("D28", "fields of the upstream's connection"),
    case("D29", "upstreams that send control fields of other proxies"),
    case("D30", "authentication bound to a connection"),
];

const EXHAUSTION: &[Case] = &[
    case("G01", "heads sent a byte at a time"),
    case("G02", "bodies sent a byte at a time"),
    case("G03", "responses read a byte at a time"),
    case("G04", "connections that say nothing"),
    case("G05", "TLS handshakes by the hundred"),
    case("G06", "more connections than allowed"),
    case("G07", "one address with more connections than its share"),
    case("G08", "no file descriptors left"),
    case("G09", "every limit exactly, and one beyond"),
    case("G10", "fields that would be slow to process"),
    case("G11", "bodies beyond the limit, announced or not"),
    case("G12", "twice the load that can be carried"),
    case("G13", "memory running out"),
    case("G14", "metrics of endless labels"),
    case("G15", "limits of endless keys"),
    case("G16", "logs nobody takes"),
    case("G17", "what a byte of an attacker costs"),
    case("G18", "connections closed half-way"),
    case("G19", "connections reset in the middle of a response"),
];

const STREAMS: &[Case] = &[
    case("H01", "every kind of WebSocket message, untouched"),
    case("H02", "handshakes that are wrong or too much"),
    case("H03", "frames that are wrong pass through untouched"),
    later("H04", "compressed messages that explode", "messages are not looked into yet"),
    case("H05", "tunnels that idle cost little"),
    case("H06", "a slow reader holds back its sender, and nobody else"),
    case("H07", "WebSockets opened by foreign pages"),
    case("H08", "the API goes while a socket is open"),
    case("H09", "every failure has its gRPC status"),
    case("H10", "grpc-timeout that is junk, zero or endless"),
    case("H11", "long gRPC streams, slow readers, cancelled calls"),
    later("H12", "malformed gRPC-Web", "gRPC-Web is not spoken yet"),
    case("H13", "event streams across a drain"),
    case("H14", "TCP: half-closed, reset, nobody there"),
    case("H15", "TCP clients that leave before the upstream is reached"),
    later("H16", "floods of UDP sessions", "UDP is not carried yet"),
];

const UPSTREAMS: &[Case] = &[
    case("I01", "connection refused"),
    case("I02", "packets that vanish"),
    case("I03", "TLS that can't be trusted, stalls, or is no TLS"),
    case("I04", "name servers that fail, lie or answer too much"),
    case("I05", "a pooled connection closed at the moment of use"),
    case("I06", "a reset after a request that must not run twice"),
    case("I07", "a reset after a request that may"),
    case("I08", "the retry budget when everything is down"),
    case("I09", "the total timeout with tries in it"),
    case("I10", "Retry-After, sensible and not"),
    case("I11", "heads that trickle, bodies that stall"),
    case("I12", "heads that are too large"),
    case("I13", "a fast upstream and a slow client"),
    case("I14", "the breaker opens, tries, recovers"),
    case("I15", "more requests than an upstream may have"),
    case("I16", "one endpoint of several fails"),
    case("I17", "all endpoints fail"),
    case("I18", "health that flaps"),
    case("I19", "health checks pass and requests fail"),
    case("I20", "an endpoint that joins under load"),
    case("I21", "endpoints that come and go under hashing"),
    later("I22", "hedged requests", "requests are not hedged yet"),
    later("I23", "adaptive concurrency", "comes with the `concurrency` policy"),
    case("I24", "priorities under overload"),
    case("I25", "interim responses without end, and unasked 101"),
    case("I26", "a mirror that is dead, slow or endless"),
    case("I27", "the client leaves while the upstream works"),
    case("I28", "deadlines shrink on their way"),
];

const PROCESS: &[Case] = &[
    case("J01", "reloads under load"),
    case("J02", "binary upgrades under load"),
    later("J03", "binary upgrades under HTTP/3", "HTTP/3 is not spoken yet"),
    case("J04", "a new binary that fails"),
    case("J05", "an upgrade without the control plane"),
    case("J06", "fewer cores after an upgrade"),
    case("J07", "a stop with everything open"),
    case("J08", "a request at the moment of the stop"),
    case("J09", "the end of the grace"),
    case("J10", "signals in any number and order"),
    case("J11", "the serving process is killed under load"),
    case("J12", "killed while the last good document is written"),
    case("J13", "a document that kills the process"),
    case("J14", "a process that was stopped for a while"),
    case("J15", "a core that is stuck"),
    case("J16", "listeners added, changed, removed, refused"),
    case("J17", "certificates rotated, expired, mismatched, half-written"),
    case("J18", "what is left behind by many reloads"),
    case("J19", "an older binary and a newer state"),
];
