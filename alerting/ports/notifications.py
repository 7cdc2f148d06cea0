"""Ports for telling people: messages, the channels they take, and the links in them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from alerting.episodes.episode import Notification
from alerting.notifications.group_message import Bulletin
from alerting.ports.documents import Document

if TYPE_CHECKING:
    from alerting.notifications.links import Grant


@dataclass(frozen=True)
class Link:
    """Words to tap, and where they lead. Whoever has the address may do what it is for: it is not for logs."""

    words: str
    url: str = field(repr=False)


@dataclass(frozen=True)
class Picture:
    """A PNG, and the same in words for who cannot see it."""

    png: bytes = field(repr=False)
    words: str


@dataclass(frozen=True)
class Message:
    """What a channel delivers. `draw` makes the figure that belongs to it, for channels that show one; it may have none."""

    key: str
    subject: str
    text: str
    payload: Document
    links: tuple["Link", ...] = ()
    draw: Callable[[], Picture | None] | None = field(default=None, compare=False)


class DeliveryFailed(Exception):
    """A delivery did not succeed. `permanent`: trying again is useless."""

    def __init__(self, reason: str, permanent: bool = False) -> None:
        super().__init__(reason)
        self.permanent = permanent


class Channel(Protocol):
    """A way to reach people or systems."""

    name: str

    def deliver(self, message: Message) -> None:
        """Raises DeliveryFailed."""
        ...


class Links(Protocol):
    """Makes the links that go with a message."""

    def of(self, episode: str, recipient: str, acknowledge: bool = False) -> tuple[Link, ...]:
        """One link for each answer that this recipient can give to this episode, and one to its page; with `acknowledge` also
        one that acknowledges it.
        """
        ...

    def read(self, token: str) -> "Grant":
        """What a link allows. Raises LinkRefused when it is not ours or has expired."""
        ...


class Revocations(Protocol):
    """Feedback links that count no more."""

    def revoke(self, episode: str | None, recipient: str | None, at: datetime) -> None:
        """From now on refuse links made until `at`: of this episode, this recipient, both, or (None, None) all."""
        ...

    def is_revoked(self, episode: str, recipient: str, made_at: datetime) -> bool: ...


class EndedSessions(Protocol):
    """Sessions of people with a browser that were logged out before their time."""

    def end(self, session: str, expires: datetime, now: datetime) -> None:
        """Refuse this session from now on; it need not be kept beyond its end. Idempotent."""
        ...

    def has_ended(self, session: str) -> bool:
        """Whether this session was logged out."""
        ...


class Bulletins(Protocol):
    """Messages that belong to no single episode: summaries of floods, heartbeats."""

    def insert(self, bulletin: Bulletin) -> bool:
        """Insert; False if there is one of this id."""
        ...

    def replace(self, bulletin: Bulletin) -> bool:
        """Write the next version: succeeds only while the stored version is `bulletin.version - 1`."""
        ...

    def get(self, id: str) -> Bulletin | None: ...

    def due(self, now: datetime, limit: int = 100) -> list[Bulletin]:
        """Those that are to be delivered now, oldest first."""
        ...

    def dead_letters(self) -> list[Bulletin]:
        """Those whose delivery was given up."""
        ...

    def sent_since(self, since: datetime) -> list[Notification]:
        """The deliveries of those that were delivered since this instant."""
        ...
