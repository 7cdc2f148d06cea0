"""Ports of the demo line: the store of its state, and the clock that it drives."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from alerting.demo.line import DemoLineState


@dataclass(frozen=True)
class SetPointRequest:
    """A set-point that a person requests; the line applies it at the next minute it computes."""

    id: str
    variable: str
    value: float
    actor: str


@dataclass(frozen=True)
class StoredLine:
    """A line as stored. `version` counts the writes of its state."""

    state: DemoLineState
    version: int
    requests: tuple[SetPointRequest, ...] = ()


class LineStore(Protocol):
    """Store of demo lines, one per asset."""

    def load(self, asset: str) -> StoredLine | None: ...

    def save(
        self,
        asset: str,
        before: StoredLine | None,
        state: DemoLineState,
        taken: Sequence[SetPointRequest] = (),
    ) -> StoredLine | None:
        """Write the state without its applied requests; None if another process wrote."""
        ...

    def ask(self, asset: str, request: SetPointRequest) -> bool:
        """Store a request for the running line; False if there is no line."""
        ...


class LineClock(Protocol):
    """Clock of the platform, driven by the one process that runs the line."""

    def now(self) -> datetime: ...

    def start(self, base: datetime, speed: float, lease: timedelta) -> None:
        """Start the clock at `base`, `speed` times real time, until the lease is over."""
        ...

    def renew(self, lease: timedelta) -> None:
        """Extend the lease by this time of the wall."""
        ...

    def freeze(self) -> None:
        """Stop the clock at its present time."""
        ...
