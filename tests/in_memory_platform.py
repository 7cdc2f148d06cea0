"""A whole platform in memory, with a manual clock.

Stores without a twin in memory are on the server of the lane (`helpers/lane_stores.py`).
"""

from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta

from alerting.adapters.memory import platform as memory
from alerting.adapters.memory import platform as sandbox
from alerting.ports import DeliveryFailed, ModelUnavailable, Platform, SandboxPorts
from alerting.usecases.data_upkeep import maintain
from tests.builders import at
from tests.helpers.lane_stores import lane_stores
from tests.helpers.twins import sandbox_platform


@dataclass
class HandClock:
    """Clock that only the test moves."""

    instant: datetime = field(default_factory=lambda: at(0))

    def now(self):
        return self.instant


class MemoryModels(memory.MemoryModels):
    """In-memory registry that a test can make unreachable."""

    reachable = True

    def model_files(self, definition, version):
        if not self.reachable:
            raise ModelUnavailable("the registry does not answer")
        return super().model_files(definition, version)


class Mailbox:
    """A channel that stores its deliveries, and fails while `broken`."""

    def __init__(self, name):
        self.name = name
        self.messages = []
        self.broken = False

    def deliver(self, message):
        if self.broken:
            raise DeliveryFailed("the receiver does not answer")
        self.messages.append(message)


def memory_platform(*, backfilled=False):
    """Return an empty platform in memory."""
    return with_lane_stores(sandbox_platform(backfilled=backfilled))


def maintain_at(platform, instant):
    """Return what the maintenance of a platform finds whose clock shows this instant."""
    return maintain(replace(platform, clock=HandClock(instant)), instant)


def with_lane_stores(ports):
    """Return the ports of a sandbox with all others."""
    parts = {part.name: getattr(ports, part.name) for part in fields(ports)}
    return Platform(**parts, **lane_stores(), in_memory=sandbox.memory_platform)


def platform_on(stores, channels, clock, latency=timedelta(0)):
    """Return a platform on these stores, with an in-memory registry. By default its evaluation
    waits for no reading."""
    models = MemoryModels()
    by_name = {c.name: c for c in channels}
    if isinstance(stores, SandboxPorts):
        whole = stores if isinstance(stores, Platform) else with_lane_stores(stores)
        return replace(
            whole, runs=models, models=models, channels=by_name, clock=clock, latency=latency
        )
    return replace(
        stores.platform(models, by_name, clock, sandbox.memory_platform), latency=latency
    )


def in_memory_platform(*channels):
    """Return an empty platform in memory. Its clock is a HandClock, its models MemoryModels."""
    return platform_on(memory_platform(), channels, HandClock())
