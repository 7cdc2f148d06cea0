"""Reasons why a notification of one run may be missing in the other, each verified against what the
run left."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import get_args

from alerting.definitions.model import Severity
from alerting.episodes.episode import Episode
from alerting.notifications.notification import Notification

_RANKS = {severity: rank for rank, severity in enumerate(get_args(Severity))}
Looked = Callable[[datetime, datetime], bool]


@dataclass(frozen=True)
class Excuses:
    """The verified reasons of one run. `looked(start, end)`: whether an evaluation of everything
    was made at an instant in [start, end) and ended, which refutes every excuse of a catch-up."""

    episodes: Mapping[str, Episode]
    notices: Collection[Notification]
    looked: Looked

    def reason(self, key: str) -> str | None:
        """Return the reason why the run has no notification of this key; None where nothing excuses
        it."""
        id, transition, channel = _parts(key)
        episode = self.episodes.get(id)
        if episode is None:
            return None
        if transition == "raised":
            return self._newer_one_was_told(episode, channel)
        raised = next(iter(self._told(episode, channel, "raised")), None)
        if raised is None:
            return self._newer_one_was_told(episode, channel)
        return (
            self._later_reason(episode, transition, channel, raised)
            if self.is_told(raised)
            else None
        )

    def _later_reason(
        self, episode: Episode, transition: str, channel: str, raised: Notification
    ) -> str | None:
        if transition.startswith("severity_rose"):
            return _worse_when_first_told(transition, raised)
        if transition == "happening":
            return self._come_true_when_told(episode, channel)
        return self._over_when_first_told(episode) if transition == "closed" else None

    def _newer_one_was_told(self, episode: Episode, channel: str) -> str | None:
        """Of several episodes of one target that one catch-up found, the newest is told, and says
        how many came before it."""
        of_target = [
            e
            for e in self.episodes.values()
            if (e.definition, e.asset) == (episode.definition, episode.asset)
        ]
        not_notified = 1
        for later in sorted(
            (e for e in of_target if e.raised_at > episode.raised_at), key=lambda e: e.raised_at
        ):
            told = self._told(later, channel, "raised")
            if not told:
                not_notified += 1
                continue
            known = all(self.is_told(n) for n in told) and not self.looked(
                episode.raised_at, later.raised_at
            )
            says = re.search(r"; (\d+) more since ", told[0].reason)
            named = known and says is not None and int(says[1]) >= not_notified
            return "named by the newest of a catch-up" if named else None
        return None

    def _over_when_first_told(self, episode: Episode) -> str | None:
        closed = episode.closed_at
        if closed is None or closed > episode.detected_at or self.looked(episode.raised_at, closed):
            return None
        return "raised and over in one catch-up"

    def _come_true_when_told(self, episode: Episode, channel: str) -> str | None:
        """Of a start and an end in one catch-up the end is told; a start in the catch-up of the
        raise is told by the raise."""
        begun = episode.happening_at
        over = episode.closed_at
        if begun is None:
            return None
        if begun <= episode.detected_at and not self.looked(episode.raised_at, begun):
            return "raised and happening in one catch-up"
        if (
            over is None
            or self.looked(begun, over)
            or not any(self.is_told(n) for n in self._told(episode, channel, "closed"))
        ):
            return None
        return "happening and over in one catch-up"

    def is_told(self, n: Notification) -> bool:
        """Return whether its recipient has it: delivered by itself, or listed in a digest or
        summary that was delivered."""
        if n.status == "sent":
            return True
        return n.status == "grouped" and any(
            b.status == "sent"
            and b.channel == n.channel
            and b.content
            and n.key in b.content.payload.get("notifications", ())
            for b in self.notices
        )

    def _told(self, episode: Episode, channel: str, transition: str) -> list[Notification]:
        return [
            n
            for n in self.notices
            if n.episode == episode.id and n.transition == transition and n.channel == channel
        ]


def grouped_and_not_told(notices: Collection[Notification], channels: Sequence[str]) -> list[str]:
    """Keys marked as told together with others that no delivered message of their channel lists."""
    excuses = Excuses({}, notices, lambda _start, _end: False)
    return [
        n.key
        for n in notices
        if n.status == "grouped" and n.channel in channels and not excuses.is_told(n)
    ]


def _worse_when_first_told(transition: str, raised: Notification) -> str | None:
    severity = transition.partition("-")[2]
    known = raised.severity is not None and _RANKS[raised.severity] >= _RANKS[severity]
    return "as severe when it was first told" if known else None


def _parts(key: str) -> tuple[str, str, str]:
    """Episode, transition and channel of a key `episode:transition:channel[:number]`."""
    id, transition, channel = key.split(":")[:3]
    return id, transition, channel
