"""Dead letters: notifications of episodes, of shelves that are about to end, and of neither, whose delivery was given up."""

from dataclasses import dataclass
from datetime import datetime

from alerting.episodes.episode import Notification
from alerting.ports import Platform


@dataclass(frozen=True)
class DeadLetter:
    """A delivery that was given up. `episode`, `shelf`: the id of its episode or shelf, if it has one."""

    id: str
    episode: str | None
    channel: str
    of: str
    created_at: datetime
    attempts: int
    error: str | None
    shelf: str | None = None


def dead_letters(platform: Platform) -> list[DeadLetter]:
    """Return all dead letters, oldest first."""
    found = [_letter(n, episode=episode) for episode, n in platform.episodes.dead_letters()]
    found += [_letter(n, shelf=shelf) for shelf, n in platform.shelves.dead_letters()]
    found += [_letter(group_message.notification) for group_message in platform.group_messages.dead_letters()]
    return sorted(found, key=lambda letter: letter.created_at)


def _letter(n: Notification, episode: str | None = None, shelf: str | None = None) -> DeadLetter:
    return DeadLetter(n.key, episode, n.channel, n.transition, n.created_at, n.attempts, n.error, shelf)
