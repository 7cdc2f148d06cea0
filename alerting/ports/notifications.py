"""Ports for notifications: messages, channels, feedback links and sessions of people."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from alerting.episodes.episode import Notification
from alerting.notifications.group_message import GroupMessage
from alerting.ports.documents import Document

if TYPE_CHECKING:
    from alerting.notifications.links import Grant


@dataclass(frozen=True)
class Link:
    """Label and address of a link. The address itself grants the permission, so it must not be logged."""

    label: str
    url: str = field(repr=False)


@dataclass(frozen=True)
class Picture:
    """A PNG, and its description for people who cannot see it."""

    png: bytes = field(repr=False)
    description: str


@dataclass(frozen=True)
class Message:
    """A message that a channel delivers. `draw` makes its chart, if it has one, for channels that show charts."""

    key: str
    subject: str
    text: str
    payload: Document
    links: tuple["Link", ...] = ()
    draw: Callable[[], Picture | None] | None = field(default=None, compare=False)


class DeliveryFailed(Exception):
    """Error: a delivery did not succeed. `permanent`: another attempt is useless."""

    def __init__(self, reason: str, permanent: bool = False) -> None:
        super().__init__(reason)
        self.permanent = permanent


class Channel(Protocol):
    """A way to deliver messages to people or systems."""

    name: str

    def deliver(self, message: Message) -> None:
        """Deliver a message. Raises DeliveryFailed if it is not delivered."""
        ...


class Links(Protocol):
    """Feedback links of messages, made and read."""

    def of(self, episode: str, recipient: str, acknowledge: bool = False) -> tuple[Link, ...]:
        """Return one link for each answer that this recipient can give to this episode, and one to its page.

        With `acknowledge` also one that acknowledges the episode.
        """
        ...

    def read(self, token: str) -> "Grant":
        """Return the grant of a link. Raises LinkRefused if this installation did not make it, or it has expired."""
        ...


class Revocations(Protocol):
    """Revoked feedback links."""

    def revoke(self, episode: str | None, recipient: str | None, at: datetime) -> None:
        """Refuse from now on links made until `at`: of this episode, this recipient, both, or (None, None) all."""
        ...

    def is_revoked(self, episode: str, recipient: str, made_at: datetime) -> bool: ...


class EndedSessions(Protocol):
    """Browser sessions of people that were logged out before they expired."""

    def end(self, session: str, expires: datetime, now: datetime) -> None:
        """Refuse this session from now on; the entry may be removed once the session has expired. Idempotent."""
        ...

    def has_ended(self, session: str) -> bool:
        """Return whether this session was logged out."""
        ...


class GroupMessages(Protocol):
    """Grouped notifications, which belong to no single episode: flood summaries, heartbeats."""

    def insert(self, group_message: GroupMessage) -> bool:
        """Insert; return False if there is one of this id."""
        ...

    def replace(self, group_message: GroupMessage) -> bool:
        """Write the next version: succeeds only while the stored version is `group_message.version - 1`."""
        ...

    def get(self, id: str) -> GroupMessage | None: ...

    def due(self, now: datetime, limit: int = 100) -> list[GroupMessage]:
        """Return grouped notifications that are due now, oldest first."""
        ...

    def dead_letters(self) -> list[GroupMessage]:
        """Return dead letters."""
        ...

    def sent_since(self, since: datetime) -> list[Notification]:
        """Return the deliveries that succeeded since this instant."""
        ...
