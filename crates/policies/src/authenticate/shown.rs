//! What a request shows in `Authorization`: one credential, or none, or more than anyone should
//! judge.

use policy::message::{Headers, Known};
use policy::{Code, Fault, Refusal};

/// A request that shows more than one credential where one is asked for: who is calling is in
/// doubt, and another server may take the other one (RFC 9110 §11.6.2 has a single value).
pub(super) static MULTIPLE_CREDENTIALS: Code = Code {
    name: "multiple_credentials",
    status: 400,
    grpc: 3,
    title: "The request shows several credentials",
    proxy_error: "http_request_denied",
    fault: Fault::Caller,
    cure: "Send one credential, in one place, once.",
};

/// What stands behind `scheme` in `Authorization`; none where nothing is shown, or by another
/// scheme.
///
/// # Errors
/// There is more than one `Authorization`, whatever their schemes; or one that holds several
/// credentials in a list, where `scheme` is one whose credentials have no commas.
pub(super) fn authorization<'h>(
    headers: &'h Headers,
    scheme: &str,
) -> Result<Option<&'h [u8]>, Refusal> {
    let mut values = headers.all(Known::Authorization);
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Refusal::new(&MULTIPLE_CREDENTIALS).detail("Authorization stands there twice"));
    }
    let value = value.trim_ascii();
    let Some((found, rest)) = value.split_at_checked(scheme.len()) else { return Ok(None) };
    let rest = match rest {
        [] => rest,
        [b' ', rest @ ..] => rest.trim_ascii_start(),
        _ => return Ok(None),
    };
    if !found.eq_ignore_ascii_case(scheme.as_bytes()) {
        return Ok(None);
    }
    if has_one_token(scheme) && rest.contains(&b',') {
        return Err(Refusal::new(&MULTIPLE_CREDENTIALS).detail("Authorization holds a list"));
    }
    Ok(Some(rest))
}

/// Whether the scheme's credentials are one token (RFC 9110 §11.4: token68), which has no commas.
fn has_one_token(scheme: &str) -> bool {
    ["basic", "bearer", "dpop"].iter().any(|known| known.eq_ignore_ascii_case(scheme))
}

#[cfg(test)]
#[allow(non_snake_case, reason = "tests carry their number in the list of faults")]
mod tests {
    use super::*;

    fn shown(values: &[&str], scheme: &str) -> Result<Option<String>, u16> {
        let mut headers = Headers::new();
        values.iter().for_each(|value| {
            headers.append_known(Known::Authorization, value);
        });
        let found = authorization(&headers, scheme);
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        found.map(|found| found.map(text)).map_err(|refusal| refusal.code.status)
    }

    /// Two credentials are refused, whichever comes first. Seen to fail: without the look at a
    /// second value, the first of two was taken.
    #[test]
    fn fa_E10_two_credentials_are_none() {
        for scheme in ["Basic", "Bearer"] {
            for values in [
                &["Basic YTpi", "Bearer abc"][..],
                &["Bearer abc", "Basic YTpi"],
                &["Basic YTpi", "Basic YTpi"],
                &["Digest a", "Digest b"],
            ] {
                assert_eq!(shown(values, scheme), Err(400), "{scheme} of {values:?}");
            }
        }
        assert_eq!(shown(&["Basic YTpi, Bearer abc"], "Basic"), Err(400));
        assert_eq!(shown(&["Bearer abc, Basic YTpi"], "Bearer"), Err(400));
    }

    #[test]
    fn a_credential_is_found_by_its_scheme_alone() {
        for (value, found) in [
            ("Basic YTpi", Some("YTpi")),
            ("bAsIc   YTpi ", Some("YTpi")),
            ("Basic", Some("")),
            ("Basic ", Some("")),
            ("Basically YTpi", None),
            ("BasicYTpi", None),
            ("Bas", None),
            ("Bearer YTpi", None),
            ("", None),
        ] {
            assert_eq!(shown(&[value], "basic"), Ok(found.map(str::to_owned)), "{value}");
        }
        assert_eq!(shown(&[], "basic"), Ok(None));
        let parameters = "Signature keyId=\"a\",signature=\"b\"";
        assert_eq!(shown(&[parameters], "signature").unwrap().unwrap(), &parameters[10..]);
    }
}
