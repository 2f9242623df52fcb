//! What stands behind `Basic`: a name and a password (RFC 7617).

use base64::Engine;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

/// Most bytes of what is decoded; nobody has a longer name and password.
const MOST: usize = 1_024;

/// With or without padding: clients differ.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A name and a password as a request shows them.
#[derive(PartialEq, Eq)]
pub(super) struct Credentials(String, usize);

impl Credentials {
    /// Reads what stands behind the scheme; none for what nobody could have meant: not base64, not
    /// UTF-8, no colon, control characters, or far too long.
    pub fn parse(token: &[u8]) -> Option<Self> {
        if token.len() > MOST {
            return None;
        }
        let text = String::from_utf8(BASE64.decode(token).ok()?).ok()?;
        if text.chars().any(char::is_control) {
            return None;
        }
        let colon = text.find(':')?;
        Some(Self(text, colon))
    }

    /// The name.
    pub fn name(&self) -> &str {
        self.0.get(..self.1).unwrap_or_default()
    }

    /// The password.
    pub fn password(&self) -> &str {
        self.0.get(self.1 + 1..).unwrap_or_default()
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credentials({:?}, ***)", self.name())
    }
}

#[cfg(test)]
mod tests {
    #![allow(non_snake_case, reason = "tests carry their number in the list of faults")]

    use base64::prelude::BASE64_STANDARD;

    use super::*;

    #[test]
    fn name_and_password_are_parted_at_the_first_colon() {
        for (text, name, password) in [
            ("anna:secret", "anna", "secret"),
            ("anna:a:b", "anna", "a:b"),
            ("anna:", "anna", ""),
            (":secret", "", "secret"),
            ("b\u{e4}rbel:gr\u{fc}n \u{2603}", "b\u{e4}rbel", "gr\u{fc}n \u{2603}"),
        ] {
            let padded = BASE64_STANDARD.encode(text);
            for token in [padded.trim_end_matches('='), &padded] {
                let found = Credentials::parse(token.as_bytes()).unwrap();
                assert_eq!((found.name(), found.password()), (name, password));
            }
        }
        let shown = format!("{:?}", Credentials::parse(b"YW5uYTpzZWNyZXQ").unwrap());
        assert_eq!(shown, "Credentials(\"anna\", ***)");
    }

    /// What no client means is no credential. Seen to fail: without the look at each, the text was
    /// split and looked up as it came.
    #[test]
    fn fa_E16_what_nobody_could_have_meant_is_nobody() {
        let encoded = |bytes: &[u8]| BASE64_STANDARD.encode(bytes).into_bytes();
        for token in [
            encoded(b"anna"),
            encoded(b"anna:se\0cret"),
            encoded(b"an\0na:secret"),
            encoded(b"anna:secret\r\n"),
            encoded(b"anna:\xff\xfe"),
            encoded(format!("anna:{}", "a".repeat(8_192)).as_bytes()),
            b"anna:secret".to_vec(),
            b"YW5uYTpzZWNyZXQ= x".to_vec(),
            b"YW5u=YTpzZWNyZXQ".to_vec(),
            Vec::new(),
        ] {
            assert_eq!(Credentials::parse(&token), None, "{}", token.escape_ascii());
        }
    }
}
