"""A mail server that writes down what it takes before it says so."""

import asyncio
import email
import email.policy
import random
from typing import Any

from aiosmtpd.smtp import SMTP

from tests.faults.world import World

SLOWEST_S = 0.2


class Inbox:
    def __init__(self, world: World, part: str) -> None:
        self._world = world
        self._part = part

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        self._world.note(self._part, "accepted", key=mail["X-Alerting-Key"].strip(), to=mail["To"])
        await asyncio.sleep(random.uniform(0, SLOWEST_S))  # where a kill loses the answer
        return "250 OK"


async def _serve(world: World, part: str) -> None:
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(Inbox(world, part)), "127.0.0.1", world.mail_port
    )
    world.note(part, "round")
    await server.serve_forever()


def main(folder: str, part: str) -> None:
    asyncio.run(_serve(World.read(folder), part))
