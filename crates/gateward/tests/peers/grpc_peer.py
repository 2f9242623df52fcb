"""A gRPC server and client with all four kinds of call, without generated code.

    grpc_peer.py server            prints its port
    grpc_peer.py wait TARGET       opens a stream through TARGET, prints `running`, then how the stream ended
    grpc_peer.py client TARGET     makes the calls through TARGET, prints one JSON line each
"""

import json
import sys
import threading
import time
from concurrent import futures

import grpc

SERVICE = "gateward.test.Echo"
TEXT = dict(request_deserializer=bytes.decode, response_serializer=str.encode)


def unary(request, context):
    context.set_trailing_metadata((("x-seen", dict(context.invocation_metadata()).get("x-sent", "")),))
    return "echo:" + request


def server_stream(request, context):
    for number in range(int(request)):
        yield f"item:{number}"


def client_stream(requests, context):
    return "joined:" + ",".join(requests)


def both_stream(requests, context):
    for request in requests:
        yield "back:" + request


def fails(request, context):
    context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not today: " + request)


def slow(request, context):
    gone = threading.Event()
    context.add_callback(gone.set)
    gone.wait(30)
    return "late"


def serve():
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=32))
    methods = {
        "Unary": grpc.unary_unary_rpc_method_handler(unary, **TEXT),
        "ServerStream": grpc.unary_stream_rpc_method_handler(server_stream, **TEXT),
        "ClientStream": grpc.stream_unary_rpc_method_handler(client_stream, **TEXT),
        "BothStream": grpc.stream_stream_rpc_method_handler(both_stream, **TEXT),
        "Fails": grpc.unary_unary_rpc_method_handler(fails, **TEXT),
        "Slow": grpc.unary_unary_rpc_method_handler(slow, **TEXT),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, methods),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    server.wait_for_termination()


def call(name, made):
    try:
        result = made()
    except grpc.RpcError as error:
        result = {"status": error.code().name, "message": error.details()}
    print(json.dumps({"call": name, "result": result}), flush=True)


def client(target):
    channel = grpc.insecure_channel(target)
    text = dict(request_serializer=str.encode, response_deserializer=bytes.decode)
    path = lambda method: f"/{SERVICE}/{method}"

    def with_trailers():
        reply, done = channel.unary_unary(path("Unary"), **text).with_call("hi", timeout=10, metadata=(("x-sent", "42"),))
        return [reply, dict(done.trailing_metadata()).get("x-seen")]

    def conversation():
        # Each message is sent only after the one before it was answered.
        answered = threading.Semaphore(1)

        def messages():
            for word in ("a", "b", "c"):
                answered.acquire()
                yield word

        heard = []
        for reply in channel.stream_stream(path("BothStream"), **text)(messages(), timeout=10):
            heard.append(reply)
            answered.release()
        return heard

    call("unary", with_trailers)
    call("server_stream", lambda: list(channel.unary_stream(path("ServerStream"), **text)("3", timeout=10)))
    call("client_stream", lambda: channel.stream_unary(path("ClientStream"), **text)(iter("xyz"), timeout=10))
    call("both_stream", conversation)
    call("fails", lambda: channel.unary_unary(path("Fails"), **text)("x", timeout=10))
    call("deadline", lambda: channel.unary_unary(path("Slow"), **text)("x", timeout=0.3))
    call("unknown", lambda: channel.unary_unary(path("Nothing"), **text)("x", timeout=10))
    call("no_route", lambda: channel.unary_unary("/other.Service/Call", **text)("x", timeout=10))
    big = "x" * 3_000_000
    call("big", lambda: len(channel.unary_unary(path("Unary"), **text)(big, timeout=30)))


def wait(target):
    """A conversation that goes on until the other side ends it."""
    channel = grpc.insecure_channel(target)
    over = threading.Event()

    def messages():
        yield "a"
        over.wait(60)

    text = dict(request_serializer=str.encode, response_deserializer=bytes.decode)
    replies = channel.stream_stream(f"/{SERVICE}/BothStream", **text)(messages())
    try:
        next(replies)
        print("running", flush=True)
        next(replies)
    except grpc.RpcError as error:
        print(error.code().name, flush=True)
    over.set()


if sys.argv[1] == "server":
    serve()
elif sys.argv[1] == "wait":
    wait(sys.argv[2])
else:
    client(sys.argv[2])
