//! Authorizers that speak Envoy's `ext_authz` (`envoy.service.auth.v3.Authorization/Check`) over
//! gRPC.

use std::collections::BTreeMap;
use std::time::Duration;

use policy::{Answer, Call, Exchange};
use prost::Message;

use super::messages::{
    Address, Attributes, CheckRequest, CheckResponse, Header, HeaderOption, HttpRequest, Peer,
    Request, SocketAddress, Timestamp, TlsSession,
};
use super::verdict::{Allowed, Denied, Field, Verdict};
use super::{Asking, Beginning};

/// The method's path.
const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";

/// What tells one request from the same one again: no part of what decisions are found by.
#[derive(Clone, Debug)]
pub(super) struct Stamp {
    /// The request's id.
    pub(super) id: String,
    /// When it came, since 1970.
    pub(super) wall: Duration,
    /// The client's port.
    pub(super) port: u16,
}

/// The call that tells of `x`; none where a field that is to be told is no text.
pub(super) fn question(
    url: &str,
    x: &Exchange,
    asking: &Asking,
    body: &Beginning,
    stamp: Option<&Stamp>,
) -> Option<Call> {
    let request = CheckRequest { attributes: Some(attributes(x, asking, body, stamp)?) };
    let message = request.encode_to_vec();
    let mut framed = vec![0];
    framed.extend_from_slice(&u32::try_from(message.len()).ok()?.to_be_bytes());
    framed.extend_from_slice(&message);
    let mut call = Call::post(format!("{url}{CHECK}"), "application/grpc", framed);
    call.grpc = true;
    let millis = asking.within.as_millis().clamp(1, 99_999_999);
    call = call.header("grpc-timeout", format!("{millis}m"));
    let fixed = asking.fixed.iter();
    call.headers.extend(
        fixed.map(|(name, value)| (name.as_str().to_owned(), value.expose().as_bytes().to_vec())),
    );
    Some(call)
}

fn attributes(
    x: &Exchange,
    asking: &Asking,
    body: &Beginning,
    stamp: Option<&Stamp>,
) -> Option<Attributes> {
    let target = &x.request.target;
    let mut http = HttpRequest {
        id: stamp.map(|stamp| stamp.id.clone()).unwrap_or_default(),
        method: x.request.method.as_str().to_owned(),
        headers: headers(x, asking)?,
        path: match &target.query {
            Some(query) => format!("{}?{query}", target.path),
            None => target.path.clone(),
        },
        host: target.authority.as_str().to_owned(),
        scheme: target.scheme.text().to_owned(),
        size: x.request.body.remaining().and_then(|size| i64::try_from(size).ok()).unwrap_or(-1),
        protocol: format!("HTTP/{}", x.request.version.text()),
        ..HttpRequest::default()
    };
    if let Some(held) = &body.0 {
        match std::str::from_utf8(&held.bytes) {
            Ok(text) => http.body = text.to_owned(),
            Err(_) => http.raw_body = held.bytes.to_vec(),
        }
        let partial = if held.whole { "false" } else { "true" };
        http.headers.insert("x-envoy-auth-partial-body".into(), partial.into());
    }
    let time = stamp.map(|stamp| Timestamp {
        seconds: stamp.wall.as_secs() as i64,
        nanos: stamp.wall.subsec_nanos() as i32,
    });
    let mut context = asking.context.clone();
    if let Some(route) = &x.route {
        context.insert("api".into(), route.api().to_string());
        context.insert("route".into(), route.route().to_string());
        if let Some(version) = route.version() {
            context.insert("version".into(), version.to_string());
        }
    }
    let tls = x.connection.tls.as_ref();
    let certificate = tls.and_then(|tls| tls.client.as_ref());
    let known = x.caller.as_ref().and_then(policy::Caller::name);
    let principal = known.or_else(|| certificate.map(|shown| shown.subject.as_str()));
    let port = stamp.map_or(0, |stamp| stamp.port);
    let local = x.connection.local.map(|local| peer(local.ip(), local.port(), ""));
    Some(Attributes {
        source: Some(peer(x.client, port, principal.unwrap_or_default())),
        destination: local,
        request: Some(Request { time, http: Some(http) }),
        context_extensions: context,
        tls_session: tls
            .and_then(|tls| tls.server_name.as_ref())
            .map(|name| TlsSession { sni: name.to_string() }),
    })
}

fn peer(address: std::net::IpAddr, port: u16, principal: &str) -> Peer {
    let socket_address =
        SocketAddress { address: address.to_string(), port_value: u32::from(port) };
    Peer {
        address: Some(Address { socket_address: Some(socket_address) }),
        principal: principal.to_owned(),
    }
}

/// The fields that are told: all values of each in one, as Envoy joins them. None where one is no
/// text: an authorizer must not miss what an upstream sees.
fn headers(x: &Exchange, asking: &Asking) -> Option<BTreeMap<String, String>> {
    let mut headers = BTreeMap::new();
    for name in &asking.told {
        let mut joined: Option<String> = None;
        for value in x.request.headers.all(name) {
            let value = std::str::from_utf8(value).ok()?;
            match &mut joined {
                Some(joined) => {
                    let by = if name.as_str() == "cookie" { "; " } else { "," };
                    joined.push_str(by);
                    joined.push_str(value);
                }
                None => joined = Some(value.to_owned()),
            }
        }
        headers.extend(joined.map(|joined| (name.as_str().to_owned(), joined)));
    }
    Some(headers)
}

