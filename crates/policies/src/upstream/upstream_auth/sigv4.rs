//! Signatures as Amazon's services want them (AWS Signature Version 4).

use std::fmt::Write;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;

/// What stands for the hash of a body that is not signed.
pub(super) const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

/// What is signed with, and for whom.
pub(super) struct Signer<'s> {
    /// Names the secret.
    pub access_key_id: &'s str,
    /// The secret.
    pub secret: &'s [u8],
    /// As `eu-central-1`.
    pub region: &'s str,
    /// As `execute-api`.
    pub service: &'s str,
}

/// What is signed.
pub(super) struct Signed<'s> {
    /// The method.
    pub method: &'s str,
    /// The path, as it is sent.
    pub path: &'s str,
    /// The query, as it is sent.
    pub query: &'s str,
    /// Fields: names in lower case, values. In any order.
    pub fields: Vec<(String, String)>,
    /// The SHA-256 of the body, in hexadecimal, or what stands for it.
    pub body: &'s str,
    /// The time, as `20150830T123600Z`.
    pub time: &'s str,
}

/// The value of `Authorization`.
pub(super) fn authorization(signer: &Signer<'_>, mut signed: Signed<'_>) -> String {
    signed.fields.sort();
    let names = names(&signed.fields);
    let canonical = canonical(signer.service, &signed, &names);
    let day = signed.time.get(..8).unwrap_or_default();
    let scope = format!("{day}/{}/{}/aws4_request", signer.region, signer.service);
    let hash = hex(digest(&SHA256, canonical.as_bytes()).as_ref());
    let text = format!("AWS4-HMAC-SHA256\n{}\n{scope}\n{hash}", signed.time);
    let mut key = [b"AWS4", signer.secret].concat();
    for part in [day, signer.region, signer.service, "aws4_request"] {
        key = mac(&key, part);
    }
    let signature = hex(&mac(&key, &text));
    let id = signer.access_key_id;
    format!(
        "AWS4-HMAC-SHA256 Credential={id}/{scope}, SignedHeaders={names}, Signature={signature}"
    )
}

/// The names of the fields, each once.
fn names(sorted: &[(String, String)]) -> String {
    let mut names: Vec<&str> = sorted.iter().map(|(name, _)| name.as_str()).collect();
    names.dedup();
    names.join(";")
}

/// The canonical request.
fn canonical(service: &str, signed: &Signed<'_>, names: &str) -> String {
    let (path, query) = (path(service, signed.path), query(signed.query));
    let mut text = format!("{}\n{path}\n{query}\n", signed.method);
    let mut before: Option<&str> = None;
    for (name, value) in &signed.fields {
        let value = value.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        if before == Some(name) {
            text.pop();
            let _ = writeln!(text, ",{value}");
        } else {
            let _ = writeln!(text, "{name}:{value}");
        }
        before = Some(name);
    }
    let _ = write!(text, "\n{names}\n{}", signed.body);
    text
}

/// The path. For S3 as it must be sent; for all others what is sent is encoded once more.
fn path(service: &str, path: &str) -> String {
    let part = |part: &str| match service {
        "s3" | "s3-outposts" | "s3-object-lambda" => recoded(part),
        _ => encoded(part.as_bytes()),
    };
    path.split('/').map(part).collect::<Vec<_>>().join("/")
}

/// The query, its parameters sorted.
fn query(query: &str) -> String {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let mut pairs: Vec<_> = pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (recoded(name), recoded(value))
        })
        .collect();
    pairs.sort();
    let pairs: Vec<_> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("&")
}

/// What stands in a URL, decoded and encoded as it must be.
fn recoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first == b'%'
            && let [high, low, after @ ..] = rest
            && let (Some(high), Some(low)) =
                (char::from(*high).to_digit(16), char::from(*low).to_digit(16))
        {
            bytes.push((high << 4 | low) as u8);
            rest = after;
        } else {
            bytes.push(*first);
        }
    }
    encoded(&bytes)
}

fn encoded(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(*byte));
            }
            byte => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

