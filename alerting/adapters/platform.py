"""All ports together."""

from collections.abc import Callable
from dataclasses import dataclass

from alerting.ports import AccessPorts, OperatorPorts, ReportPorts, UpkeepPorts
from alerting.stores.live import ChangeFeed


def real_time() -> None:
    """Return no speed of a simulated line: times are real."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Platform(UpkeepPorts, OperatorPorts, ReportPorts, AccessPorts):
    """The ports of all use cases, for wiring and callers of use cases; a use case takes a narrower
    group.

    `line_speed`: how many seconds of a simulated line, whose time the clock shows, pass in a
    second; None in real time. `changes`: None where the database gives none.
    """

    changes: ChangeFeed | None = None
    line_speed: Callable[[], float | None] = real_time
