"""The explanation of a score: the contribution of every raw variable, in probability, as messages;
and advice: the settings that bring the risk well under the threshold.

Advice is a what-if of the model, not of the line: besides the changed variables, only the variables
that the asset's relations name, and those that moved together with a changed one so far, move with
them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import inf, isnan
from types import MappingProxyType
from typing import Literal

import numpy as np

from alerting.deferred import pd
from alerting.definitions.asset_documents import Asset
from alerting.definitions.fields.learning import LeverLimits
from alerting.definitions.wording.language import (
    Styled,
    Translatable,
    joined,
    template,
    translatable,
)
from alerting.episodes.advice import describe_low_risk
from alerting.episodes.episode import (
    Alternative,
    Change,
    Contribution,
    LeverReport,
    Quantity,
    RecommendationResult,
    Safety,
)
from alerting.learning.features.plan import Column, FeaturePlan
from alerting.learning.features.point_in_time import point_in_time_view
from alerting.learning.models.trained import TrainedModel
from alerting.readings.history import Floats, History, column_index, duration_millis, to_millis
from alerting.recommendation.levers import Lever, find_levers, followers, with_companions
from alerting.recommendation.settings_search import Goal, Search, SearchAnswer
from alerting.recommendation.variable_text import (
    column_unit,
    describe_advice,
    describe_contribution,
    describe_followers,
    describe_relief,
    describe_safety,
    describe_together,
    describe_unusual,
    describe_worst_cases,
    is_unusual,
    is_within_normal,
    title,
    unit,
)
from alerting.recommendation.what_if import AdviceSituation, base_row

NOTABLE = 0.2  # of the share of its variable: less, and a column is not what a reason names


@dataclass(frozen=True)
class Explanation:
    """The share of each column in one score, in probability; the shares add up to `score -
    usual_score`."""

    shares: Floats
    score: float
    usual_score: float


def contributions(
    model: TrainedModel, row: pd.DataFrame, asset: Asset, explained: Explanation | None = None
) -> tuple[Contribution, ...]:
    """Return the share of each reason in the score of one row, the largest first: a raw variable,
    or variables that move together, as one.

    Shares add up to the score minus the usual score: the score of the margin that the model expects
    over its training rows. Reasons without any share are left out. `value`, `usual` and its range
    describe the variable's level; `quantity` and message describe what moved: the unusual column
    with the largest share. `explained`: the explanation of the row, computed if left out. Raises
    UserError if the row lacks columns.
    """
    explained = explained or explain(model, row)
    values = _values(model.plan, row)
    shares = explained.shares.tolist()
    reasons = [
        _contribution(
            model,
            asset,
            positions,
            shares,
            float(explained.shares.take(positions).sum()),
            values,
            sorted(members, key=lambda name: not _is_lever(asset, name)),
        )
        for positions, members in model.reasons
    ]
    return tuple(sorted((c for c in reasons if abs(c.share) > 1e-9), key=lambda c: -abs(c.share)))


def explain(model: TrainedModel, row: pd.DataFrame) -> Explanation:
    """Compute exact SHAP values of one row's margin, scaled to probability by (p - p0) / (f - f0).

    Tree SHAP (Lundberg et al. 2020, path-dependent) for trees, weight times distance from the mean
    for the linear model. Scaling preserves the ratios of the shares, and makes them add up after
    calibration.
    """
    return explain_matrix(model, model.estimator.columns.matrix(row)[0])


def explain_matrix(model: TrainedModel, row: Floats) -> Explanation:
    """Explain one row of the model's matrix."""
    shares, base = model.estimator.contributions(row[None, :])
    margin = base + float(shares.sum())
    score, usual = map(float, model.calibration.probability(np.array([margin, base])))
    return Explanation(shares * model.calibration.slope_between(base, margin), score, usual)


