"""Ports for notifications: messages, channels, feedback links and sessions of people."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from alerting.definitions.wording.language import LanguageCode
from alerting.notifications.notification import Notification
from alerting.ports.definitions import Document
from alerting.ports.unit_of_work import Unit

if TYPE_CHECKING:
    from alerting.notifications.links import Grant

Change = tuple[Notification | None, Notification]
"""A notification as it was read, and as it is to be stored."""


@dataclass(frozen=True)
class MessageLink:
    """Label and address of a link. The address itself grants the permission, so it must not be
    logged."""

    label: str
    url: str = field(repr=False)


@dataclass(frozen=True)
class Picture:
    """A PNG, and its description for people who cannot see it."""

    png: bytes = field(repr=False)
    description: str


@dataclass(frozen=True)
class Message:
    """A message that a channel delivers. `draw` makes its chart, if it has one, for channels that
    show charts."""

    key: str
    subject: str
    text: str
    payload: Document
    links: tuple["MessageLink", ...] = ()
    draw: Callable[[], Picture | None] | None = field(default=None, compare=False)
    language: LanguageCode = "en"


class DeliveryFailed(Exception):
    """Error: a delivery did not succeed. `permanent`: another attempt is useless. `status`: of the
    answer of a web server; None if it gave none."""

    def __init__(self, reason: str, permanent: bool = False, status: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.permanent = permanent
        self.status = status


class Channel(Protocol):
    """A way to deliver messages to people or systems."""

    name: str

    def deliver(self, message: Message) -> None:
        """Deliver a message. Raises DeliveryFailed if it is not delivered."""


class Links(Protocol):
    """Feedback links of messages, made and read."""

    def answer_links(
        self, episode: str, recipient: str, acknowledge: bool = False
    ) -> tuple[MessageLink, ...]:
        """Return one link for each answer that this recipient can give to this episode, and one to
        its page.

        With `acknowledge` also one that acknowledges the episode.
        """

    def page(self, path: str, label: str) -> MessageLink:
        """Return a link to a page of the console, which grants nothing: `path` begins with a
        slash."""

    def read(self, token: str) -> "Grant":
        """Return the grant of a link. Raises LinkRefused if this installation did not make it, or
        it has expired."""


class Notifications(Protocol):
    """Notifications of episodes, mutes, summaries and the platform, one document each, as they are
    made and changed; `MongoNotifications` delivers them, too."""

    def add(self, notifications: Sequence[Notification], unit: Unit | None = None) -> int:
        """Store those whose key is new, and leave the others as they are. Return how many are new.
        Idempotent."""

    def change(self, changes: Sequence[Change], unit: Unit | None = None) -> int:
        """Store the second notification of each pair, if the first one is still stored. Return how
        many were.

        Without a first one it is stored anyway. In a unit of work raises Conflict unless all were.
        """

    def of_episodes(self, episodes: Collection[str]) -> dict[str, tuple[Notification, ...]]:
        """Return the notifications of each of these episodes, oldest first; empty for one without
        any."""

    def raised_since(self, asset: str, since: datetime) -> list[Notification]:
        """Return notifications of raises on this asset made after this instant."""
