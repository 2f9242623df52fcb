"""An authorizer that speaks ext_authz v3, by Envoy's own protocol files.

    ext_authz_peer.py              prints its port

What it decides is told by the request's field x-kind:

    allow        yes; the upstream gets x-seen, all that was seen of the request, as JSON; the
                 client gets x-decided
    deny         no, with 429, a field and a body
    login        no, with 302 to a login page
    bare         yes without a word
    broken       a field with a line break in it
    slow         nothing for 30 s
    anything     a gRPC error
"""

import json
import threading
from concurrent import futures

import grpc
from envoy.config.core.v3.base_pb2 import HeaderValue, HeaderValueOption
from envoy.service.auth.v3 import external_auth_pb2 as auth
from envoy.service.auth.v3.external_auth_pb2_grpc import (
    AuthorizationServicer,
    add_AuthorizationServicer_to_server,
)
from envoy.type.v3.http_status_pb2 import HttpStatus
from google.rpc.status_pb2 import Status


def field(name, value):
    return HeaderValueOption(header=HeaderValue(key=name, value=value))


def seen(attributes):
    http = attributes.request.http
    return json.dumps({
        "method": http.method,
        "path": http.path,
        "host": http.host,
        "scheme": http.scheme,
        "protocol": http.protocol,
        "headers": dict(http.headers),
        "body": http.body,
        "timed": attributes.request.time.seconds > 0 and http.id != "",
        "source": attributes.source.address.socket_address.address,
        "principal": attributes.source.principal,
        "context": dict(attributes.context_extensions),
    }, sort_keys=True)


class Authorizer(AuthorizationServicer):
    def Check(self, request, context):
        kind = request.attributes.request.http.headers.get("x-kind", "")
        if kind == "allow":
            return auth.CheckResponse(status=Status(code=0), ok_response=auth.OkHttpResponse(
                headers=[field("x-seen", seen(request.attributes)), field("x-unlisted", "1")],
                headers_to_remove=["x-gone"],
                response_headers_to_add=[field("x-decided", "yes")],
            ))
        if kind == "bare":
            return auth.CheckResponse()
        if kind in ("deny", "login"):
            code = 429 if kind == "deny" else 302
            where = field("retry-after", "7") if kind == "deny" else field("location", "/login")
            return auth.CheckResponse(status=Status(code=7), denied_response=auth.DeniedHttpResponse(
                status=HttpStatus(code=code), headers=[where], body="not now"))
        if kind == "broken":
            return auth.CheckResponse(ok_response=auth.OkHttpResponse(
                headers=[field("x-seen", "a\r\nx-admin: 1")]))
        if kind == "slow":
            gone = threading.Event()
            context.add_callback(gone.set)
            gone.wait(30)
        context.abort(grpc.StatusCode.INTERNAL, "not today")


server = grpc.server(futures.ThreadPoolExecutor(max_workers=16))
add_AuthorizationServicer_to_server(Authorizer(), server)
print(server.add_insecure_port("127.0.0.1:0"), flush=True)
server.start()
server.wait_for_termination()
