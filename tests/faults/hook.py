"""A webhook receiver that takes what is signed, and writes it down before it says so.

It checks as Standard Webhooks 1.0 describes: HMAC-SHA256 over id, time stamp and body, no older
than five minutes.
"""

import base64
import hashlib
import hmac
import random
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.faults.world import SECRET, World

TOLERANCE_S = 300
SLOWEST_S = 0.2


def genuine(headers: Any, body: bytes) -> bool:
    id = headers["webhook-id"]
    timestamp = headers["webhook-timestamp"]
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    wanted = base64.b64encode(
        hmac.new(key, f"{id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    ).decode()
    young = abs(time.time() - int(timestamp)) < TOLERANCE_S
    return young and any(
        hmac.compare_digest(given, f"v1,{wanted}") for given in headers["webhook-signature"].split()
    )


def main(folder: str, part: str) -> None:
    world = World.read(folder)

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            good = genuine(self.headers, body)
            world.note(part, "accepted" if good else "forged", key=self.headers["webhook-id"])
            time.sleep(random.uniform(0, SLOWEST_S))  # where a kill loses the answer
            self.send_response(204 if good else 401)
            self.end_headers()

        def log_message(self, *words: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", world.hook_port), Receiver) as server:
        world.note(part, "round")
        server.serve_forever()
