"""Clients that call without a pause and notice every failure.

    traffic.py KIND HOST:PORT PATH THREADS [RETRY]

Prints `running`, calls until its standard input ends, then prints a JSON line: answers that were right (`good`),
what went wrong (`bad`, `why`), and the longest time a call took (`worst`).

kept       HTTP/1.1, each thread on a connection it keeps
fresh      HTTP/1.1, a connection for each call
tls        HTTP/1.1 over TLS, each thread on a connection it keeps; certificates are not looked at
grpc       gRPC: HTTP/2 connections that are kept
websocket  conversations, one after the other, each on a connection of its own

RETRY: seconds for which a call that failed is made again, as may be done with idempotent ones.
"""

import http.client
import json
import ssl
import sys
import threading
import time

kind, host, path, threads = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
patience = float(sys.argv[5]) if len(sys.argv) > 5 else 0
stop = threading.Event()
good, bad, why, worst = [0] * threads, [0] * threads, [], [0.0] * threads


def over_http(kept, tls=False):
    if tls:
        connection = http.client.HTTPSConnection(host, timeout=60, context=ssl._create_unverified_context())
    else:
        connection = http.client.HTTPConnection(host, timeout=60)

    def call():
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != 200:
                raise ValueError(answer.status, body[:300])
            if answer.will_close or not kept:
                connection.close()
        except Exception:
            connection.close()
            raise

    return call


def over_grpc():
    import grpc

    channel = grpc.insecure_channel(host, options=[("grpc.use_local_subchannel_pool", 1)])
    text = dict(request_serializer=str.encode, response_deserializer=bytes.decode)
    unary = channel.unary_unary(path, **text)

    def call():
        if unary("hi", timeout=60, wait_for_ready=True) != "echo:hi":
            raise ValueError("another answer")

    return call


def over_websocket():
    from websockets.sync.client import connect

    def call():
        with connect(f"ws://{host}{path}", open_timeout=60) as connection:
            for number in range(10):
                connection.send(f"message {number}")
                if connection.recv(timeout=60) != f"message {number}":
                    raise ValueError("another message")

    return call


MAKE = {
    "kept": lambda: over_http(True),
    "fresh": lambda: over_http(False),
    "tls": lambda: over_http(True, tls=True),
    "grpc": over_grpc,
    "websocket": over_websocket,
}


def run(me):
    call = MAKE[kind]()
    while not stop.is_set():
        since = time.monotonic()
        while True:
            try:
                call()
                good[me] += 1
                break
            except Exception as error:
                if time.monotonic() - since > patience:
                    bad[me] += 1
                    why.append(repr(error))
                    break
                time.sleep(0.01)
        worst[me] = max(worst[me], time.monotonic() - since)


everyone = [threading.Thread(target=run, args=(me,)) for me in range(threads)]
[one.start() for one in everyone]
print("running", flush=True)
sys.stdin.read()
stop.set()
[one.join() for one in everyone]
print(json.dumps({"good": sum(good), "bad": sum(bad), "why": why[:5], "worst": max(worst)}), flush=True)
