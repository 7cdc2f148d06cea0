"""A whole platform in memory, with a manual clock."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from alerting.adapters.memory import models as memory
from alerting.adapters.memory.platform import memory_platform
from alerting.adapters.platform import Platform
from alerting.ports import DeliveryFailed, ModelUnavailable
from tests.builders import at


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


def platform_on(stores, channels, clock, latency=timedelta(0)):
    """Return a platform on these stores, with an in-memory registry. By default its evaluation
    waits for no reading."""
    models = MemoryModels()
    by_name = {c.name: c for c in channels}
    if isinstance(stores, Platform):
        return replace(
            stores, runs=models, models=models, channels=by_name, clock=clock, latency=latency
        )
    return replace(stores.platform(models, by_name, clock, memory_platform), latency=latency)


def in_memory_platform(*channels):
    """Return an empty platform in memory. Its clock is a HandClock, its models MemoryModels."""
    return platform_on(memory_platform(), channels, HandClock())