def _values(plan: FeaturePlan, row: pd.DataFrame) -> list[float | str | None]:
    [row_values] = row.to_numpy().tolist()
    # iterating over the names of the frame takes longer than all else here
    is_planned = row.columns.equals(column_index(plan.columns))
    if is_planned and not plan.levels:  # numbers alone, in the order of the plan
        return [None if isnan(value) else value for value in row_values]
    by_name = dict(zip(plan.columns if is_planned else row.columns, row_values, strict=True))

    def read(name: str) -> float | str | None:
        value = by_name[name]
        if value is None or (isinstance(value, float) and isnan(value)):
            return None
        return str(value) if name in plan.levels else float(value)

    return [read(name) for name in plan.columns]


def _contribution(
    model: TrainedModel,
    asset: Asset,
    positions: Sequence[int],
    shares: Sequence[float],
    share: float,
    values: Sequence[float | str | None],
    members: Sequence[str] = (),
) -> Contribution:
    layout = model.plan.layout
    named = _named(model, positions, shares, share, values)
    if (
        members
        and _is_lever(asset, members[0])
        and not is_unusual(values[named], *_usual(model, layout[named]))
    ):
        named = _level(layout, _columns_of(layout, positions, members[0]), named)
    level = _level(layout, _columns_of(layout, positions, layout[named].source), named)
    low, high = model.usual_ranges.get(layout[level].name, (None, None))
    quantity = _quantity(model, asset, layout[named], values[named])
    message = describe_contribution(asset, layout[named], quantity, share)
    names = dict.fromkeys((layout[named].source, *members))
    return Contribution(
        variable=layout[named].source,
        share=share,
        value=values[level],
        usual=model.usual[layout[level].name],
        message=describe_together(asset, [*names], message) if members else message,
        usual_low=low,
        usual_high=high,
        quantity=quantity,
        members=tuple(members),
    )


def _is_lever(asset: Asset, name: str) -> bool:
    return name in asset.variables and asset.variables[name].controllable


def _columns_of(layout: tuple[Column, ...], positions: Sequence[int], source: str) -> list[int]:
    return [i for i in positions if layout[i].source == source]


def _named(
    model: TrainedModel,
    positions: Sequence[int],
    shares: Sequence[float],
    share: float,
    values: Sequence[float | str | None],
) -> int:
    """Return the column that a reason names: the unusual column with the largest share of the
    reason's sign.

    The share of the column must be notable. If no column is unusual, the variable contributes by
    its combination with others, and the column with the largest share is named.
    """
    layout = model.plan.layout
    sign = _sign(share)
    same = [i for i in positions if _sign(shares[i]) == sign] or positions
    ranked = sorted(same, key=lambda i: -abs(shares[i]))
    notable = (i for i in ranked if abs(shares[i]) >= NOTABLE * abs(share))
    return next((i for i in notable if is_unusual(values[i], *_usual(model, layout[i]))), ranked[0])


def _sign(share: float) -> int:
    return (share > 0) - (share < 0)


def _usual(
    model: TrainedModel, column: Column
) -> tuple[float | str | None, tuple[float, float] | None]:
    return model.usual[column.name], model.usual_ranges.get(column.name)


def _quantity(
    model: TrainedModel, asset: Asset, column: Column, value: float | str | None
) -> Quantity:
    usual, usual_range = _usual(model, column)
    low, high = usual_range or (None, None)
    window = None if column.window_ms is None else timedelta(milliseconds=column.window_ms)
    unit_text = column_unit(asset, column)
    differs = is_unusual(value, usual, usual_range)
    return Quantity(column.aggregation, window, value, usual, unit_text, differs, low, high)


def _level(layout: tuple[Column, ...], positions: Sequence[int], otherwise: int) -> int:
    """Return the column of a variable's level: its last value, or else its mean over the shortest
    window."""
    for aggregation in ("last", "mean", "value"):
        for i in positions:
            if layout[i].aggregation == aggregation:
                return i
    return otherwise


