"""What the demo line asks of the outside: a place for its state, and the clock that it drives."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from alerting.demo.line import LineState


@dataclass(frozen=True)
class SetPointRequest:
    """A set-point that a person wants, until the line takes it over at the next minute it computes."""

    id: str
    variable: str
    value: float
    who: str


@dataclass(frozen=True)
class StoredLine:
    """A line as it is kept. `version` counts the writes of its state."""

    state: LineState
    version: int
    requests: tuple[SetPointRequest, ...] = ()


class LineStore(Protocol):
    """One line per asset."""

    def load(self, asset: str) -> StoredLine | None: ...

    def save(
        self, asset: str, before: StoredLine | None, state: LineState, taken: Sequence[SetPointRequest] = ()
    ) -> StoredLine | None:
        """Write the state and drop the requests it has taken over; None when somebody else wrote since `before` was read."""
        ...

    def ask(self, asset: str, request: SetPointRequest) -> bool:
        """Leave a request for the running line; False if there is no line."""
        ...


class LineClock(Protocol):
    """The clock that everybody reads, as the one process that runs the line drives it."""

    def now(self) -> datetime: ...

    def start(self, base: datetime, speed: float, lease: timedelta) -> None:
        """From now on the clock shows `base` plus `speed` seconds per second of the wall, and stands once the lease is over."""
        ...

    def renew(self, lease: timedelta) -> None:
        """Let it go on for another `lease` of the wall's time."""
        ...

    def freeze(self) -> None:
        """Let it stand at what it shows."""
        ...
