"""A real SMTP server on this machine."""

import email
import email.policy
from contextlib import ExitStack, contextmanager
from functools import partial

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP

from tests.support import free_port


class Inbox:
    """Mails that the server has taken; `refusal` is its answer instead."""

    def __init__(self):
        self.mails = []
        self.refusal = None
        self.rejected = None

    async def handle_RCPT(self, server, session, envelope, address, options):
        if self.rejected:
            return self.rejected
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        if self.refusal:
            return self.refusal
        self.mails.append(
            (
                session.ssl is not None,
                email.message_from_bytes(envelope.content, policy=email.policy.default),
            )
        )
        return "250 OK"


class Server(Controller):
    def __init__(self, inbox, kind=SMTP, **options):
        self._made = partial(kind, inbox, **options)
        super().__init__(inbox, hostname="127.0.0.1", port=free_port())

    def factory(self):
        return self._made()


@contextmanager
def serving_mail():
    """Yield a function that starts a server, and returns its inbox and port."""
    with ExitStack() as started:

        def start(**options):
            inbox = Inbox()
            server = Server(inbox, **options)
            server.start()
            started.callback(server.stop)
            return inbox, server.port

        yield start
