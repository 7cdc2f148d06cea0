"""Versions in force over time: the revision and the champion by which each past instant is evaluated."""

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise

from alerting.definitions.model import Revision, TrainedDefinition
from alerting.definitions.revisions import in_force
from alerting.kinds.evaluation import VersionInterval
from alerting.ports import DecisionRecord


def segments(
    revisions: Sequence[Revision], decisions: Sequence[DecisionRecord], start: datetime, end: datetime
) -> list[VersionInterval]:
    """Split (start, end] wherever the revision, the champion or its serving model changed. Both are sorted, oldest first."""
    changes = {r.at for r in revisions} | {d.at for d in decisions if d.promoted}
    cuts = [start, *sorted(c for c in changes if start < c < end), end]
    return [
        VersionInterval(a, b, in_force(revisions, a), version := champion_at(decisions, a), serves_twin(decisions, version, a))
        for a, b in pairwise(cuts)
    ]


def serves_twin(decisions: Sequence[DecisionRecord], version: int | None, at: datetime) -> bool:
    """Return whether the refit of a version had given way to its twin at an instant."""
    return any(d.verdict == "gave_way" and d.challenger_version == version and d.at <= at for d in decisions)


def champion_at(decisions: Sequence[DecisionRecord], at: datetime) -> int | None:
    """Return the registry version of the champion in service at an instant, None without one."""
    return next((d.challenger_version for d in reversed(decisions) if d.promoted and d.at <= at), None)


def last_promotion(decisions: Sequence[DecisionRecord]) -> DecisionRecord | None:
    """Return the promotion that put the present champion into service, None without one. Oldest decision first."""
    return next((d for d in reversed(decisions) if d.promoted), None)


def line_of_champions(decisions: Sequence[DecisionRecord]) -> list[int]:
    """Return the successive champions up to the one in service. A rollback returns to the position of its version."""
    line: list[int] = []
    for decision in decisions:
        version = decision.challenger_version
        if not decision.promoted or version is None or decision.verdict == "gave_way":
            continue
        line = line[: line.index(version) + 1] if decision.verdict == "rollback" and version in line else [*line, version]
    return line


def first_instant(revisions: Sequence[Revision]) -> datetime | None:
    """Return when the definition was first put in service, None if never."""
    return next((r.at for r in revisions if r.definition.state == "active"), None)


def live_from(revisions: Sequence[Revision], decisions: Sequence[DecisionRecord]) -> datetime | None:
    """Return when live evaluation began: with the activation, for a model not before its first promotion. None: not yet.

    Both sequences are of one definition, oldest first, and `revisions` is not empty.
    """
    began = first_instant(revisions)
    if began is None or not isinstance(revisions[-1].definition, TrainedDefinition):
        return began
    promoted = next((d.at for d in decisions if d.promoted), None)
    return None if promoted is None else max(began, promoted)
