//! Header names the gateway itself has to do with, as small numbers: finding one compares bytes,
//! not words.

macro_rules! known {
    ($($variant:ident = $text:literal,)*) => {
        /// A header name the gateway has to do with.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Known {
            /// Any other name.
            Other,
            $(#[doc = concat!("`", $text, "`")] $variant,)*
        }

        /// Number of known names.
        const NAMES: usize = [$($text),*].len();

        /// The known names with their texts, in order.
        static ALL: [(Known, &str); NAMES] = [$((Known::$variant, $text)),*];

        impl Known {
            /// The name, in lower case; empty for [`Known::Other`].
            pub const fn text(self) -> &'static str {
                match self {
                    Self::Other => "",
                    $(Self::$variant => $text,)*
                }
            }
        }

        /// The same for constants, which can't read statics.
        const TEXTS: [&str; NAMES] = [$($text),*];
    };
}

/// Places of the table names are found by: one look and one comparison. Many, so that a seed is
/// soon found.
const PLACES: usize = 1024;

/// What spreads the names over the table so that no two share a place; found when this is compiled.
const SEED: usize = seed();

/// For each place the number of its name in [`ALL`], and [`NAMES`] where it has none.
static TABLE: [u8; PLACES] = table();

/// The place of `name`, told by its length and four of its bytes, in any case.
#[allow(clippy::indexing_slicing, reason = "the name is not empty and each index below its length")]
const fn place(name: &[u8], seed: usize) -> usize {
    let len = name.len();
    if len == 0 {
        return 0;
    }
    let first = (name[0] | 0x20) as usize;
    let middle = (name[len / 2] | 0x20) as usize;
    let last = (name[len - 1] | 0x20) as usize;
    // Tells -host from -port.
    let fourth = (name[len.saturating_sub(4)] | 0x20) as usize;
    let mixed = len | (first << 8) | (middle << 16) | (last << 24) | (fourth << 32);
    (mixed.wrapping_mul(seed) >> 40) % PLACES
}

const fn seed() -> usize {
    let mut seed = 0x9e37_79b9_7f4a_7c15;
    while !spreads(seed) {
        seed += 2;
    }
    seed
}

#[allow(clippy::indexing_slicing, reason = "runs while this is compiled, never after")]
const fn spreads(seed: usize) -> bool {
    let mut taken = [false; PLACES];
    let mut at = 0;
    while at < NAMES {
        let place = place(TEXTS[at].as_bytes(), seed);
        if taken[place] {
            return false;
        }
        taken[place] = true;
        at += 1;
    }
    true
}

#[allow(clippy::indexing_slicing, reason = "runs while this is compiled, never after")]
const fn table() -> [u8; PLACES] {
    let mut table = [NAMES as u8; PLACES];
    let mut at = 0;
    while at < NAMES {
        table[place(TEXTS[at].as_bytes(), SEED)] = at as u8;
        at += 1;
    }
    table
}

impl Known {
    /// Which one `name` is, in any case.
    #[inline]
    pub fn of(name: &[u8]) -> Self {
        let number = TABLE.get(place(name, SEED)).copied().unwrap_or_default();
        match ALL.get(usize::from(number)) {
            Some((known, text)) if is(name, text.as_bytes()) => *known,
            _ => Self::Other,
        }
    }

    /// Whether it is a field by which proxies tell where a request came from: strangers' go, and
    /// `Connection` can't remove it.
    pub const fn tells_where_from(self) -> bool {
        matches!(
            self,
            Self::Forwarded
                | Self::XForwardedFor
                | Self::XForwardedHost
                | Self::XForwardedPort
                | Self::XForwardedPrefix
                | Self::XForwardedProto
                | Self::XRealIp
        )
    }
}

