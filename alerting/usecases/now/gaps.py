"""Targets of which it is not known whether all is well, and why."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Literal, NamedTuple

from alerting.deferred import np
from alerting.definitions.wording.language import translatable
from alerting.episodes.targets import EvaluationTarget
from alerting.kinds.protocol.unknown_reasons import NOT_ASKED, WITHOUT_MODEL
from alerting.ports import States
from alerting.readings.history import NO_TIME, from_millis, to_millis

Later = Callable[[Callable[[], object]], object]
"""Begins work that need not be awaited."""
GapKind = Literal["no model", "unknown", "late", "never"]
NO_MODEL = translatable("there is no model in service yet")
NOT_EVALUATED_YET = translatable("it was never evaluated")
_MANY = 500
_RECENT = timedelta(seconds=5)
_LONGEST = timedelta(seconds=15)
"""For so long the coverage of before is shown while it is found again."""
LATE = translatable("its evaluation is late")


@dataclass(frozen=True)
class Gap:
    """Targets of one definition that are not evaluated for one reason. `since`: up to when the
    first of them was evaluated; None: never."""

    definition: str
    kind: GapKind
    reason: str
    assets: tuple[str, ...]
    since: datetime | None


@dataclass(frozen=True)
class EvaluationCoverage:
    """How far the targets are evaluated: `until`, the earliest of those that are evaluated on time,
    None without one; and the gaps, those of most assets first.

    `on_time_until`: the last instant at which no other target is late, if no state is written;
    None: none can become late.
    """

    until: datetime | None
    gaps: tuple[Gap, ...]
    on_time_until: datetime | None

    @cached_property
    def unknown_by_asset(self) -> Mapping[str, int]:
        """Return on how many definitions nothing is known, by asset."""
        found: dict[str, int] = {}
        for gap in self.gaps:
            for asset in gap.assets:
                found[asset] = found.get(asset, 0) + 1
        return found


class _Found(NamedTuple):
    """A coverage, the instant of which it is, and the versions of the states it was found in."""

    at: datetime
    coverage: EvaluationCoverage
    versions: str


class RecentCoverage:
    """Coverage of many targets, found again after some seconds if a state was written or a target
    became late meanwhile: finding it takes longer than the rest of a page."""

    def __init__(self, later: Later | None = None) -> None:
        """`later`: begins work that need not be awaited; None: it is always awaited."""
        self._found: _Found | None = None
        self._later = later
        self._begun: datetime | None = None

    def find(
        self, states: States, targets: Sequence[EvaluationTarget], now: datetime, late: timedelta
    ) -> EvaluationCoverage:
        """Return how far targets are evaluated, as `find_gaps`, of some seconds ago if they are
        many."""

        def find_again() -> EvaluationCoverage:
            versions = states.versions()  # a write after this is found the next time
            coverage = find_gaps(states, targets, now, late)
            self._found = _Found(now, coverage, versions)
            return coverage

        if len(targets) <= _MANY:
            return find_gaps(states, targets, now, late)
        if self._found is None:
            return find_again()
        at, coverage, versions = self._found
        if timedelta(0) <= now - at < _RECENT:
            return coverage
        is_on_time = coverage.on_time_until is None or now <= coverage.on_time_until
        if at <= now and is_on_time and states.versions() == versions:
            self._found = _Found(now, coverage, versions)
            return coverage
        if self._later is None or not timedelta(0) <= now - at < _LONGEST:
            return find_again()
        if self._begun != at:  # once for all who ask meanwhile
            self._begun = at
            self._later(find_again)
        return coverage


def find_gaps(
    states: States, targets: Sequence[EvaluationTarget], now: datetime, late: timedelta
) -> EvaluationCoverage:
    """Return how far targets are evaluated. `late`: the delay behind schedule and latency from
    which on an evaluation is late."""
    if not targets:
        return EvaluationCoverage(None, (), None)
    table = states.load_many([target.key for target in targets])
    instant = to_millis(now)
    allowed = np.array([t.every + t.latency for t in targets], np.int64)
    has_state = table.watermark != NO_TIME
    since = np.array([t.since for t in targets], np.int64)
    reached = np.where(has_state, table.watermark, since)
    last_on_time = reached + allowed + late // timedelta(milliseconds=1)
    is_late = last_on_time < instant
    is_unknown = table.unknown_count > 0
    needs_model = np.array([t.needs_model for t in targets])
    suspects = np.flatnonzero(is_late | is_unknown | (needs_model & ~has_state)).tolist()
    found: dict[tuple[str, GapKind, str], list[int]] = {}
    for row in suspects:
        kind: GapKind
        reason: str
        if has_state[row] and is_late[row]:
            kind = "late"
            reason = LATE
        elif is_unknown[row]:
            kind = "unknown"
            reason = table.unknown_reason[row] or ""
        elif targets[row].needs_model:
            kind = "no model"
            reason = NO_MODEL
        else:
            kind = "never"
            reason = NOT_EVALUATED_YET
        found.setdefault((targets[row].definition, kind, reason), []).append(row)
    on_time = np.setdiff1d(np.flatnonzero(has_state), suspects)
    until = from_millis(int(table.watermark[on_time].min())) if len(on_time) else None
    gaps = [
        _gap(definition, kind, reason, [targets[row].asset for row in rows], table.watermark[rows])
        for (definition, kind, reason), rows in found.items()
    ]
    ordered = sorted(gaps, key=lambda g: (-len(g.assets), g.definition, g.reason))
    on_time_until = None if is_late.all() else from_millis(int(last_on_time[~is_late].min()))
    return EvaluationCoverage(until, tuple(ordered), on_time_until)


def without_champion(gaps: Iterable[Gap]) -> list[str]:
    """Return the definitions of which a gap says that there is no model."""
    return sorted({gap.definition for gap in gaps if _lacks_model(gap)})


def with_champions(gaps: Iterable[Gap], serving: Collection[str]) -> tuple[Gap, ...]:
    """Return the gaps, without saying of a definition that has a champion that it has none: the
    state may have been stored before the model went into service."""
    return tuple(
        replace(gap, kind="never", reason=NOT_ASKED)
        if _lacks_model(gap) and gap.definition in serving
        else gap
        for gap in gaps
    )


def _lacks_model(gap: Gap) -> bool:
    return gap.kind == "no model" or gap.reason in WITHOUT_MODEL


def _gap(
    definition: str, kind: GapKind, reason: str, assets: Iterable[str], watermarks: np.ndarray
) -> Gap:
    known = watermarks[watermarks != NO_TIME]
    since = from_millis(int(known.min())) if len(known) else None
    return Gap(definition, kind, reason, tuple(sorted(assets)), since)
