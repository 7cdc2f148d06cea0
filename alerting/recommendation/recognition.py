"""Recognise from readings whether advice was followed; only a person's answer is stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from alerting.deferred import pd
from alerting.definitions.assets import Asset, Variable
from alerting.episodes.episode import Change, RecommendationResult, RecommendationTaken

Setting = float | str
_SHARE_OF_RANGE = 1 / 40  # tolerance of a variable without a step


@dataclass(frozen=True)
class SettingChange:
    """A set-point that has left its value at the raise: first at `at`, with its newest."""

    variable: str
    before: Setting
    after: Setting
    at: datetime


@dataclass(frozen=True)
class Recognition:
    """Readings compared with advice: the answer to propose, and the changed set-points."""

    taken: RecommendationTaken
    changes: tuple[SettingChange, ...]

    @property
    def proposed(self) -> RecommendationTaken | None:
        """Return the answer to mark; None for other changes and without any."""
        return self.taken if self.taken in ("yes", "partly") else None


def recognise(
    advice: Sequence[RecommendationResult],
    asset: Asset,
    at_raise: Mapping[str, Setting | None],
    readings: pd.DataFrame,
) -> Recognition | None:
    """Return what readings since the raise show; None without set-point, advice or change.

    `advice`: all that was given, of which the one that was followed best counts. `at_raise`: values
    of controllable variables at the raise. `readings`: of the same variables after it. "yes": every
    advised variable is within its tolerance of the advised value, or beyond it; "partly": one of
    them has moved towards it; "other": other variables have changed, or in the other direction;
    "no": nothing has changed.
    """
    known = {
        name: value
        for name, value in at_raise.items()
        if value is not None and name in asset.variables
    }
    if not known:
        return None
    found = [_change(asset.variables[name], name, value, readings) for name, value in known.items()]
    changes = tuple(change for change in found if change is not None)
    asked = [result.changes for result in advice if result.changes]
    if not changes:
        return Recognition("no", ()) if asked else None
    now = known | {change.variable: change.after for change in changes}
    taken = [_followed(advised, asset, known, now) for advised in asked]
    return Recognition(
        max(taken, key=("other", "partly", "yes").index) if taken else "other", changes
    )


def tolerance(variable: Variable) -> float:
    """Return how far a set-point may miss a value: as declared, a step, or range / 40."""
    declared = variable.tolerance if variable.tolerance is not None else variable.step
    if declared is not None:
        return declared
    low = variable.min if variable.min is not None else variable.low
    high = variable.max if variable.max is not None else variable.high
    return 0.0 if low is None or high is None else _SHARE_OF_RANGE * (high - low)


def _change(
    variable: Variable, name: str, before: Setting, readings: pd.DataFrame
) -> SettingChange | None:
    values = readings[name].dropna() if name in readings else pd.Series(dtype=object)
    if not len(values):
        return None
    if isinstance(before, str):
        moved = values != before
    else:
        moved = (values.astype(float) - before).abs() >= max(tolerance(variable), 1e-9) * (1 - 1e-6)
    if not moved.iloc[-1]:
        return None
    last = values.iloc[-1]
    after = last if isinstance(last, str) else float(last)
    return SettingChange(name, before, after, moved[moved].index[0].to_pydatetime())


def _followed(
    advised: Sequence[Change],
    asset: Asset,
    before: Mapping[str, Setting],
    now: Mapping[str, Setting],
) -> RecommendationTaken:
    steps = [
        _progress(change, asset.variables.get(change.variable), before, now) for change in advised
    ]
    if all(step == "yes" for step in steps):
        return "yes"
    return "partly" if any(step != "other" for step in steps) else "other"


def _progress(
    change: Change,
    variable: Variable | None,
    before: Mapping[str, Setting],
    now: Mapping[str, Setting],
) -> RecommendationTaken:
    """Return whether a variable has reached its advised value, moved towards it, or neither."""
    start = before.get(change.variable, change.before)
    current = now.get(change.variable)
    wanted = change.after
    if current is None or variable is None or current == start:
        return "other"
    if isinstance(start, str) or isinstance(current, str) or isinstance(wanted, str):
        return "yes" if current == wanted else "other"
    direction = 1.0 if wanted >= start else -1.0
    if direction * (current - start) <= 0:
        return "other"
    return "yes" if direction * (wanted - current) <= tolerance(variable) * (1 + 1e-6) else "partly"