/// Whether `name` is `text`, a known name, in any case. Compares words, not bytes: the last word of
/// a name overlaps the one before.
fn is(name: &[u8], text: &[u8]) -> bool {
    if name.len() != text.len() {
        return false;
    }
    match name.len() {
        8..=16 => {
            let long = |word: &[u8; 8]| u64::from_le_bytes(*word);
            same(name.first_chunk().map(long), text.first_chunk().map(long))
                && same(name.last_chunk().map(long), text.last_chunk().map(long))
        }
        4..8 => {
            let short = |word: &[u8; 4]| u64::from(u32::from_le_bytes(*word));
            same(name.first_chunk().map(short), text.first_chunk().map(short))
                && same(name.last_chunk().map(short), text.last_chunk().map(short))
        }
        _ => name.eq_ignore_ascii_case(text),
    }
}

/// Whether the bytes of `name` are those of `text`, a known name's, but for the case of letters: in
/// lower-case names just the letters have bit 0x40, and in them bit 0x20 does not count.
fn same(name: Option<u64>, text: Option<u64>) -> bool {
    let (Some(name), Some(text)) = (name, text) else { return false };
    let letters = (text & 0x4040_4040_4040_4040) >> 1;
    (name ^ text) & !letters == 0
}

known! {
    Accept = "accept",
    AcceptEncoding = "accept-encoding",
    AccessControlAllowOrigin = "access-control-allow-origin",
    AccessControlRequestHeaders = "access-control-request-headers",
    AccessControlRequestMethod = "access-control-request-method",
    AccessControlRequestPrivateNetwork = "access-control-request-private-network",
    Allow = "allow",
    Authorization = "authorization",
    CacheControl = "cache-control",
    Connection = "connection",
    ContentEncoding = "content-encoding",
    ContentLength = "content-length",
    ContentType = "content-type",
    Cookie = "cookie",
    Date = "date",
    Expect = "expect",
    Forwarded = "forwarded",
    GrpcMessage = "grpc-message",
    GrpcStatus = "grpc-status",
    GrpcTimeout = "grpc-timeout",
    Host = "host",
    Http2Settings = "http2-settings",
    KeepAlive = "keep-alive",
    Location = "location",
    Origin = "origin",
    ProxyAuthenticate = "proxy-authenticate",
    ProxyAuthorization = "proxy-authorization",
    ProxyConnection = "proxy-connection",
    ProxyStatus = "proxy-status",
    RateLimit = "ratelimit",
    RateLimitPolicy = "ratelimit-policy",
    RetryAfter = "retry-after",
    SecWebSocketAccept = "sec-websocket-accept",
    SecWebSocketKey = "sec-websocket-key",
    SecWebSocketProtocol = "sec-websocket-protocol",
    SecWebSocketVersion = "sec-websocket-version",
    Server = "server",
    SetCookie = "set-cookie",
    Te = "te",
    Trailer = "trailer",
    TraceParent = "traceparent",
    TraceState = "tracestate",
    TransferEncoding = "transfer-encoding",
    Upgrade = "upgrade",
    UserAgent = "user-agent",
    Vary = "vary",
    Via = "via",
    WwwAuthenticate = "www-authenticate",
    XForwardedFor = "x-forwarded-for",
    XForwardedHost = "x-forwarded-host",
    XForwardedPort = "x-forwarded-port",
    XForwardedPrefix = "x-forwarded-prefix",
    XForwardedProto = "x-forwarded-proto",
    XRealIp = "x-real-ip",
    XRequestId = "x-request-id",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_in_any_case() {
        assert_eq!(Known::of(b"Content-LENGTH"), Known::ContentLength);
        assert_eq!(Known::of(b"content-lengthy"), Known::Other);
        assert_eq!(Known::of(b""), Known::Other);
        assert_eq!(Known::ContentLength.text(), "content-length");
    }

    #[test]
    fn every_known_name_is_found_and_its_neighbours_are_not() {
        for (known, text) in ALL {
            assert_eq!(Known::of(text.as_bytes()), known);
            assert_eq!(Known::of(text.to_uppercase().as_bytes()), known);
            for wrong in
                [&text[1..], &text[..text.len() - 1], &format!("{}q", &text[..text.len() - 1])]
            {
                assert!(!Known::of(wrong.as_bytes()).text().eq(text), "{wrong}");
            }
        }
    }
}
