"""A platform of stores in memory: those of the sandbox of a backtest, three of them with what only
live use cases ask for."""

from dataclasses import replace

from alerting.adapters.memory import platform as sandbox
from alerting.adapters.memory.episodes import MemoryNotifications
from alerting.adapters.memory.plant import MemoryLabels
from alerting.adapters.memory.platform import MemoryArrivals
from alerting.ports import SandboxPorts


class Notifications(MemoryNotifications):
    """Notifications that are delivered, too."""

    def due(self, now, limit):
        due = self._chosen(lambda n: n.next_attempt_at is not None and n.next_attempt_at <= now)
        due.sort(key=lambda n: n.transition, reverse=True)  # the raise before its end
        return sorted(due, key=lambda n: n.next_attempt_at)[:limit]

    def claim(self, notifications, now, until):
        due = [n for n in self.get([n.key for n in notifications]) if n.next_attempt_at is not None]
        claimed = [
            replace(n, status="claimed", attempts=n.attempts + 1, next_attempt_at=until)
            for n in due
            if n.next_attempt_at <= now
        ]
        self._rows |= {n.key: n for n in claimed}
        return claimed

    def get(self, keys):
        return [self._rows[key] for key in keys if key in self._rows]

    def waiting(self, limit=None):
        return self._chosen(lambda n: n.next_attempt_at is not None)[:limit]

    def dead(self):
        return self._chosen(lambda n: n.status == "dead")

    def sent_since(self, since):
        return self._chosen(
            lambda n: n.status == "sent" and n.delivered_at is not None and n.delivered_at >= since
        )

    def forget(self, before, episodes, keys, *, dry=False):
        finished = self._chosen(lambda n: n.created_at < before and n.next_attempt_at is None)
        gone = {n.key for n in finished if n.episode not in episodes and n.key not in keys}
        if not dry:
            self._rows = {key: n for key, n in self._rows.items() if key not in gone}
            self._keys = {
                episode: dict.fromkeys(key for key in keys if key in self._rows)
                for episode, keys in self._keys.items()
            }
        return len(gone)


class Arrivals(MemoryArrivals):
    """Arrival records that are swept, and that no other process writes."""

    def written_by_others(self, stop):
        yield from ()

    def as_another(self):
        return self

    def forget(self, before):
        old = [a.id for a in self._sorted() if a.arrived_at < before and a.routed_at is not None]
        for id in old:
            del self._arrivals[id]
        return len(old)


class Labels(MemoryLabels):
    """Labels that people undo and look at, too."""

    def store_undone(self, label):
        stored = self._labels.get(label.id)
        if stored is None or stored.undone_at is not None:
            return False
        self._labels[label.id] = label
        return True

    def get(self, id):
        return self._labels.get(id)

    def newest_labels(self, asset, limit, before=None):
        found = [
            one
            for one in self._labels.values()
            if one.asset == asset and (before is None or (one.made_at, one.id) < before)
        ]
        return sorted(found, key=lambda one: (one.made_at, one.id), reverse=True)[:limit]


def sandbox_platform(*, backfilled=False) -> SandboxPorts:
    """Return the platform of a sandbox with these stores."""
    made = sandbox.memory_platform(backfilled=backfilled)
    return replace(made, arrivals=Arrivals(), notifications=Notifications(), labels=Labels())
