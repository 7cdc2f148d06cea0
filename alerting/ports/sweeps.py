"""Ports for what grows old: its deletion, or its number."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

Log = Literal["audit", "platform_alerts", "reports", "backtests", "past_evaluations"]
"""Collections of which documents are deleted by their age alone."""


@dataclass(frozen=True)
class Swept:
    """Documents of one kind that are deleted, or would be. `bytes`: about; None where that is not
    known."""

    what: str
    documents: int
    bytes: int | None


class Sweeps(Protocol):
    """Deletion of old documents. With `dry` nothing is deleted. Idempotent."""

    def readings(self, asset: str, before: datetime, *, dry: bool) -> Swept:
        """Delete readings of an asset that are of before an instant and reached the platform before
        it: an import stays."""

    def scores(self, definition: str, before: datetime, *, dry: bool) -> Swept:
        """Delete the scores of a definition of instants before this one."""

    def log(self, what: Log, before: datetime, keep: Collection[str] = (), *, dry: bool) -> Swept:
        """Delete documents that were written before an instant; of platform alerts those resolved
        before it.

        `keep`: subjects of platform alerts that stay.
        """


class NoSweeps:
    """Port `Sweeps` of stores in memory, which end with their process."""

    def readings(self, asset: str, before: datetime, *, dry: bool) -> Swept:  # noqa: ARG002
        return Swept("readings", 0, 0)

    def scores(self, definition: str, before: datetime, *, dry: bool) -> Swept:  # noqa: ARG002
        return Swept("scores", 0, 0)

    def log(self, what: Log, before: datetime, keep: Collection[str] = (), *, dry: bool) -> Swept:  # noqa: ARG002
        return Swept(what, 0, 0)


NO_SWEEPS = NoSweeps()
