"""An HTTP/1.1 origin that says what it got, with a name of its own.

    origin.py NAME [PORT]      prints its port

/echo      the request as JSON: method, target, headers (as received, in order), body length and SHA-256
/name      its name
/events    three server-sent events, each only after /next was asked for once
/slow      never answers
/big/N     N bytes
/status/N  answers with status N
anything   its name and the path
"""

import hashlib
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

NAME = sys.argv[1]
NEXT = threading.Semaphore(0)


class Origin(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body in one write: killed between two, it would have answered half, which no retry mends.
    wbufsize = -1

    def log_message(self, *_):
        pass

    def handle_expect_100(self):
        goes_on = super().handle_expect_100()
        self.wfile.flush()
        return goes_on

    def body(self):
        if self.headers.get("Transfer-Encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            while self.rfile.readline() not in (b"\r\n", b""):
                pass
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def answer(self, status, body, kind="text/plain"):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if status not in (204, 304):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do(self):
        body = self.body()
        if self.path.startswith("/echo"):
            said = {
                "name": NAME,
                "method": self.command,
                "target": self.path,
                "headers": [[name, value] for name, value in self.headers.items()],
                "body": {"length": len(body), "sha256": hashlib.sha256(body).hexdigest()},
            }
            self.answer(200, json.dumps(said).encode(), "application/json")
        elif self.path == "/next":
            NEXT.release()
            self.answer(200, b"ok")
        elif self.path == "/events":
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.flush()
            for number in range(3):
                NEXT.acquire()
                event = f"data: {number}\n\n".encode()
                self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
                self.wfile.flush()
            self.wfile.write(b"0\r\n\r\n")
        elif self.path == "/slow":
            threading.Event().wait(60)
        elif self.path.startswith("/big/"):
            self.answer(200, b"x" * int(self.path.rsplit("/", 1)[1]))
        elif self.path.startswith("/status/"):
            self.answer(int(self.path.rsplit("/", 1)[1]), b"as asked\n")
        else:
            self.answer(200, f"{NAME} {self.path}\n".encode())

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024


server = Server(("127.0.0.1", int(sys.argv[2]) if len(sys.argv) > 2 else 0), Origin)
print(server.server_port, flush=True)
server.serve_forever()
