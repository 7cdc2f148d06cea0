"""A platform of stores in memory: those of the sandbox of a backtest, three of them with what only
live use cases ask for."""

from dataclasses import replace

from alerting.adapters.memory import platform as sandbox
from alerting.adapters.memory.episodes import MemoryNotifications
from alerting.adapters.memory.plant import MemoryLabels
from alerting.adapters.memory.platform import MemoryArrivals
from alerting.notifications.channel_faults import ChannelFacts, Undelivered
from alerting.ports import SandboxPorts
from alerting.readings.history import FIRST_INSTANT


class Notifications(MemoryNotifications):
    """Notifications that are delivered, too."""

    def due(self, now, limit):
        due = self.select(lambda n: n.next_attempt_at is not None and n.next_attempt_at <= now)
        due.sort(key=lambda n: n.transition, reverse=True)  # the raise before its end
        return sorted(due, key=lambda n: n.next_attempt_at)[:limit]

    def claim(self, notifications, now, until):
        due = [n for n in self.get([n.key for n in notifications]) if n.next_attempt_at is not None]
        claimed = [
            replace(n, status="claimed", attempts=n.attempts + 1, next_attempt_at=until)
            for n in due
            if n.next_attempt_at <= now
        ]
        for notification in claimed:
            self.store_row(notification)
        return claimed

    def get(self, keys):
        return [*self.get_many(keys).values()]

    def waiting(self, limit=None):
        return self.select(lambda n: n.next_attempt_at is not None)[:limit]

    def dead(self):
        return self.select(lambda n: n.status == "dead")

    def sent_since(self, since):
        return self.select(
            lambda n: n.status == "sent" and n.delivered_at is not None and n.delivered_at >= since
        )

    def undelivered_episodes(self, severity, since):
        failed = self.select(lambda n: n.failed_at is not None and n.failed_at > since)
        raised = self.select(lambda n: n.transition == "raised" and n.severity == severity)
        told = {n.episode for n in raised if n.status == "sent" and n.channel != "log"}
        return {n.episode for n in failed if n.severity == severity} - told - {None}

    def channel_facts(self, recent):
        failed = self.select(lambda n: n.failed_at is not None)
        return [
            self._facts_of(name, [n for n in failed if n.channel == name], recent)
            for name in sorted({n.channel for n in failed})
        ]

    def _facts_of(self, name, failed, recent):
        sent = [n.delivered_at for n in self.sent_since(FIRST_INSTANT) if n.channel == name]
        first = min(recent, max(sent)) if sent else FIRST_INSTANT
        refused = _undelivered(n for n in failed if n.status == "dead" and n.failed_at > first)
        before = [at for at in sent if refused and at <= refused.last]
        waiting = _undelivered(n for n in failed if n.is_waiting)
        return ChannelFacts(
            name, refused, waiting, max(sent, default=None), max(before, default=None)
        )

    def forget(self, before, episodes, keys, *, dry=False):
        finished = self.select(lambda n: n.created_at < before and n.next_attempt_at is None)
        gone = {n.key for n in finished if n.episode not in episodes and n.key not in keys}
        if not dry:
            self.rows = {key: n for key, n in self.rows.items() if key not in gone}
        return len(gone)


def _undelivered(notifications):
    failed = sorted(notifications, key=lambda n: (n.error is not None, n.failed_at))
    if not failed:
        return None
    return Undelivered(
        len(failed),
        min(n.failing_since for n in failed),
        max(n.failed_at for n in failed),
        failed[-1].error or "",
    )


class Arrivals(MemoryArrivals):
    """Arrival records that are swept, and that no other process writes."""

    def written_by_others(self, stop):
        yield from ()

    def as_another(self):
        return self

    def forget(self, before):
        old = self.select(lambda a: a.arrived_at < before and a.routed_at is not None)
        for arrival in old:
            self.remove(arrival.id)
        return len(old)


class Labels(MemoryLabels):
    """Labels that people undo and look at, too."""

    def store_undone(self, label):
        return self.exchange(label, lambda stored: stored.undone_at is None)

    def newest_labels(self, asset, limit, before=None):
        found = [
            one
            for one in self.rows.values()
            if one.asset == asset and (before is None or (one.made_at, one.id) < before)
        ]
        return sorted(found, key=lambda one: (one.made_at, one.id), reverse=True)[:limit]


def sandbox_platform(*, backfilled=False) -> SandboxPorts:
    """Return the platform of a sandbox with these stores."""
    made = sandbox.memory_platform(backfilled=backfilled)
    return replace(made, arrivals=Arrivals(), notifications=Notifications(), labels=Labels())