# Share of the threshold at which advice aims: the next disturbance undoes a setting that barely
# suffices.
MARGIN = 0.5
# An answer lies within the distance of this share of the normal rows: if possible; else, or within
# the distance of the line now; at most.
USUAL = 0.79
PLAUSIBLE = 0.95
RARE = 0.99
RELIEFS = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, -inf)  # of the needed effect on the problem variable
ANSWERS = 3
_NOTHING_LOWERS = (
    template("No change that was tried lowers the risk ({risk}; alarm at {threshold})."),
    template("No permitted change lowers the risk ({risk}; alarm at {threshold})."),
)
_NOTHING_IS_ENOUGH = (
    template("No change that was tried is enough (alarm at {threshold}). The largest effect:"),
    template("No permitted change is enough (alarm at {threshold}). The largest effect:"),
)
NO_LIMITS: Mapping[str, LeverLimits] = MappingProxyType({})


def recommend(
    model: TrainedModel,
    history: History,
    at: datetime,
    max_changes: int,
    limits: Mapping[str, LeverLimits] = NO_LIMITS,
    explained: Explanation | None = None,
    answers: int = ANSWERS,
) -> RecommendationResult:
    """Find the change of least effort, of at most `max_changes` variables, that brings the risk
    safely down.

    Safely means: under the aimed score (`MARGIN` of the threshold) even if each setting is missed
    by its tolerance, and no farther from normal operation than `USUAL` of the normal training rows.
    If no answer fulfils this, the distance may be that of `PLAUSIBLE` of these rows or of the line
    now, then that of `RARE` of them; then, with the same two distances, an answer must stay under
    the threshold whichever setting is missed; then it must be under the threshold with exact
    settings. If no answer does, the greatest reduction is returned with `helps` False. Greater
    distances are allowed because a disturbed line is unusual itself, and a rarely moved set-point
    makes it more so.

    Every feature is computed again with the setting in force over the last interval before `at`
    (the horizon, or the shortest window if that is longer). A variable with a rate is moved from
    `at` on while all others stay, and the risk is that at the end of its ramp.

    If the model knows the effects of set-points on the problem variable, an answer must also have
    as much effect as 4 of 5 past problems needed, or as the levers can have; if no answer has, the
    demand is lowered in steps of a tenth (`RELIEFS`), and then dropped.

    `limits`: narrower limits of the definition by variable. `explained`: contributions of the row
    at `at`, computed if left out. `answers`: number of answers with different variables. `history`
    needs readings back to `model.plan.lookback` before `at`, and the newest earlier one of each
    variable that is carried forward longer. The same inputs give the same answer.
    """
    instant = to_millis(at)
    view = point_in_time_view(history, instant, instant - duration_millis(model.plan.farthest))
    view = replace(view, asset=with_companions(view.asset, model, limits))
    base = base_row(model, view, instant)
    risk = float(model.calibration.probability(model.estimator.margin_of(base[None, :]))[0])
    if risk < model.threshold:
        return _none(risk, describe_low_risk(risk, model.threshold))
    levers = find_levers(model, view, instant, base, limits)
    if not levers:
        return _none(
            risk,
            translatable(
                "No advice: the model uses no variable that operators can set and whose present "
                "setting is known."
            ),
        )
    if not any(lever.settings for lever in levers):
        return _none(
            risk,
            translatable(
                "No advice: limits, steps and directions leave no setting but the present one."
            ),
        )
    situation = AdviceSituation(model, view, instant, base, levers)
    if not any(len(grid.settings) for grid in situation.grids):
        return _none(
            risk,
            translatable(
                "No advice: every permitted setting is far from the training data of the model."
            ),
        )
    return _Advice(
        situation,
        levers,
        view.asset,
        risk,
        explained or explain_matrix(model, base),
        {r.variable for r in view.asset.relations if r not in history.asset.relations},
    ).find(max_changes, answers)


def _none(risk: float, message: str) -> RecommendationResult:
    return RecommendationResult((), risk, risk, helps=False, message=message)


