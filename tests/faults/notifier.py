"""A process that delivers what is due again and again, and notes each attempt."""

import time
from dataclasses import dataclass, replace

from alerting.adapters.platform import Platform
from alerting.definitions.faults import UserError
from alerting.ports import Channel, DeliveryFailed, Message
from alerting.usecases.notification.deliver import deliver_due
from alerting.wiring import open_platform
from tests.faults.world import World

PAUSE_S = 0.7


@dataclass(frozen=True)
class Noted:
    """A channel that notes each attempt before it is made, and what came of it."""

    channel: Channel
    world: World
    part: str

    @property
    def name(self) -> str:
        return self.channel.name

    def deliver(self, message: Message) -> None:
        self.world.note(self.part, "try", key=message.key)
        try:
            self.channel.deliver(message)
        except DeliveryFailed as failure:
            self.world.note(self.part, "failed", key=message.key, why=str(failure))
            raise
        self.world.note(self.part, "done", key=message.key)


def main(folder: str, part: str) -> None:
    world = World.read(folder)
    while True:
        try:
            with open_platform(world.settings) as opened:
                channels = {
                    name: Noted(channel, world, part) for name, channel in opened.channels.items()
                }
                _go_on(world, replace(opened, channels=channels), part)
        except UserError as refusal:
            world.note(part, "refused", why=str(refusal))
            time.sleep(0.3)


def _go_on(world: World, platform: Platform, part: str) -> None:
    while True:
        counts = deliver_due(platform, platform.clock.now())
        world.note(
            part, "round", sent=counts.sent, failed=counts.failed, announced=counts.announced
        )
        time.sleep(PAUSE_S)
