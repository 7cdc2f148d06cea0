"""A server on this machine that keeps what it is sent."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class HttpReceiver(ThreadingHTTPServer):
    """Answers every POST with `status`; `seen` holds path, headers and JSON of each.

    No answer begins before `released`, and none ends before `ended`.
    """

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.seen = []
        self.status = 200
        self.look = lambda: None
        self.released = threading.Event()
        self.released.set()
        self.ended = threading.Event()
        self.ended.set()

    @property
    def bodies(self):
        return [body for _, _, body in self.seen]


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.seen.append((self.path, self.headers, body))
        self.server.look()
        self.server.released.wait(600)
        self.send_response(self.server.status)
        self.send_header("location", f"http://127.0.0.1:{self.server.server_port}/elsewhere")
        self.send_header("content-length", "2")
        self.end_headers()
        self.server.ended.wait(600)
        self.wfile.write(b"ok")

    def log_message(self, *words):
        pass


@contextmanager
def http_receiver(context=None):
    """Yield a receiver; with the context of a TLS server by HTTPS."""
    with HttpReceiver() as server:
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.released.set()
        server.ended.set()
        server.shutdown()
