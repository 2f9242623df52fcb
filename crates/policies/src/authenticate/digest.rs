//! Digests of bodies (RFC 9530): whether a body is the one that a field speaks of.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{Algorithm, SHA256, SHA512, digest};
use policy::message::Request;
use policy::{Code, Fault, Refusal};

/// A body that is not the one that was signed.
pub(super) static MISMATCH: Code = Code {
    name: "digest_mismatch",
    status: 400,
    grpc: 3,
    title: "The body is not the one its digest was made of",
    proxy_error: "http_request_denied",
    fault: Fault::Caller,
    cure: "Make the digest of the bytes that are sent, after compression and without chunks.",
};

/// A body longer than the gateway holds back to look at its digest.
pub(super) static TOO_LARGE: Code = Code {
    name: "signed_body_too_large",
    status: 413,
    grpc: 8,
    title: "The body is too large to be checked against its signature",
    proxy_error: "http_request_error",
    fault: Fault::Caller,
    cure: "Send a smaller body; operators raise the policy's `body`.",
};

/// What a field says the body's digests are.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Digests {
    sha256: Option<Vec<u8>>,
    sha512: Option<Vec<u8>>,
}

impl Digests {
    /// Digests by their names as `Content-Digest` and `Digest` write them, in any case; none if
    /// there is no one that is good for anything.
    pub fn new(named: impl Iterator<Item = (String, Vec<u8>)>) -> Option<Self> {
        let mut digests = Self::default();
        for (name, value) in named {
            match name.to_ascii_lowercase().as_str() {
                "sha-256" => digests.sha256 = Some(value),
                "sha-512" => digests.sha512 = Some(value),
                _ => {}
            }
        }
        (digests != Self::default()).then_some(digests)
    }

    /// Whether each of them is that of `body`.
    pub fn are_of(&self, body: &[u8]) -> bool {
        let is = |algorithm: &'static Algorithm, said: &Option<Vec<u8>>| {
            said.as_ref().is_none_or(|said| {
                verify_slices_are_equal(digest(algorithm, body).as_ref(), said).is_ok()
            })
        };
        is(&SHA256, &self.sha256) & is(&SHA512, &self.sha512)
    }

    /// Holds back the body, at most `most` bytes, and looks whether it is the one.
    pub async fn check(&self, request: &mut Request, most: usize) -> Result<(), Refusal> {
        let too_large = || Refusal::new(&TOO_LARGE).detail(format!("at most {most} bytes"));
        if request.body.remaining().is_some_and(|length| length > most as u64) {
            return Err(too_large());
        }
        let held = request.body.hold(most).await?;
        if !held.whole {
            return Err(too_large());
        }
        if self.are_of(&held.bytes) { Ok(()) } else { Err(Refusal::new(&MISMATCH)) }
    }
}

/// The most bytes of a body to hold: what the policy's settings say, and never more than the
/// request may have.
pub(super) fn most(setting: u64, body_limit: u64) -> usize {
    usize::try_from(setting.min(body_limit)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::prelude::BASE64_STANDARD;

    use super::*;

    fn digests(named: &[(&str, &str)]) -> Option<Digests> {
        let decoded = |text: &str| BASE64_STANDARD.decode(text).unwrap();
        Digests::new(named.iter().map(|(name, text)| ((*name).to_owned(), decoded(text))))
    }

    /// RFC 9530, appendix B, as corrected by its errata.
    #[test]
    fn digests_are_those_of_the_examples() {
        let hello = b"{\"hello\": \"world\"}\n";
        let brotli = b"\x0b\x09\x80\x7b\x22hello\x22: \x22world\x22}\n\x03";
        let compressed = "d435Qo+nKZ+gLcUHn7GQtQ72hiBVAgqoLsZnZPiTGPk=";
        let compressed_512 = "db7fdBbgZMgX1Wb2MjA8zZj+rSNgfmDCEEXM8qLWfpfoNY0sCpHAzZbj09X1/7HAb7Od\
        5Qf\
                              to4QpuBsFbUO3dQ==";
        for (body, sha256) in [
            (&hello[..], "RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg="),
            (b"", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="),
            (b"\"world\"}\n", "jjcgBDWNAtbYUXI37CVG3gRuGOAjaaDRGpIUFsdyepQ="),
            (brotli, compressed),
            (b"{\"title\": \"New Title\"}\n", "mEkdbO7Srd9LIOegftO0aBX+VPTVz7/CSHes2Z27gc4="),
        ] {
            assert!(digests(&[("sha-256", sha256)]).unwrap().are_of(body), "{sha256}");
            assert!(!digests(&[("SHA-256", sha256)]).unwrap().are_of(b"other"), "{sha256}");
        }
        let both = [("sha-256", compressed), ("sha-512", compressed_512)];
        assert!(digests(&both).unwrap().are_of(brotli));
        let one_wrong = [("sha-256", "AAAA"), ("sha-512", compressed_512)];
        assert!(!digests(&one_wrong).unwrap().are_of(brotli), "all of them must be right");
        assert_eq!(digests(&[("md5", "AAAA")]), None, "nothing that is good for anything");
    }
}
