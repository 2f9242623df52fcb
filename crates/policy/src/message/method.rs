//! Methods (RFC 9110 §9).

use std::fmt;

use super::headers::is_token;

macro_rules! methods {
    ($($variant:ident = $text:literal,)*) => {
        /// A request's method: one of the common ones, or any other token of up to 32 bytes.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        pub enum Method {
            $(#[doc = $text] $variant,)*
            /// None yet: a request that has not been read.
            #[default]
            Unset,
            /// Another token, filled up with zeros.
            Other([u8; 32]),
        }

        impl Method {
            /// The method of this name; none if it is not a token or longer than 32 bytes.
            pub fn new(text: &[u8]) -> Option<Self> {
                match text {
                    $(t if t == $text.as_bytes() => return Some(Self::$variant),)*
                    _ => {}
                }
                let mut other = [0; 32];
                if text.is_empty() || !text.iter().all(|b| is_token(*b)) {
                    return None;
                }
                other.get_mut(..text.len())?.copy_from_slice(text);
                Some(Self::Other(other))
            }

            /// Its name.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)*
                    Self::Unset => "",
                    Self::Other(text) => {
                        let end = text.iter().position(|b| *b == 0).unwrap_or(text.len());
                        std::str::from_utf8(text.get(..end).unwrap_or_default()).unwrap_or_default()
                    }
                }
            }
        }
    };
}

methods! {
    Get = "GET",
    Head = "HEAD",
    Post = "POST",
    Put = "PUT",
    Delete = "DELETE",
    Patch = "PATCH",
    Options = "OPTIONS",
    Connect = "CONNECT",
    Trace = "TRACE",
}

impl Method {
    /// Whether doing it twice is the same as doing it once (RFC 9110 §9.2.2).
    pub const fn is_idempotent(self) -> bool {
        matches!(
            self,
            Self::Get | Self::Head | Self::Put | Self::Delete | Self::Options | Self::Trace
        )
    }

    /// Whether it only reads (RFC 9110 §9.2.1).
    pub const fn is_safe(self) -> bool {
        matches!(self, Self::Get | Self::Head | Self::Options | Self::Trace)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_token_is_a_method_and_nothing_else() {
        assert_eq!(Method::new(b"GET"), Some(Method::Get));
        assert_eq!(Method::new(b"PURGE").map(|m| m.to_string()).as_deref(), Some("PURGE"));
        assert_eq!(
            Method::new(b"get").map(|m| m.to_string()).as_deref(),
            Some("get"),
            "case counts"
        );
        for bad in [&b""[..], b"G ET", b"GET\r", b"A-METHOD-OF-33-BYTES-OR-CLOSE-BY-"] {
            assert_eq!(Method::new(bad), None);
        }
    }
}
