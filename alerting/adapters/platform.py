"""All ports together."""

from dataclasses import dataclass

from alerting.ports import EndedSessions, OperatorPorts, ReportPorts, UpkeepPorts


@dataclass(frozen=True, kw_only=True)
class Platform(UpkeepPorts, OperatorPorts, ReportPorts):
    """The ports of all use cases, for wiring and callers of use cases; a use case takes a narrower group."""

    ended_sessions: EndedSessions
