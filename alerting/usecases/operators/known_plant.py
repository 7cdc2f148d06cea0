"""Assets, definitions and targets of a plant, read again only after one of them has changed; and
the targets that are not evaluated, with the reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Literal, NamedTuple, cast

from alerting.deferred import np
from alerting.definitions.alert_definition import AssetIndex, Definition, Revision
from alerting.definitions.asset_documents import Asset, asset_titles
from alerting.definitions.wording.language import Translatable, template, translatable
from alerting.detection.evaluation_results_and_texts import (
    NO_READING_WITHIN,
    NO_READINGS_FOR_MODEL,
    WAITING_FOR_READING,
)
from alerting.episodes.evaluation_plan import EvaluationTarget
from alerting.kinds.protocol import NOT_ASKED, WITHOUT_MODEL
from alerting.operators.alarm_views import find_parts
from alerting.ports import EvaluationPlans, EvaluationPorts, Readings, States
from alerting.readings.history import NO_TIME, from_millis, to_millis
from alerting.usecases.health.platform_health import read_inventory

_RECENT_HASH = timedelta(seconds=1)
_SOON = timedelta(seconds=0.5)
"""After this time the hash of the sources is found again, before anyone waits for it."""


@dataclass(frozen=True)
class KnownPlant:
    """A plant as it is known. `assets`: by name; `parts`: the part of each; `latest`: newest
    revisions by name; `targets`: what is evaluated, `definition_counts` of them on each asset."""

    assets: Mapping[str, Asset]
    parts: Mapping[str, str]
    latest: Mapping[str, Revision]
    targets: tuple[EvaluationTarget, ...]
    definition_counts: Mapping[str, int]
    recent_coverage: RecentCoverage

    @cached_property
    def suppressible(self) -> frozenset[str]:
        """Return the names of the active definitions with suppression by design."""
        return frozenset(
            name
            for name, revision in self.latest.items()
            if revision.definition.suppression is not None and revision.definition.state == "active"
        )

    @cached_property
    def lines(self) -> dict[str, str]:
        """Return the parts of the plant with an evaluated asset below them, titles by name; none if
        the only part is the whole plant. A part that is a single asset has its own tile."""
        names = {name: self.parts[name] for name in self.definition_counts if name in self.parts}
        several = {part for name, part in names.items() if part != name}
        is_whole = len(set(names.values())) == 1
        return {} if is_whole else {name: self.asset_titles[name] for name in sorted(several)}

    @cached_property
    def titles(self) -> dict[str, str]:
        """Return the title of each definition, by name."""
        return {name: revision.definition.title or name for name, revision in self.latest.items()}

    @cached_property
    def definitions(self) -> dict[str, Definition]:
        """Return the newest definitions, by name."""
        return {name: revision.definition for name, revision in self.latest.items()}

    @cached_property
    def index(self) -> AssetIndex:
        """Return all assets, to find those below and above one."""
        return AssetIndex(self.assets.values())

    @cached_property
    def leading_definitions(self) -> dict[str, str]:
        """Return, by asset, the definition whose variable stands for it: one with a limit on a
        variable before one with a model."""
        ordered = sorted(self.targets, key=lambda t: (t.variable is None, t.definition))
        return {t.asset: t.definition for t in reversed(ordered) if t.definition in self.latest}

    @cached_property
    def asset_titles(self) -> dict[str, str]:
        """Return the title of each asset, by name."""
        return asset_titles(self.assets.values())

    @cached_property
    def parents(self) -> dict[str, str | None]:
        """Return the parent of each asset, None for the topmost asset of a part."""
        return {
            name: None if self.parts[name] == name else asset.parent
            for name, asset in self.assets.items()
        }


class RecentPlant:
    """The plant, at most a second old, read again only after an asset, a definition or a revision
    has changed."""

    def __init__(self, later: Later | None = None) -> None:
        """`later`: begins work in the background; None: the next caller waits for it."""
        self._later = later
        self._hash: tuple[datetime, str] | None = None
        self._begun: tuple[datetime, str] | None = None
        self._known: tuple[str, KnownPlant] | None = None

    def find(
        self, platform: EvaluationPorts, now: datetime, *, just_now: bool = False
    ) -> KnownPlant:
        """Return the plant. `now`: the real time; `just_now`: with all that was written up to now,
        for people who look at what they have just written."""
        written = self._find_hash(platform.evaluation_plans, now, just_now=just_now)
        if self._known is None or not written or self._known[0] != written:
            self._known = written, read_plant(platform, self._later)
        return self._known[1]

    def _find_hash(self, plans: EvaluationPlans, now: datetime, *, just_now: bool) -> str:
        """Return the hash of all sources of the plant, empty if there is none."""

        def read() -> str:
            written = plans.source_hash()
            self._hash = now, written
            return written

        newest = self._hash
        if just_now or newest is None or not timedelta(0) <= now - newest[0] < _RECENT_HASH:
            return read()
        if self._later is not None and now - newest[0] >= _SOON and self._begun is not newest:
            self._begun = newest
            self._later(read)
        return newest[1]


def read_plant(platform: EvaluationPorts, later: Later | None = None) -> KnownPlant:
    """Return all assets, definitions and targets. `later`: see `RecentCoverage`."""
    inventory = read_inventory(platform)
    assets = {asset.name: asset for asset in platform.assets.all()}
    return KnownPlant(
        assets,
        find_parts(assets),
        {r.name: r for r in platform.definitions.latest_revisions()},
        inventory.targets,
        Counter(target.asset for target in inventory.targets),
        RecentCoverage(later),
    )


Later = Callable[[Callable[[], object]], object]
"""Begins work that need not be awaited."""
GapKind = Literal["no model", "unknown", "late", "never"]
NO_MODEL = translatable("there is no model in service yet")
_MANY = 500
_RECENT_COVERAGE = timedelta(seconds=5)
_LONGEST = timedelta(seconds=15)
"""For so long the coverage of before is shown while it is found again."""
LATE = translatable("its evaluation is late")


@dataclass(frozen=True)
class Gap:
    """Targets of one definition that are not evaluated for the same reason. `since`: the earliest
    instant up to which one of them was evaluated; None: never."""

    definition: str
    kind: GapKind
    reason: str
    assets: tuple[str, ...]
    since: datetime | None


@dataclass(frozen=True)
class EvaluationCoverage:
    """How far the targets are evaluated. `until`: the earliest watermark of targets that are
    evaluated on time, None without such a target; `gaps`: gaps with most assets first; `new`:
    definitions that just came into service, with the interval of their evaluation.

    `on_time_until`: the last instant at which no further target has a gap if no state is written
    meanwhile; None: no target can get one.
    """

    until: datetime | None
    gaps: tuple[Gap, ...]
    on_time_until: datetime | None
    new: Mapping[str, timedelta] = field(default_factory=dict)

    @cached_property
    def unknown_by_asset(self) -> Mapping[str, int]:
        """Return, by asset, the number of definitions whose state is unknown."""
        counts: dict[str, int] = {}
        for gap in self.gaps:
            for asset in gap.assets:
                counts[asset] = counts.get(asset, 0) + 1
        return counts


class _Found(NamedTuple):
    """A coverage, its instant, and the versions of the states from which it was made."""

    at: datetime
    coverage: EvaluationCoverage
    versions: str


class RecentCoverage:
    """Coverage of many targets. It is found again after some seconds if a state was written or a
    target became late meanwhile, because finding it takes longer than the rest of a page."""

    def __init__(self, later: Later | None = None) -> None:
        """`later`: begins work in the background; None: the caller always waits for it."""
        self._found: _Found | None = None
        self._later = later
        self._begun: datetime | None = None

    def find(
        self, states: States, targets: Sequence[EvaluationTarget], now: datetime, late: timedelta
    ) -> EvaluationCoverage:
        """Return how far targets are evaluated, as `find_gaps`. If there are many targets, the
        answer may be some seconds old."""

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
        if timedelta(0) <= now - at < _RECENT_COVERAGE:
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
    """Return how far targets are evaluated. `late`: the delay beyond schedule and latency from
    which an evaluation is late."""
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
    # One interval until a reading comes, and one until it is evaluated.
    last_new = since + allowed + np.array([t.every for t in targets], np.int64)
    is_new = (last_new >= instant) & ~needs_model
    for row in np.flatnonzero(is_new & has_state).tolist():
        is_new[row] = getattr(table.unknown_reason[row], "template", "") == WAITING_FOR_READING
    suspects = np.flatnonzero(
        (is_late | is_unknown | (needs_model & ~has_state)) & ~is_new
    ).tolist()
    rows_by_gap: dict[tuple[str, GapKind, str], list[int]] = {}
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
            reason = translatable("it was never evaluated")
        rows_by_gap.setdefault((targets[row].definition, kind, reason), []).append(row)
    on_time = np.setdiff1d(np.flatnonzero(has_state & ~is_new), suspects)
    gaps = [
        _gap(definition, kind, reason, [targets[row].asset for row in rows], table.watermark[rows])
        for (definition, kind, reason), rows in rows_by_gap.items()
    ]
    without_gap = np.concatenate([last_on_time[~is_late & ~is_new], last_new[is_new]])
    return EvaluationCoverage(
        from_millis(int(table.watermark[on_time].min())) if len(on_time) else None,
        tuple(sorted(gaps, key=lambda g: (-len(g.assets), g.definition, g.reason))),
        from_millis(int(without_gap.min())) if len(without_gap) else None,
        {
            targets[row].definition: timedelta(milliseconds=targets[row].every)
            for row in np.flatnonzero(is_new).tolist()
        },
    )


def without_champion(gaps: Iterable[Gap]) -> list[str]:
    """Return the definitions with a gap that says that there is no model."""
    return sorted({gap.definition for gap in gaps if _lacks_model(gap)})


def with_champions(gaps: Iterable[Gap], serving: Collection[str]) -> tuple[Gap, ...]:
    """Return the gaps, without the reason "no champion" for a definition that has a champion now:
    the state may have been stored before the model went into service."""
    return tuple(
        replace(gap, kind="never", reason=NOT_ASKED)
        if _lacks_model(gap) and gap.definition in serving
        else gap
        for gap in gaps
    )


def _lacks_model(gap: Gap) -> bool:
    return gap.kind == "no model" or gap.reason in WITHOUT_MODEL


_SINCE = {
    WAITING_FOR_READING: template("{name} has no reading since {since}"),
    NO_READING_WITHIN: template("{name} has no reading since {since}"),
    NO_READINGS_FOR_MODEL: template(
        "no readings since {since}: the model needs {duration} of them"
    ),
}


def with_last_readings(readings: Readings, gaps: Sequence[Gap], now: datetime) -> tuple[Gap, ...]:
    """Return the gaps; the reason of those without readings names the last reading of their assets
    if it lies before the gap."""
    templates = [getattr(gap.reason, "template", "") for gap in gaps]
    silent = {a for g, t in zip(gaps, templates, strict=True) if t in _SINCE for a in g.assets}
    newest = readings.newest_readings(now, silent) if silent else {}
    named = []
    for gap, named_by in zip(gaps, templates, strict=True):
        times = [newest[asset].ts for asset in gap.assets if asset in newest]
        if named_by in _SINCE and times and gap.since is not None and max(times) < gap.since:
            values = {**cast(Translatable, gap.reason).values, "since": max(times)}
            named.append(replace(gap, reason=translatable(_SINCE[named_by], **values)))
        else:
            named.append(gap)
    return tuple(named)


def _gap(
    definition: str, kind: GapKind, reason: str, assets: Iterable[str], watermarks: np.ndarray
) -> Gap:
    watermarks_known = watermarks[watermarks != NO_TIME]
    since = from_millis(int(watermarks_known.min())) if len(watermarks_known) else None
    return Gap(definition, kind, reason, tuple(sorted(assets)), since)