/// The SHA-256 of `body`, in hexadecimal.
pub(super) fn hash(body: &[u8]) -> String {
    hex(digest(&SHA256, body).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

/// The time as signatures have it: `20150830T123600Z`.
pub(super) fn time(since_1970: u64) -> String {
    let (days, seconds) = (since_1970 / 86_400, since_1970 % 86_400);
    // Days since 0000-03-01, in years that end with February: the leap day is the last one.
    let days = days + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn signature(service: &str, method: &str, target: &str, fields: &[(&str, &str)]) -> String {
        let signer = Signer {
            access_key_id: "AKIDEXAMPLE",
            secret: b"wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
            region: "us-east-1",
            service,
        };
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut all = vec![("x-amz-date".to_owned(), "20150830T123600Z".to_owned())];
        all.extend(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let signed =
            Signed { method, path, query, fields: all, body: EMPTY, time: "20150830T123600Z" };
        let text = authorization(&signer, signed);
        text.rsplit_once("Signature=").unwrap().1.to_owned()
    }

    /// The worked example of AWS's documentation.
    #[test]
    fn the_documented_example_is_signed_as_documented() {
        let fields = [
            ("content-type", "application/x-www-form-urlencoded; charset=utf-8"),
            ("host", "iam.amazonaws.com"),
        ];
        assert_eq!(
            signature("iam", "GET", "/?Action=ListUsers&Version=2010-05-08", &fields),
            "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
        );
    }

    /// AWS's suite of test vectors; botocore says the same. Paths with escapes are as they are
    /// sent, and are botocore's: the suite has them as they are before that.
    #[test]
    fn requests_are_signed_as_in_the_suite() {
        let host = ("host", "example.amazonaws.com");
        for (method, target, more, expected) in VECTORS {
            let fields: Vec<_> = std::iter::once(host).chain(more.iter().copied()).collect();
            assert_eq!(signature("service", method, target, &fields), *expected, "{target}");
        }
    }

    type Vector =
        (&'static str, &'static str, &'static [(&'static str, &'static str)], &'static str);

    const VECTORS: &[Vector] = &[
        ("GET", "/", &[], "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        ("POST", "/", &[], "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        (
            "GET",
            "/?Param2=value2&Param1=value1",
            &[],
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
        (
            "GET",
            "/%E1%88%B4",
            &[],
            "697b34846207a3f72246f99d74ae1ee4fe54f44bb06730c58a0d339eb079596d",
        ),
        (
            "GET",
            "/example%20space/",
            &[],
            "446b817944c553435b35e813c261ff4e161fff982d1bacdef1c87f6785dd1662",
        ),
        (
            "GET",
            "/-._~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
            &[],
            "98964e1079ce472101899439653197a4f6e602f30cd6aaf6c76d81b4fd9866fe",
        ),
        (
            "GET",
            "/?Param1=value1",
            &[],
            "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb",
        ),
        (
            "GET",
            "/",
            &[("my-header1", " value1"), ("my-header2", " \"a   b   c\"")],
            "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
        ),
        (
            "POST",
            "/",
            &[("my-header1", "value1")],
            "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c",
        ),
        (
            "GET",
            "/a%20b/x'y?b=2&a=%20&a=1%2B2",
            &[("content-type", "text/plain")],
            "4da2357a76772282e14ca101f0731815a3065ee1f8ee74d8ed42890455a76128",
        ),
    ];

    #[test]
    fn times_are_written_as_signatures_have_them() {
        for (seconds, text) in [
            (0, "19700101T000000Z"),
            (1_440_938_160, "20150830T123600Z"),
            (951_782_400, "20000229T000000Z"),
            (1_709_251_199, "20240229T235959Z"),
            (4_102_444_800, "21000101T000000Z"),
            (4_107_542_399, "21000228T235959Z"),
            (4_107_542_400, "21000301T000000Z"),
        ] {
            assert_eq!(time(seconds), text);
        }
    }

    #[test]
    fn paths_are_encoded_once_more_for_all_but_s3() {
        assert_eq!(path("s3", "/a%20b/~x'%2F"), "/a%20b/~x%27%2F");
        assert_eq!(path("execute-api", "/a%20b/~x'"), "/a%2520b/~x%27");
        assert_eq!(query("b=2&a=%7e&a&a=1+2"), "a=&a=1%2B2&a=~&b=2");
    }
}
