"""Labels of times that a training takes into account, and its record of them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from alerting.definitions.assets import Asset
from alerting.definitions.model import ModelDefinition, matching_assets
from alerting.detection.suppression import SuppressedInterval
from alerting.learning.selection.proposal import DatasetProfile, Proposal
from alerting.ports import LabelPorts
from alerting.readings.history import to_millis
from alerting.readings.interval_labels import IntervalLabel
from alerting.readings.rollups import Interval, merge_intervals
from alerting.usecases.mutes import PLATFORM, maintenance_intervals

LABELLED = "labels.json"
_NONE = timedelta(0)
_HOUR = 3_600_000  # ms


@dataclass(frozen=True)
class LabelledTimes:
    """Labels that a training took into account. `left_out`, `bad`: how many times it did not learn
    from, and how many of bad values; with their hours, each time once for each asset."""

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
        content = json.dumps([asdict(one) for one in self.labels], default=str, indent=1)
        return {LABELLED: content.encode()} if self.labels else {}

    def notes(self) -> tuple[str, ...]:
        """Return a sentence on each kind of label."""
        found = []
        if self.left_out:
            times = "marked time" if self.left_out == 1 else "marked times"
            found.append(f"left out: {self.left_out} {times}, {self.hours_left_out:.1f} h")
        if self.bad:
            times = "time" if self.bad == 1 else "times"
            found.append(f"values marked as bad: {self.bad} {times}, {self.hours_bad:.1f} h")
        return tuple(found)


def labelled_times(
    platform: LabelPorts, definition: ModelDefinition, as_of: datetime
) -> LabelledTimes:
    """Return the labels that a training at as_of takes into account: on the readings of its
    variables, in force then."""
    assets = {one.name: one for one in matching_assets(definition, platform.assets.all())}
    labels = labels_read(platform, definition, list(assets.values()), as_of)
    times: dict[str, dict[str, list[Interval]]] = {"bad": {}, "not_to_learn_from": {}}
    used = []
    for label in labels:
        span = platform.readings.span(label.asset)
        if span is None:
            continue
        start = max(label.start, span[0])
        end = min(label.end, span[1], as_of)
        if start < end:
            used.append(label)
            interval = (to_millis(start), to_millis(end))
            times[label.kind].setdefault(label.asset, []).append(interval)
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
        one
        for one in platform.labels.in_force(list(by_name), at)
        if one.concerns(by_name[one.asset], definition.variables_read(by_name[one.asset]))
    ]
    maintained = maintenance_intervals(platform, definition, assets, None, at)
    return marked + [
        IntervalLabel(
            f"{asset}-{one.start.isoformat()}",
            asset,
            (),
            one.start,
            one.end,
            "not_to_learn_from",
            one.reason,
            PLATFORM,
            one.start,
        )
        for asset, times in maintained.items()
        for one in times
    ]


def labelled_intervals(
    platform: LabelPorts,
    definition: ModelDefinition,
    assets: Sequence[Asset],
    at: datetime,
    lead: timedelta = _NONE,
    past: Mapping[str, timedelta] | None = None,
) -> dict[str, list[SuppressedInterval]]:
    """Return the times of each asset that a definition does not learn from, by labels in force at
    an instant and by maintenance.

    They begin earlier by `lead`, how far labels of rows look into the future, and end later by
    `past`, how far windows of an asset look into the past.
    """
    found: dict[str, list[SuppressedInterval]] = {}
    for one in labels_read(platform, definition, assets, at):
        if one.kind == "not_to_learn_from":
            end = one.end + (past or {}).get(one.asset, _NONE)
            interval = SuppressedInterval(one.start - lead, end, f"marked: {one.reason}")
            found.setdefault(one.asset, []).append(interval)
    return found


def _count(times: Mapping[str, Sequence[Interval]]) -> int:
    return sum(map(len, times.values()))


def _hours(times: Mapping[str, Sequence[Interval]]) -> float:
    of_assets = [merge_intervals(of) for of in times.values()]
    return sum(end - start for of in of_assets for start, end in of) / _HOUR