@dataclass(frozen=True)
class _Advice:
    """The search for advice in one situation, and its result for people. `assumed`: variables that
    follow a lever without a relation of the asset that says so."""

    situation: AdviceSituation
    levers: Sequence[Lever]
    asset: Asset
    risk: float
    explained: Explanation
    assumed: Collection[str]

    def find(self, max_changes: int, answers: int) -> RecommendationResult:
        """Return the recommendation with its alternatives."""
        shares = self._shares()
        order = sorted(range(len(self.levers)), key=lambda i: (-shares[i], i))
        search = Search(self.situation, order, shares, max_changes)
        goals = self._goals(search.most_relief())
        for goal in goals:
            best = search.find_least_effort(goal)
            if best is not None:
                return self._result(
                    best,
                    goal.safety,
                    search,
                    order,
                    shares,
                    self._others(search, best, goal, answers),
                )
        lowest = search.lowest(goals[-1].distance)
        if lowest is None or lowest.risk >= self.risk:
            nothing = _NOTHING_LOWERS[search.complete]
            return _none(
                self.risk,
                translatable(nothing, risk=Styled(self.risk, "share"), threshold=self._alarm_at),
            )
        return self._result(lowest, None, search, order, shares, ())

    @property
    def _alarm_at(self) -> Styled:
        return Styled(self.situation.model.threshold, "share")

    def _goals(self, reachable: float) -> list[Goal]:
        """Return the goals, best first. `reachable`: the largest estimated effect of any answer."""
        normal = self.situation.model.normal
        threshold = self.situation.model.threshold
        effects = self.situation.model.effects
        now = float(self.situation.distance(self.situation.base[None, :])[0])
        aim = MARGIN * threshold
        usual = inf if normal is None else normal.limit(USUAL)
        plausible = inf if normal is None else max(normal.limit(PLAUSIBLE), now)
        rare = inf if normal is None else max(normal.limit(RARE), now)
        needed = 0.0 if effects is None else min(effects.needed, reachable)
        reliefs = [needed * share for share in RELIEFS] if needed > 0 else [-inf]
        return [
            *(
                Goal("aim", aim, aim, distance, relief)
                for relief in reliefs
                for distance in dict.fromkeys((usual, plausible, rare))
            ),
            *(
                Goal("threshold", threshold, threshold, distance, relief)
                for relief in reliefs
                for distance in dict.fromkeys((plausible, rare))
            ),
            Goal("nominal", threshold, None, rare),
        ]

    def _others(
        self, search: Search, best: SearchAnswer, goal: Goal, answers: int
    ) -> tuple[Alternative, ...]:
        complete = search.complete
        chosen = [best]
        while len(chosen) < answers:
            alternative = search.find_least_effort(
                goal, [frozenset(answer.members) for answer in chosen]
            )
            if alternative is None:
                break
            chosen.append(alternative)
        search.complete = complete
        return tuple(self._alternative(answer, goal.safety) for answer in chosen[1:])

    def _alternative(self, answer: SearchAnswer, safety: Safety) -> Alternative:
        moves = self._moves(answer)
        message = self._describe(answer)
        changes = self._changes(answer)
        return Alternative(
            changes, answer.risk, message, answer.effort, self._unusual(answer), safety, moves
        )

    def _describe(self, answer: SearchAnswer) -> Translatable:
        """Describe an answer, the present settings in the resolution of the others."""
        changes = [
            change if lever.levels else replace(change, before=round(lever.present, lever.digits))
            for change, (lever, _) in zip(
                self._changes(answer), self._settings(answer), strict=True
            )
        ]
        return describe_advice(self.asset, changes, self.risk, answer.risk)

    def _result(
        self,
        answer: SearchAnswer,
        safety: Safety | None,
        search: Search,
        order: Sequence[int],
        shares: Sequence[float],
        others: tuple[Alternative, ...],
    ) -> RecommendationResult:
        changes = self._changes(answer)
        unusual = self._unusual(answer)
        relief, worst = self._effect(answer)
        moves = self._moves(answer)
        assumed = [move.variable for move in moves if move.variable in self.assumed]
        parts: list[str] = [self._describe(answer)]
        background = [worst, describe_unusual(unusual)]
        if safety is None:
            parts.insert(
                0, translatable(_NOTHING_IS_ENOUGH[search.complete], threshold=self._alarm_at)
            )
        else:
            parts += [
                describe_followers(self.asset, assumed),
                describe_safety(safety),
                relief,
            ]
            if unusual is not None and not is_within_normal(unusual):
                parts.append(background.pop())
        found_by: Literal["least", "best_found"] = "least" if search.complete else "best_found"
        return RecommendationResult(
            changes,
            self.risk,
            answer.risk,
            helps=safety is not None,
            message=joined(" ", *parts),
            effort=answer.effort,
            unusual=unusual,
            safety=safety,
            moves=moves,
            alternatives=others,
            search=None if safety is None else found_by,
            scorings=self.situation.scorings,
            background=joined(" ", *background) if any(background) else "",
            levers=tuple(self._report(i, shares[i], answer, safety) for i in order),
        )

    def _report(
        self, i: int, share: float, answer: SearchAnswer, safety: Safety | None
    ) -> LeverReport:
        grid = self.situation.grids[i]
        if i in answer.members:
            reason: str = ""
        elif not self.levers[i].settings:
            reason = translatable("its limits, step and direction leave no other setting")
        elif not len(grid.settings):
            reason = translatable(
                "every permitted setting is far from the training data of the model"
            )
        elif self.situation.model.effects is not None and not self.levers[i].relief:
            reason = translatable(
                "the history does not tell its effect on {variable}",
                variable=title(self.asset, self.situation.model.effects.variable),
            )
        elif safety is None:
            reason = translatable("it lowers the risk less")
        else:
            reason = translatable("no answer with it takes less effort")
        return LeverReport(self.levers[i].name, share, len(grid.settings), reason)

    def _changes(self, answer: SearchAnswer) -> tuple[Change, ...]:
        return tuple(
            Change(
                lever.name,
                lever.text(lever.present),
                lever.text(value),
                unit(self.asset, lever.name),
                lever.ramp(value),
            )
            for lever, value in self._settings(answer)
        )

    def _settings(self, answer: SearchAnswer) -> list[tuple[Lever, float]]:
        return [
            (self.levers[i], float(self.situation.grids[i].values[position]))
            for i, position in zip(answer.members, answer.at, strict=True)
        ]

    def _effect(self, answer: SearchAnswer) -> tuple[str, str]:
        """Return sentences on the estimated effect of the changes, and on the effect that past
        problems needed."""
        effects = self.situation.model.effects
        if effects is None:
            return "", ""
        relief = sum(
            lever.relief * (value - lever.present)
            for lever, value in self._settings(answer)
            if not lever.levels
        )
        return describe_relief(self.asset, effects, relief), describe_worst_cases(
            self.asset, effects, relief
        )

    def _moves(self, answer: SearchAnswer) -> tuple[Change, ...]:
        """Return the variables that follow the changes and that the model reads, with their values
        before and after."""
        names = dict.fromkeys(
            name
            for lever, _ in self._settings(answer)
            for name in followers(self.asset, lever.name)
        )
        moves = []
        for name in names:
            before = self.situation.values_of(self.situation.base, name)
            after = self.situation.values_of(answer.row, name)
            if before is not None and after is not None and before != after:
                moves.append(Change(name, before, after, unit(self.asset, name)))
        return tuple(moves)

    def _unusual(self, answer: SearchAnswer) -> float | None:
        normal = self.situation.model.normal
        return (
            None
            if normal is None
            else float(normal.unusual(self.situation.distance(answer.row[None, :]))[0])
        )

    def _shares(self) -> list[float]:
        layout = self.situation.model.plan.layout
        shares = []
        for lever in self.levers:
            names = {lever.name, *followers(self.asset, lever.name)}
            positions = [
                i for i, c in enumerate(layout) if c.kind == "variable" and c.source in names
            ]
            shares.append(float(np.sum(self.explained.shares[positions])))
        return shares