/// What an answer means.
pub(super) fn read(answer: &Answer) -> Verdict {
    let nothing = |what: String| Verdict::Nothing(what);
    if answer.status != 200 {
        return nothing(format!("it answered HTTP {}", answer.status));
    }
    match answer.header("grpc-status") {
        Some(b"0") => {}
        Some(other) => {
            let said = answer.header("grpc-message").unwrap_or_default();
            let said: String = said.escape_ascii().to_string().chars().take(200).collect();
            return nothing(format!("it answered gRPC status {} {said}", other.escape_ascii()));
        }
        None => return nothing("its answer broke off: it has no grpc-status".into()),
    }
    let Some(message) = message(&answer.body) else {
        return nothing("its answer is not one whole gRPC message".into());
    };
    match CheckResponse::decode(message) {
        Ok(response) => decide(response),
        Err(error) => nothing(format!("its answer can't be read: {error}")),
    }
}

/// The one message of an answer, which is not compressed.
fn message(body: &[u8]) -> Option<&[u8]> {
    let (prefix, message) = body.split_first_chunk::<5>()?;
    let [0, length @ ..] = prefix else { return None };
    (u32::from_be_bytes(*length) as usize == message.len()).then_some(message)
}

fn decide(response: CheckResponse) -> Verdict {
    let code = response.status.as_ref().map_or(0, |status| status.code);
    if response.error_response.is_some() {
        return Verdict::Nothing(format!("it says that it failed, with gRPC status {code}"));
    }
    match (code, response.denied_response, response.ok_response) {
        (0, None, ok) => {
            let ok = ok.unwrap_or_default();
            Verdict::Allowed(Allowed {
                request: fields(ok.headers),
                response: fields(ok.response_headers_to_add),
                remove: ok.headers_to_remove,
            })
        }
        (0, Some(_), _) => Verdict::Nothing("it allows and denies at once".into()),
        (_, denied, None) => {
            let denied = denied.unwrap_or_default();
            let status = denied.status.and_then(|status| u16::try_from(status.code).ok());
            Verdict::Denied(Denied {
                status: status.filter(|status| (300..600).contains(status)).unwrap_or(403),
                headers: fields(denied.headers),
                body: denied.body.into(),
            })
        }
        (_, _, Some(_)) => Verdict::Nothing("it denies and allows at once".into()),
    }
}

fn fields(options: Vec<HeaderOption>) -> Vec<Field> {
    let headers = options.into_iter().filter_map(|option| option.header);
    let field = |header: Header| match header.value.is_empty() {
        true => (header.key, header.raw_value),
        false => (header.key, header.value.into_bytes()),
    };
    headers.map(field).collect()
}

#[cfg(test)]
mod tests {
    use super::super::messages::{DeniedResponse, OkResponse, Status};
    use super::*;

    fn answer(body: Vec<u8>, status: &str) -> Answer {
        let headers = vec![("grpc-status".to_owned(), status.as_bytes().to_vec())];
        Answer { status: 200, headers, body: body.into() }
    }

    fn framed(response: &CheckResponse) -> Vec<u8> {
        let message = response.encode_to_vec();
        let mut out = vec![0];
        out.extend_from_slice(&(message.len() as u32).to_be_bytes());
        out.extend_from_slice(&message);
        out
    }

    fn is_nothing(answer: &Answer) -> bool {
        matches!(read(answer), Verdict::Nothing(_))
    }

    #[test]
    fn an_empty_answer_of_status_0_is_yes_and_any_other_status_no() {
        let yes = answer(framed(&CheckResponse::default()), "0");
        assert_eq!(read(&yes), Verdict::Allowed(Allowed::default()));
        let status = Some(Status { code: 7, message: String::new() });
        let no = answer(framed(&CheckResponse { status, ..CheckResponse::default() }), "0");
        assert!(matches!(read(&no), Verdict::Denied(Denied { status: 403, .. })));
    }

    #[test]
    fn what_is_no_clear_answer_is_nothing() {
        let yes = framed(&CheckResponse::default());
        assert!(is_nothing(&answer(yes.clone(), "14")));
        assert!(is_nothing(&Answer { headers: Vec::new(), ..answer(yes.clone(), "0") }));
        assert!(is_nothing(&Answer { status: 503, ..answer(yes.clone(), "0") }));
        for broken in [
            &b""[..],
            b"\0\0\0\0",
            b"\x01\0\0\0\0",
            b"\0\0\0\0\x01",
            b"\0\0\0\0\0\0\0\0\0\0",
            b"\0\0\0\0\x02\x08\xff",
            b"\0\0\0\0\x02\x0a\x7f",
        ] {
            assert!(is_nothing(&answer(broken.to_vec(), "0")), "{broken:?}");
        }
        let both = CheckResponse {
            denied_response: Some(DeniedResponse::default()),
            ..CheckResponse::default()
        };
        assert!(is_nothing(&answer(framed(&both), "0")), "status 0 with a denial");
        let failed = CheckResponse {
            error_response: Some(DeniedResponse::default()),
            ..CheckResponse::default()
        };
        assert!(is_nothing(&answer(framed(&failed), "0")), "status 0 with a failure");
        let both = CheckResponse {
            status: Some(Status { code: 7, message: String::new() }),
            ok_response: Some(OkResponse::default()),
            ..CheckResponse::default()
        };
        assert!(is_nothing(&answer(framed(&both), "0")), "a denial with what goes on");
    }
}
