"""As much of Open Policy Agent's REST API as decisions need, around a Rego engine that is not ours
(rego-cpp): PUT /v1/policies/<id> and POST /v1/data/<path>, with the answers of OPA's own manual.

    opa_peer.py                    prints its port
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from regopy import Interpreter

policies = {}
# The engine serves one question at a time.
lock = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def body(self):
        return self.rfile.read(int(self.headers.get("content-length", 0)))

    def answer(self, status, what):
        out = json.dumps(what).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(out)))
        self.end_headers()
        self.wfile.write(out)

    def do_PUT(self):
        policies[self.path.removeprefix("/v1/policies/")] = self.body().decode()
        self.answer(200, {})

    def do_POST(self):
        try:
            asked = json.loads(self.body())
        except ValueError:
            return self.answer(400, {"code": "invalid_parameter", "message": "body contains malformed input document"})
        rule = "data." + self.path.removeprefix("/v1/data/").replace("/", ".")
        with lock:
            rego = Interpreter()
            for name, text in policies.items():
                rego.add_module(name, text)
            rego.set_input(asked.get("input"))
            output = str(rego.query(rule))
        # An undefined decision has no result.
        if output in ("undefined", "{}"):
            return self.answer(200, {})
        try:
            self.answer(200, {"result": json.loads(output)["expressions"][0]})
        except (ValueError, LookupError):
            self.answer(500, {"code": "internal_error", "message": "error(s) occurred while evaluating query"})

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
