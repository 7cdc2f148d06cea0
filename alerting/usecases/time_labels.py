"""Labels of times by people, laid over the readings: a value that is labelled bad is of bad
quality. Stored readings stay as they are. A training takes labels into account, and records
them."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple, TypeVar

from alerting.deferred import np, npt, pd
from alerting.definitions.alert_definition import ModelDefinition, matching_assets
from alerting.definitions.asset_documents import Asset
from alerting.definitions.faults import Conflicting, NotFound
from alerting.definitions.wording.language import template, translatable
from alerting.detection.suppressed_intervals import SuppressedInterval
from alerting.episodes.episode import PLATFORM
from alerting.learning.selection.decision import DatasetProfile, Proposal
from alerting.ports import (
    Audit,
    IntervalLabels,
    LabelPorts,
    NewestReading,
    ReadingColumns,
    Readings,
    SeriesPorts,
    Wanted,
    WantedHistory,
)
from alerting.readings.buckets import Interval, merge_intervals
from alerting.readings.history import (
    Doubts,
    History,
    Millis,
    has_data,
    millis,
    no_instants,
    to_millis,
)
from alerting.readings.interval_labels import IntervalLabel, LabelKind, bad_intervals, new_label
from alerting.usecases.episodes.mutes_and_suppression import maintenance_intervals

P = TypeVar("P", bound=LabelPorts)
MOST_LABELS = 1_000
"""Labels in force of one asset."""
MARKED = template("time marked")
UNDONE = template("mark undone")


def without_bad_values(platform: P, at: datetime | None = None) -> P:
    """Return the platform with readings without the values that were labelled bad at an instant
    (None: now)."""
    return replace(platform, readings=LabelledReadings(platform.readings, platform.labels, at))


class LabelledReadings(Readings):
    """Port `Readings`: the readings of another port without the values that are labelled bad. `at`:
    the instant whose labels count; None: labels that nobody has undone."""

    def __init__(self, stored: Readings, labels: IntervalLabels, at: datetime | None) -> None:
        self._stored = stored
        self._labels = labels
        self._at = at
        self._bad_of: dict[str, tuple[IntervalLabel, ...]] = {}

    def load(self, request: WantedHistory) -> History:
        name = request.asset.name
        return _remove_bad(self._stored.load(request), self._bad_labels([name])[name])

    def load_many(self, requests: Sequence[Wanted], end: datetime) -> dict[str, ReadingColumns]:
        stored = self._stored.load_many(requests, end)
        bad = self._bad_labels(stored)
        return {
            name: _columns_without_bad(columns, name, bad[name]) for name, columns in stored.items()
        }

    def newest_values(
        self, asset: Asset, since: Mapping[str, datetime], until: datetime
    ) -> pd.DataFrame:
        labels = self._bad_labels([asset.name])[asset.name]
        masked = {name: at for name, at in since.items() if bad_intervals(labels, asset, name)}
        if not masked:
            return self._stored.newest_values(asset, since, until)
        others = {name: at for name, at in since.items() if name not in masked}
        parts = [self._stored.newest_values(asset, others, until)] if others else []
        for name, start in masked.items():
            history = self.load(WantedHistory(asset, start, until, [name]))
            parts.append(history.readings.loc[has_data(history, name), [name]].iloc[-1:])
        index = parts[0].index
        for part in parts[1:]:
            index = index.union(part.index)
        columns = {str(name): part[name].reindex(index) for part in parts for name in part}
        return pd.DataFrame(columns, index)

    def index_newest(self, variables: Iterable[str]) -> None:
        self._stored.index_newest(variables)

    def newest_readings(
        self, until: datetime | None = None, assets: Collection[str] | None = None
    ) -> dict[str, NewestReading]:
        return self._stored.newest_readings(until, assets)

    def span(self, asset: str, until: datetime | None = None) -> tuple[datetime, datetime] | None:
        return self._stored.span(asset, until)

    def _bad_labels(self, assets: Iterable[str]) -> Mapping[str, tuple[IntervalLabel, ...]]:
        new = [name for name in assets if name not in self._bad_of]
        if new:
            labels = self._labels.in_force(new, self._at)
            for name in new:
                self._bad_of[name] = tuple(
                    label for label in labels if label.asset == name and label.kind == "bad"
                )
        return self._bad_of


def _remove_bad(history: History, labels: Sequence[IntervalLabel]) -> History:
    if not labels:
        return history
    ts = millis(pd.DatetimeIndex(history.readings.index))
    bad = dict(history.doubts.bad)
    columns: dict[str, Any] = {}
    for name in map(str, history.readings):
        column = history.readings[name]
        inside = _are_inside(ts, bad_intervals(labels, history.asset, name))
        if inside.any():
            is_bad = inside & column.notna().to_numpy(np.bool_)
            bad[name] = np.union1d(bad.get(name, no_instants()), ts[is_bad])
            columns[name] = column.where(~inside, None if column.dtype == object else np.nan)
    if not columns:
        return history
    return replace(
        history,
        readings=history.readings.assign(**columns),
        doubts=Doubts(bad, history.doubts.uncertain),
    )


def _columns_without_bad(
    columns: ReadingColumns, asset: str, labels: Sequence[IntervalLabel]
) -> ReadingColumns:
    if not labels:
        return columns
    stored_asset = Asset(name=asset)  # none of its variables is computed here
    values = dict(columns.values)
    bad = dict(columns.doubts.bad)
    for name, column in columns.values.items():
        inside = _are_inside(columns.ts, bad_intervals(labels, stored_asset, name))
        if inside.any():
            bad[name] = np.union1d(
                bad.get(name, no_instants()), columns.ts[inside & ~pd.isna(column)]
            )
            missing: Any = None if column.dtype == object else np.nan
            values[name] = np.where(inside, missing, column)
    return replace(columns, values=values, doubts=Doubts(bad, columns.doubts.uncertain))


def _are_inside(ts: Millis, intervals: Sequence[Interval]) -> npt.NDArray[np.bool_]:
    """Return which instants (ms) lie in one of the intervals, which are sorted and do not
    overlap."""
    starts = np.array([start for start, _ in intervals], np.int64)
    ends = np.array([end for _, end in intervals], np.int64)
    latest = np.searchsorted(starts, ts, side="right") - 1
    if not len(ends):
        return np.zeros(len(ts), np.bool_)
    inside: npt.NDArray[np.bool_] = (latest >= 0) & (ts < ends[latest])
    return inside


class LabelPosition(NamedTuple):
    """The last label of a page: when it was made, and its id."""

    made_at: datetime
    id: str


def mark_interval(
    platform: LabelPorts,
    audit: Audit,
    asset: str,
    variables: Iterable[str],
    start: datetime,
    end: datetime,
    kind: LabelKind,
    reason: str,
    author: str,
    now: datetime,
) -> IntervalLabel:
    """Store a label of [start, end), and return it. Idempotent: if the same label is in force, that
    label is returned.

    Raises NotFound for an unknown asset or variable, UserError as `new_label`, and Conflicting if
    the asset has a thousand labels.
    """
    stored = platform.assets.get(asset)
    if stored is None:
        raise NotFound(f"there is no asset {asset!r}")
    label = new_label(stored, variables, start, end, kind, reason, author, now)
    in_force = platform.labels.in_force([asset], None)
    same = next((earlier for earlier in in_force if earlier.is_same(label)), None)
    if same is not None:
        return same
    if len(in_force) >= MOST_LABELS:
        raise Conflicting(
            translatable("this asset has 1,000 marked times; undo some that no longer matter")
        )
    if platform.labels.insert(label):
        audit.add(author, MARKED, asset, now, None, _audit_fields(label), label.reason)
    return label


def undo_label(
    platform: SeriesPorts, audit: Audit, id: str, by: str, now: datetime, reason: str = ""
) -> IntervalLabel:
    """End a label, and return it; the document stays. Idempotent. Raises NotFound."""
    label = platform.labels.get(id)
    if label is None:
        raise NotFound(f"there is no label {id!r}")
    if label.undone_at is not None:
        return label
    undone = label.undo(by, now)
    if not platform.labels.store_undone(undone):
        return platform.labels.get(id) or undone  # another person was first
    audit.add(by, UNDONE, label.asset, now, _audit_fields(label), None, reason)
    return undone


def list_labels(
    platform: SeriesPorts, asset: str, limit: int, before: LabelPosition | None = None
) -> list[IntervalLabel]:
    """Return labels of an asset, undone labels included, newest first. Raises NotFound."""
    if platform.assets.get(asset) is None:
        raise NotFound(f"there is no asset {asset!r}")
    return platform.labels.newest_labels(asset, limit, before)


def _audit_fields(label: IntervalLabel) -> dict[str, Any]:
    return {name: asdict(label)[name] for name in ("id", "variables", "start", "end", "kind")}


LABELLED = "labels.json"
_NONE = timedelta(0)
_HOUR = 3_600_000  # ms


@dataclass(frozen=True)
class LabelledTimes:
    """Labels that a training took into account. `left_out`: number of times from which it did not
    learn; `bad`: number of times of bad values; with their hours, each time once for each asset."""

    labels: tuple[IntervalLabel, ...]
    left_out: int
    hours_left_out: float
    bad: int
    hours_bad: float

    def to_document(self) -> dict[str, Any]:
        """Return the counts, for the record of the decision; empty without labels."""
        document = asdict(self)
        del document["labels"]
        return {"labels": document} if self.labels else {}

    def files(self) -> dict[str, bytes]:
        """Return the labels as a file of the run; none without labels."""
        content = json.dumps([asdict(label) for label in self.labels], default=str, indent=1)
        return {LABELLED: content.encode()} if self.labels else {}

    def notes(self) -> tuple[str, ...]:
        """Return a sentence on each kind of label."""
        sentences = []
        if self.left_out:
            times = "marked time" if self.left_out == 1 else "marked times"
            sentences.append(f"left out: {self.left_out} {times}, {self.hours_left_out:.1f} h")
        if self.bad:
            times = "time" if self.bad == 1 else "times"
            sentences.append(f"values marked as bad: {self.bad} {times}, {self.hours_bad:.1f} h")
        return tuple(sentences)


def labelled_times(
    platform: LabelPorts, definition: ModelDefinition, as_of: datetime
) -> LabelledTimes:
    """Return the labels that a training at as_of takes into account: labels on the readings of its
    variables in force then."""
    assets = {asset.name: asset for asset in matching_assets(definition, platform.assets.all())}
    times: dict[str, dict[str, list[Interval]]] = {"bad": {}, "not_to_learn_from": {}}
    used = []
    for label in labels_read(platform, definition, list(assets.values()), as_of):
        span = platform.readings.span(label.asset)
        if span is None:
            continue
        start = max(label.start, span[0])
        end = min(label.end, span[1], as_of)
        if start < end:
            used.append(label)
            times[label.kind].setdefault(label.asset, []).append((to_millis(start), to_millis(end)))
    bad = times["bad"]
    left_out = times["not_to_learn_from"]
    return LabelledTimes(tuple(used), _count(left_out), _hours(left_out), _count(bad), _hours(bad))


def with_labels(profile: DatasetProfile, labelled: LabelledTimes) -> DatasetProfile:
    """Return the composition of a dataset with the sentences on labels before its other notes."""
    return profile.model_copy(update={"notes": (*labelled.notes(), *profile.notes)})


def record_labels(
    platform: LabelPorts, definition: ModelDefinition, proposal: Proposal
) -> Proposal:
    """Return a proposal that says which labels its training took into account."""
    labelled = labelled_times(platform, definition, proposal.as_of)
    evidence = {**proposal.evidence, **labelled.to_document()}
    dataset = with_labels(proposal.dataset, labelled)
    return proposal.model_copy(update={"dataset": dataset, "evidence": evidence})


def labels_read(
    platform: LabelPorts, definition: ModelDefinition, assets: Sequence[Asset], at: datetime
) -> list[IntervalLabel]:
    """Return the labels in force at an instant on variables that a definition reads; times of
    maintenance as labels not to learn from."""
    by_name = {asset.name: asset for asset in assets}
    marked = [
        label
        for label in platform.labels.in_force(list(by_name), at)
        if label.concerns(by_name[label.asset], definition.variables_read(by_name[label.asset]))
    ]
    return marked + [
        IntervalLabel(
            f"{asset}-{label.start.isoformat()}",
            asset,
            (),
            label.start,
            label.end,
            "not_to_learn_from",
            label.reason,
            PLATFORM,
            label.start,
        )
        for asset, times in maintenance_intervals(platform, definition, assets, None, at).items()
        for label in times
    ]


def labelled_intervals(
    platform: LabelPorts,
    definition: ModelDefinition,
    assets: Sequence[Asset],
    at: datetime,
    lead: timedelta = _NONE,
    past: Mapping[str, timedelta] | None = None,
) -> dict[str, list[SuppressedInterval]]:
    """Return, by asset, the times from which a definition does not learn, by labels in force at an
    instant and by maintenance.

    They begin earlier by `lead`, how far labels of rows look into the future, and end later by
    `past`, how far windows of an asset look into the past.
    """
    by_asset: dict[str, list[SuppressedInterval]] = {}
    for label in labels_read(platform, definition, assets, at):
        if label.kind == "not_to_learn_from":
            end = label.end + (past or {}).get(label.asset, _NONE)
            interval = SuppressedInterval(label.start - lead, end, f"marked: {label.reason}")
            by_asset.setdefault(label.asset, []).append(interval)
    return by_asset


def _count(times: Mapping[str, Sequence[Interval]]) -> int:
    return sum(map(len, times.values()))


def _hours(times: Mapping[str, Sequence[Interval]]) -> float:
    of_assets = [merge_intervals(intervals) for intervals in times.values()]
    return sum(end - start for intervals in of_assets for start, end in intervals) / _HOUR
