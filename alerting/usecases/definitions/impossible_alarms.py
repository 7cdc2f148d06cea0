"""Warnings about alarms that nothing can begin, or nothing can end, and about notifications that
never come, by the declared and the newest values of some assets."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

from alerting.deferred import np
from alerting.definitions.alert_definition import Definition
from alerting.definitions.asset_documents import Asset
from alerting.definitions.fields.condition_fields import Conditions
from alerting.definitions.fields.names_and_times import end_of
from alerting.definitions.fields.shared_fields import LineState, Suppression
from alerting.detection.suppressed_intervals import state_condition
from alerting.kinds.value_reach import (
    Values,
    describe_impossible,
    describe_impossible_so_far,
    is_always_met,
    variables_of,
)
from alerting.ports import PlantPorts, WantedHistory
from alerting.readings.history import History, has_data

_LENGTHS = (timedelta(hours=1), timedelta(days=1), timedelta(days=30), timedelta(days=365))
"""How far before the last reading values are read, while what has come allows no alarm to end."""
_ENOUGH = 50_000  # readings after which no more are read
_A_WEEK = timedelta(days=7)
_ALWAYS = "so nothing is ever sent; write the times in which alarms are not wanted"


def describe_impossible_alarms(
    platform: PlantPorts, definition: Definition, asset: Asset, last: datetime | None
) -> Iterator[str]:
    """Yield what no value begins or ends of a definition on one asset, whose last reading is of
    `last` (None: it has none)."""
    if isinstance(definition, Conditions):
        impossible = list(describe_impossible(definition, asset))
        so_far = (
            []
            if impossible or last is None
            else _impossible_so_far(platform, definition, asset, last)
        )
        yield from (*impossible, *so_far)


def describe_always_suppressed(
    platform: PlantPorts, suppression: Suppression, asset: Asset, last: datetime
) -> Iterator[str]:
    """Yield why a suppression lets nothing be sent on one asset, whose last reading is of
    `last`."""
    until = end_of(suppression.windows, suppression.zone, last)
    if until is not None and until - last > _A_WEEK:
        yield f"suppression.windows leave no time of the week, {_ALWAYS}"
    for number, state in enumerate(suppression.when):
        cause = _why_always(platform, state, asset, last)
        if cause:
            yield f"suppression.when.{number}: {cause}, {_ALWAYS}"


def _impossible_so_far(
    platform: PlantPorts, definition: Conditions, asset: Asset, last: datetime
) -> Sequence[str]:
    names = sorted(variables_of(definition) & {*asset.variables})
    sentences: list[str] = []
    for history in _longer_histories(platform, asset, last, names):
        sentences = list(describe_impossible_so_far(definition, asset, _values(history, names)))
        if not sentences and all(len(values) for values in _values(history, names).values()):
            break
    return sentences


def _why_always(platform: PlantPorts, state: LineState, asset: Asset, last: datetime) -> str:
    """Return why a state of the line is always true; empty if it is not."""
    if state.event is not None:
        history = platform.readings.load(WantedHistory(asset, last - _LENGTHS[-1], last, ()))
        events = history.events
        meant = events[[fnmatchcase(kind, state.event) for kind in events["type"]]]
        lasting = {kind.name for kind in history.event_types if kind.duration == "lasting"}
        meant = meant[meant["type"].isin(lasting)]
        if len(meant) and meant["end"].isna().all() and last - meant["start"].min() > _A_WEEK:
            return f"no event {state.event} has ever ended"
        return ""
    name = state.variable or ""
    is_constant = False
    for history in _longer_histories(platform, asset, last, {name} & {*asset.variables}):
        values = _values(history, [name])[name]
        is_constant = is_always_met(state_condition(state), asset, values)
        if len(values) and not is_constant:
            break
    return f"{name} has never been otherwise" if is_constant else ""


def _longer_histories(
    platform: PlantPorts, asset: Asset, last: datetime, names: Collection[str]
) -> Iterator[History]:
    for length in _LENGTHS if names else ():
        history = platform.readings.load(
            WantedHistory(asset, last - length, last, names, with_events=False)
        )
        yield history
        if len(history.readings) > _ENOUGH:
            return


def _values(history: History, names: Iterable[str]) -> Values:
    return {
        name: history.readings[name].to_numpy()[has_data(history, name)]
        if name in history.readings
        else np.empty(0)
        for name in names
    }
