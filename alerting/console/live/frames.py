"""Frames of the event stream: what changed, and how many alarms are open."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from hashlib import sha256
from typing import Any

from alerting.definitions.model import SEVERITIES
from alerting.ports import LiveChange, LiveEpisode

MOST_EPISODES = 200
"""Episodes named in one frame; where more have changed, readers look at everything again."""
ALIVE = b"event: alive\ndata: {}\n\n"


def frame(
    mark: str,
    changes: Sequence[LiveChange],
    still_open: Iterable[LiveEpisode],
    *,
    look_again: bool,
) -> bytes:
    """Return one event: the last state of each changed episode, and counts of those that are open.

    `look_again`: the reader may have missed changes that the event does not name.
    """
    changed = {change.episode.id: change.episode for change in changes if change.episode}
    too_many = len(changed) > MOST_EPISODES
    shown = [*still_open]
    things = {change.thing for change in changes}
    content = {
        "all": look_again or too_many,
        "episodes": [] if too_many else [asdict(one) for one in changed.values()],
        "mutes": "mute" in things,
        "platform": "platform" in things,
        "open": _by_severity(shown),
        "unacknowledged": _by_severity(
            one for one in shown if not one.acknowledged and not one.muted
        ),
    }
    return event(mark, content)


def state_mark(still_open: Iterable[LiveEpisode], others: Iterable[object]) -> str:
    """Return a text that changes with the open episodes and other things, for readers that ask
    each second instead."""
    rows = sorted(repr(one) for one in (*still_open, *others))
    return sha256("\n".join(rows).encode()).hexdigest()[:20]


def event(mark: str, content: dict[str, Any]) -> bytes:
    """Return a server-sent event with this id."""
    return f"id: {mark}\ndata: {json.dumps(content, separators=(',', ':'))}\n\n".encode()


def _by_severity(episodes: Iterable[LiveEpisode]) -> dict[str, int]:
    counts = Counter(one.severity for one in episodes)
    return {severity: counts[severity] for severity in SEVERITIES}
