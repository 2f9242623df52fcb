//! The one form of every refusal: a problem document (RFC 9457), or a status to gRPC callers, and
//! `Proxy-Status` (RFC 9209).

use policy::message::{Body, Known, Status};
use policy::{Code, Exchange, Refusal};
use serde::Serialize;

use crate::codec::grpc;

/// A problem document.
#[derive(Serialize)]
struct Problem<'r> {
    r#type: String,
    title: &'r str,
    status: u16,
    code: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'r str>,
    instance: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Fault<'r>>,
}

/// One thing that is wrong, as RFC 9457 §3 has it in its example.
#[derive(Serialize)]
struct Fault<'r> {
    detail: &'r str,
    pointer: &'r str,
    rule: &'r str,
}

/// Puts a refusal in place of the exchange's response. True if the connection is to be closed after
/// it.
pub(crate) fn refuse(x: &mut Exchange, refusal: Refusal) -> bool {
    let Refusal { code, detail, note, violations, headers, close, absent: _ } = refusal;
    let response = &mut x.response;
    response.clear();
    response.status = Status::new(code.status).unwrap_or_default();
    if x.request.is_grpc() {
        grpc::refuse(response, code.grpc, detail.as_deref().unwrap_or(code.title));
    } else {
        response.headers.append("Content-Type", "application/problem+json");
        let problem = Problem {
            r#type: format!("urn:gateward:problem:{}", code.name),
            title: code.title,
            status: code.status,
            code: code.name,
            detail: detail.as_deref(),
            instance: format!("urn:uuid:{}", x.id),
            errors: violations
                .iter()
                .map(|one| Fault { detail: &one.what, pointer: &one.pointer, rule: &one.rule })
                .collect(),
        };
        response.body = Body::from(serde_json::to_vec(&problem).unwrap_or_default());
    }
    for (name, value) in &headers {
        response.headers.append(name, value.as_bytes());
    }
    response.headers.set_known(Known::ProxyStatus, proxy_status(code));
    response.headers.set_known(Known::CacheControl, "no-store");
    x.refusal = Some(code);
    x.note = note.or(x.note.take());
    close
}

fn proxy_status(code: &Code) -> String {
    format!("gateward; error={}; details=\"{}\"", code.proxy_error, code.name)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use policy::{Connection, codes};

    use super::*;

    fn exchange() -> Exchange {
        let connection =
            Connection { listener: Arc::from("web"), peer: None, local: None, tls: None };
        Exchange::new(Arc::new(connection), 0)
    }

    fn body(x: &Exchange) -> serde_json::Value {
        match &x.response.body {
            Body::Full(bytes) => serde_json::from_slice(bytes).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_refusal_is_a_problem_document() {
        let mut x = exchange();
        x.response.headers.append("Set-Cookie", "from=upstream");
        let refusal = Refusal::new(&codes::METHOD_NOT_ALLOWED)
            .detail("only GET")
            .note("secret")
            .header("Allow", "GET");
        assert!(!refuse(&mut x, refusal));
        assert_eq!(x.response.status.code(), 405);
        assert_eq!(
            body(&x),
            serde_json::json!({
                "type": "urn:gateward:problem:method_not_allowed",
                "title": "The method is not allowed here",
                "status": 405,
                "code": "method_not_allowed",
                "detail": "only GET",
                "instance": format!("urn:uuid:{}", x.id),
            })
        );
        let headers = &x.response.headers;
        assert_eq!(headers.get(Known::ContentType), Some(&b"application/problem+json"[..]));
        assert_eq!(headers.get(Known::Allow), Some(&b"GET"[..]));
        assert_eq!(
            headers.get(Known::ProxyStatus),
            Some(&b"gateward; error=http_request_denied; details=\"method_not_allowed\""[..])
        );
        assert!(!headers.has(Known::SetCookie), "nothing of the upstream's answer is left");
        assert_eq!(x.refusal, Some(&codes::METHOD_NOT_ALLOWED));
        assert_eq!(x.note.as_deref(), Some("secret"));
    }

    #[test]
    fn a_grpc_caller_is_refused_with_a_grpc_status() {
        let mut x = exchange();
        x.request.headers.append("Content-Type", "application/grpc+proto");
        assert!(refuse(&mut x, Refusal::new(&codes::ROUTE_NOT_FOUND).close()));
        assert_eq!(x.response.status, Status::OK);
        assert_eq!(x.response.headers.get(Known::GrpcStatus), Some(&b"12"[..]));
        assert!(x.response.body.is_empty());
    }
}
