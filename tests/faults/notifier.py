"""A process that delivers what is due again and again, and the attempts that it notes."""

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
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


@dataclass(frozen=True)
class Attempt:
    """One attempt of a delivery; without an end where its notifier was hit."""

    begun: float
    ended: float | None
    what: str | None


def read_attempts(world: World, parts: Sequence[str]) -> Mapping[str, list[Attempt]]:
    """Return the attempts of each delivery, by its key, from what these notifiers noted."""
    found: dict[str, list[Attempt]] = defaultdict(list)
    for sender in parts:
        open_ones: dict[tuple[int, str], float] = {}
        for n in world.notes(sender):
            place = (n["pid"], n.get("key", ""))
            if n["what"] == "try":
                open_ones[place] = n["t"]
            elif n["what"] in ("done", "failed"):
                found[n["key"]].append(Attempt(open_ones.pop(place), n["t"], n["what"]))
        for (_, key), begun in open_ones.items():
            found[key].append(Attempt(begun, None, None))
    return found


def cause_of_another(attempts: Sequence[Attempt]) -> str | None:
    """Return the reason for another one after the first of these."""
    earlier = sorted(attempts, key=lambda a: a.begun)[:-1] or attempts
    kinds = {a.what for a in earlier}
    if "done" in kinds:
        return "received and answered, not recorded: the notifier or the database was hit"
    if None in kinds:
        return "the notifier was hit before it had the answer"
    return "the receiver was hit before its answer was out" if "failed" in kinds else None
