"""Receivers of notifications, which write down what they take before they say so: a mail server,
and a webhook that takes what is signed.

The webhook checks as Standard Webhooks 1.0 describes: HMAC-SHA256 over id, time stamp and body, no
older than five minutes.
"""

import asyncio
import base64
import email
import email.policy
import hashlib
import hmac
import random
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.smtp import SMTP

from tests.faults.world import SECRET, World

TOLERANCE_S = 300
SLOWEST_S = 0.2


def main(folder: str, part: str) -> None:
    """Receive as the name of the part says."""
    receive = {"mail": _take_mail, "hook": _take_posts}[part]
    receive(World.read(folder))


def _take_mail(world: World) -> None:
    class Inbox:
        async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
            mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
            world.note("mail", "accepted", key=mail["X-Alerting-Key"].strip())
            await asyncio.sleep(random.uniform(0, SLOWEST_S))  # where a kill loses the answer
            return "250 OK"

    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(
            lambda: SMTP(Inbox()), "127.0.0.1", world.mail_port
        )
        await server.serve_forever()

    asyncio.run(serve())


def _take_posts(world: World) -> None:
    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            good = genuine(self.headers, body)
            world.note("hook", "accepted" if good else "forged", key=self.headers["webhook-id"])
            time.sleep(random.uniform(0, SLOWEST_S))  # where a kill loses the answer
            self.send_response(204 if good else 401)
            self.end_headers()

        def log_message(self, *words: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", world.hook_port), Receiver) as server:
        server.serve_forever()


def genuine(headers: Any, body: bytes) -> bool:
    timestamp = headers["webhook-timestamp"]
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{timestamp}.".encode() + body
    wanted = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return abs(time.time() - int(timestamp)) < TOLERANCE_S and any(
        hmac.compare_digest(given, f"v1,{wanted}") for given in headers["webhook-signature"].split()
    )
