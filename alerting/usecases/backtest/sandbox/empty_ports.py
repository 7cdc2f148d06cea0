"""Empty ports of the in-memory platform, which neither has nor stores their contents."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from alerting.episodes.lifecycle import ConditionState
from alerting.episodes.state_table import TargetKey
from alerting.operators.shelves import Shelf
from alerting.ports import Document, PastEvaluation, PlatformAlert
from alerting.ports.late import Arrival, Checkpoint, ReprocessingRequest
from alerting.usecases.backtest.sandbox.live_write import refuse


class NothingLate:
    """Port `Arrivals` without late readings."""

    def evaluated_until(self) -> datetime | None:
        return None

    def extend_evaluated_until(self, up_to: datetime) -> None:
        """Write nothing. No process writes readings to an in-memory platform."""

    def waiting(self) -> list[Arrival]:
        return []

    def mark_seen(self, arrival: Arrival, at: datetime) -> None:  # noqa: ARG002 - the port's signature
        refuse("track late readings")

    def mark_routed(self, routed: Sequence[tuple[Arrival, int]], at: datetime) -> None:  # noqa: ARG002
        refuse("track late readings")

    def of(self, arrived_at: datetime) -> list[Arrival]:  # noqa: ARG002
        return []

    def since(self, arrived_from: datetime) -> list[Arrival]:  # noqa: ARG002
        return []

    def forget(self, before: datetime) -> int:  # noqa: ARG002
        return 0

    def request_reprocessing(self, starts: Mapping[TargetKey, datetime]) -> None:
        """Write nothing. All evaluations of an in-memory platform use the same readings."""

    def requests(self, definitions: Sequence[str]) -> dict[TargetKey, ReprocessingRequest]:  # noqa: ARG002
        return {}

    def remove_requests(self, requests: Sequence[ReprocessingRequest]) -> None:
        """Remove nothing. Reprocessing requests of an in-memory platform are not stored."""


class NoCheckpoints:
    """Port `Checkpoints` that stores none, because no target is reprocessed."""

    def save(self, checkpoints: Sequence[Checkpoint]) -> None:
        """Write nothing."""

    def before(self, instants: Mapping[TargetKey, datetime]) -> dict[TargetKey, ConditionState]:  # noqa: ARG002
        return {}

    def after(self, definition: str, asset: str, instant: datetime) -> ConditionState | None:  # noqa: ARG002
        return None

    def drop(self, starts: Mapping[TargetKey, datetime]) -> None:
        """Drop nothing. There are no checkpoints."""


class NoShelves:
    """Port `Shelves` without any, because an in-memory platform sends no notifications."""

    def insert(self, shelf: Shelf) -> bool:  # noqa: ARG002
        refuse("shelve")

    def replace(self, shelf: Shelf) -> bool:  # noqa: ARG002
        refuse("change shelves")

    def get(self, id: str) -> Shelf | None:  # noqa: ARG002
        return None

    def in_force(self, definition: str | None = None, asset: str | None = None) -> list[Shelf]:  # noqa: ARG002
        return []

    def of(self, definition: str, asset: str) -> list[Shelf]:  # noqa: ARG002
        return []


class NoRoutes:
    """Port `Routes` without any."""

    def documents(self) -> list[Document]:
        return []

    def put(self, document: Document) -> None:  # noqa: ARG002
        refuse("change routes")

    def remove(self, name: str) -> bool:  # noqa: ARG002
        refuse("change routes")


class NoRevocations:
    """Port `Revocations` under which every link is revoked; an in-memory platform makes no links."""

    def revoke(self, episode: str | None, recipient: str | None, at: datetime) -> None:  # noqa: ARG002
        refuse("revoke links")

    def is_revoked(self, episode: str, recipient: str, made_at: datetime) -> bool:  # noqa: ARG002
        return True


class NoSessions:
    """Port `EndedSessions` of an in-memory platform, which has no logins."""

    def end(self, session: str, expires: datetime, now: datetime) -> None:  # noqa: ARG002
        refuse("end a session")

    def has_ended(self, session: str) -> bool:  # noqa: ARG002
        return True


class NoPastEvaluations:
    """Port `PastEvaluations` without any."""

    def add(self, replay: PastEvaluation) -> None:  # noqa: ARG002
        refuse("evaluate past periods again")

    def of(self, definition: str) -> list[PastEvaluation]:  # noqa: ARG002
        return []

    def between(self, start: datetime, end: datetime) -> list[PastEvaluation]:  # noqa: ARG002
        return []


class NoReports:
    """Port `Reports` that stores none."""

    def put(self, definition: str, start: datetime, end: datetime, metrics: Document, page: str, at: datetime) -> str:  # noqa: ARG002
        refuse("store reports")

    def of(self, definition: str) -> list[Document]:  # noqa: ARG002
        return []

    def newest(self, limit: int) -> list[Document]:  # noqa: ARG002
        return []

    def page(self, id: str) -> str | None:  # noqa: ARG002
        return None


class NoPlatformAlerts:
    """Port `PlatformAlerts` without any. The result of an in-memory run states its faults."""

    def open(self) -> list[PlatformAlert]:
        return []

    def of(self, subject: str) -> list[PlatformAlert]:  # noqa: ARG002
        return []

    def resolved_since(self, since: datetime) -> list[PlatformAlert]:  # noqa: ARG002
        return []

    def report(self, kind: str, subject: str, reason: str, at: datetime) -> None:  # noqa: ARG002
        refuse("report faults of the platform")

    def resolve(self, kind: str, subject: str, at: datetime) -> None:  # noqa: ARG002
        refuse("resolve faults of the platform")


class NoAudit:
    """Port `Audit` that stores no entries, because decisions of an in-memory platform have no effect outside."""

    def add(
        self, actor: str, what: str, subject: str, at: datetime, before: Any = None, after: Any = None, why: str = ""
    ) -> None:
        """Write nothing."""
