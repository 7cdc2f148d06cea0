"""Forecasts beside the values that came: in a comparison, and in service."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.stats import t

from alerting.definitions.alert_definition import TrainedDefinition
from alerting.definitions.wording.language import (
    Styled,
    measured,
    spoken_share,
    translatable,
)
from alerting.detection.problem_occurrences import predicts
from alerting.detection.suppressed_intervals import IntervalsByAsset, SuppressedInterval
from alerting.kinds.forecast.kind import forecast_of
from alerting.kinds.forecast.model import Floats, covered, crps
from alerting.kinds.protocol import ModelVerification, Served
from alerting.learning.data.dataset_rows import future_values
from alerting.learning.data.row_labels import label_instants
from alerting.learning.features.point_in_time import (
    build_features,
    evaluated_instants,
    is_known,
    point_in_time_view,
)
from alerting.learning.models.trained import TrainedModel
from alerting.learning.selection.decision import PromotionDecision, decide
from alerting.learning.selection.decision_rules import Objection
from alerting.learning.selection.promotion import (
    ActedWindow,
    common_window,
    compare,
    comparison_start,
    without_label,
)
from alerting.readings.history import DAY_MS, History, Millis, duration_millis, to_millis

# Share of values that an interval should hold, and below which, beyond chance, it is too narrow.
NOMINAL = 0.9
LEAST = 0.88
_CHANCE = 0.01
_LEAST_BLOCKS = 8
_MOST_INSTANTS = 2_000  # of one asset, evenly spread
_SAMPLES = 1_000


class ForecastsAndValues(NamedTuple):
    """Forecasts (rows x leads x QUANTILES) and the values that came, NaN without one."""

    quantiles: Floats
    values: Floats


def forecast_at(
    definition: TrainedDefinition, model: TrainedModel, view: History, at: Millis
) -> ForecastsAndValues:
    """Forecast at these instants (ms) and look up the values ahead of them in the view."""
    matrix = model.estimator.columns.matrix(build_features(model.plan, view, at))
    return ForecastsAndValues(
        forecast_of(model).quantiles(matrix), future_values(definition, model.plan, view, at)
    )


def time_block_ms(definition: TrainedDefinition) -> int:
    """Return the length (ms) of independent blocks: a day, or twice the prediction."""
    return max(DAY_MS, 2 * (duration_millis(definition.gap) + duration_millis(definition.horizon)))


def share_of_samples(
    differences: Floats, block: npt.NDArray[np.int64], seed: int = 0
) -> float | None:
    """Return the share of bootstrap samples of blocks whose sum is above 0 (Künsch 1989); NaN
    values are left out. `block`: the number of the block of each row."""
    present = ~np.isnan(differences)
    _, number = np.unique(block[present], return_inverse=True)
    sums = np.bincount(number, weights=differences[present])
    if len(sums) < 2:
        return None
    drawn = np.random.default_rng(seed).multinomial(
        len(sums), np.full(len(sums), 1 / len(sums)), size=_SAMPLES
    )
    return float(np.mean((drawn * sums).sum(axis=1) > 0))


def compare_forecasts(
    definition: TrainedDefinition,
    challenger: TrainedModel,
    champion: TrainedModel | None,
    histories: Sequence[History],
    excluded: Sequence[ActedWindow],
    as_of: datetime,
    seed: int,
    suppressed: IntervalsByAsset,
) -> PromotionDecision:
    """Decide like for any model of a problem, and also by CRPS on the same unseen rows.

    A challenger with better warnings must not have worse forecasts beyond chance, and one with
    better forecasts must not have worse warnings. Models without an alarm are compared by CRPS
    alone.
    """
    if not challenger.has_alarm or (champion is not None and not champion.has_alarm):
        return _compare_values(
            definition, challenger, champion, histories, excluded, as_of, seed, suppressed
        )
    decision = compare(
        definition, challenger, champion, histories, excluded, as_of, seed, suppressed
    )
    is_told = decision.verdict in ("promote", "keep") and "acted_left_out" in decision.evidence
    if champion is None or not is_told:
        return decision
    losses = _crps_of_both(
        definition, challenger, champion, histories, excluded, as_of, seed, suppressed
    )
    if losses is None:
        return decision
    confidence = definition.promotion.confidence
    worse = losses["share_better"] <= 1 - confidence
    better = losses["share_better"] >= confidence
    of_warnings = decision.evidence.get("statistics", "")
    statistics = f"{of_warnings} {_describe_both(losses, confidence)}".strip()
    evidence = {**decision.evidence, "crps": losses, "statistics": statistics}
    may_win = better and not _warns_worse(decision.evidence, confidence)
    by_forecasts = worse if decision.promote else may_win  # and not by warnings
    if not by_forecasts:
        return replace(decision, evidence=evidence)
    objections: dict[Objection, bool] = {"worse_forecasts": decision.promote}
    return decide(objections, {}, "better_forecasts", evidence, decision.details)


def _describe_both(losses: Mapping[str, float], confidence: float) -> str:
    return (
        f"The CRPS of its forecasts is {losses['challenger']:.4g}, the champion's "
        f"{losses['champion']:.4g}; it is less in {spoken_share(losses['share_better'])} of "
        f"{_SAMPLES} samples ({spoken_share(confidence)} needed)."
    )


def _compare_values(
    definition: TrainedDefinition,
    challenger: TrainedModel,
    champion: TrainedModel | None,
    histories: Sequence[History],
    excluded: Sequence[ActedWindow],
    as_of: datetime,
    seed: int,
    suppressed: IntervalsByAsset,
) -> PromotionDecision:
    """Decide by CRPS alone; the first model with an alarm comes into service if its values are not
    worse."""
    if champion is None:
        return decide({"first_values": True})
    if champion.hash == challenger.hash:
        return decide({"same_model": True})
    losses = _crps_of_both(
        definition, challenger, champion, histories, excluded, as_of, seed, suppressed
    )
    confidence = definition.promotion.confidence
    if challenger.has_alarm:
        first = decide({"no_champion": True})
        if losses is None or losses["share_better"] > 1 - confidence:
            return first
    if losses is None:
        return without_label(comparison_start(definition, challenger, champion))
    objections: dict[Objection, bool] = {
        "worse_forecasts": challenger.has_alarm,
        "values_not_better": losses["share_better"] < confidence,
    }
    compared = {"crps": losses, "statistics": _describe_both(losses, confidence)}
    return decide(objections, {}, "better_values", compared)


def _warns_worse(evidence: Mapping[str, Any], confidence: float) -> bool:
    """Return whether warnings are worse beyond chance, whether rows with an operator's action count
    as positive or as negative."""
    ways = [evidence.get(f"acted_{way}") for way in ("left_out", "as_positive", "as_negative")]
    shares = [way["share_better"] for way in ways if way]
    return any(share is None or share <= 1 - confidence for share in shares)


def _crps_of_both(
    definition: TrainedDefinition,
    challenger: TrainedModel,
    champion: TrainedModel,
    histories: Sequence[History],
    excluded: Sequence[ActedWindow],
    as_of: datetime,
    seed: int,
    suppressed: IntervalsByAsset,
) -> dict[str, float] | None:
    """Return the mean CRPS of both models, and the share of block samples in which the challenger's
    is less; None if they cannot be compared."""
    if forecast_of(challenger).leads_ms != forecast_of(champion).leads_ms:
        return None
    start = comparison_start(definition, challenger, champion)
    window = common_window(
        definition, challenger, champion, histories, excluded, start, as_of, suppressed
    )
    if window is None:
        return None
    losses = []
    instants = []
    for history in histories:
        at = window.observed.at[window.observed.asset == history.asset.name]
        view = point_in_time_view(history, to_millis(as_of))
        losses.append(
            [crps(*forecast_at(definition, model, view, at)) for model in (challenger, champion)]
        )
        instants.append(at)
    new = np.concatenate([loss for loss, _ in losses])
    old = np.concatenate([loss for _, loss in losses])
    present = ~np.isnan(new) & ~np.isnan(old)
    share = share_of_samples(old - new, np.concatenate(instants) // time_block_ms(definition), seed)
    if share is None:
        return None
    return {
        "challenger": float(new[present].mean()),
        "champion": float(old[present].mean()),
        "share_better": share,
    }


@dataclass(frozen=True)
class Coverage:
    """Share of values inside their 90 % intervals, with its confidence interval and the bound of
    chance.

    `values`: number of values; `blocks`: number of independent blocks of time; `highest`: upper
    bound of the true share, exceeded with 1 % probability.
    """

    share: float
    low: float
    high: float
    highest: float
    values: int
    blocks: int

    @property
    def is_too_low(self) -> bool:
        """Return whether the intervals are too narrow, beyond chance."""
        return self.highest < LEAST


def coverage_of(counts: Floats, block: npt.NDArray[np.int64]) -> Coverage | None:
    """Return the coverage of rows; None with fewer than eight blocks.

    Values that follow each other are alike, so blocks of time are the sample: a ratio of sums over
    blocks with its jackknife variance (Cochran 1977, section 6.3), and Student's t.
    """
    came = counts[:, 1] > 0
    _, number = np.unique(block[came], return_inverse=True)
    inside = np.bincount(number, weights=counts[came, 0])
    values = np.bincount(number, weights=counts[came, 1])
    blocks = len(values)
    if blocks < _LEAST_BLOCKS:
        return None
    share = float(inside.sum() / values.sum())
    residuals = inside - share * values
    error = float(np.sqrt(blocks / (blocks - 1) * np.sum(residuals**2)) / values.sum())
    wide = float(t.ppf(0.975, blocks - 1))
    far = float(t.ppf(1 - _CHANCE, blocks - 1))
    low = max(0.0, share - wide * error)
    high = min(1.0, share + wide * error)
    return Coverage(share, low, high, share + far * error, int(values.sum()), blocks)


def verify_intervals(
    definition: TrainedDefinition,
    served: Sequence[Served],
    histories: Iterable[History],
    as_of: datetime,
    suppressed: IntervalsByAsset,
) -> ModelVerification | None:
    """Compare forecasts in service, after their training cutoff, with what came. `histories`: one
    for each asset."""
    parts = [*_matured(definition, served, histories, to_millis(as_of), suppressed)]
    if not parts:
        return None
    block = np.concatenate([at for at, _ in parts]) // time_block_ms(definition)
    coverage = coverage_of(np.concatenate([counts for _, counts in parts]), block)
    if coverage is None:
        return None
    sentence = translatable(
        "its 90 % intervals held {share} of {values} values that came from {start} to {end} (95 % "
        "confidence: {low} to {high})",
        share=measured(100 * coverage.share, ".3g", "%"),
        values=Styled(coverage.values, ".0f"),
        start=f"{served[0].start:%Y-%m-%d}",
        end=f"{as_of:%Y-%m-%d}",
        low=measured(100 * coverage.low, ".3g", "%"),
        high=measured(100 * coverage.high, ".3g", "%"),
    )
    fault = (
        translatable("{sentence}: too narrow beyond chance; train again", sentence=sentence)
        if coverage.is_too_low
        else None
    )
    return ModelVerification(sentence, fault, coverage.share)


def _matured(
    definition: TrainedDefinition,
    served: Sequence[Served],
    histories: Iterable[History],
    end: int,
    suppressed: IntervalsByAsset,
) -> Iterator[tuple[Millis, Floats]]:
    """Yield evaluated instants whose windows are over, with the forecasts and the values that
    came."""
    last = end - duration_millis(definition.gap) - duration_millis(definition.horizon)
    for history in histories:
        view = point_in_time_view(history, end)
        for part in served:
            at = _evaluated(
                definition, part, view, last, end, suppressed.get(history.asset.name, ())
            )
            refit = part.model.refit
            is_later = (
                np.zeros(len(at), np.bool_)
                if refit is None
                else at > to_millis(refit.training_cutoff)
            )
            for model, instants in ((part.model, at[~is_later]), (refit, at[is_later])):
                if model is not None and len(instants):
                    inside = covered(*forecast_at(definition, model, view, instants))
                    came = ~np.isnan(inside)
                    yield (
                        instants,
                        np.column_stack(
                            [np.where(came, inside, 0.0).sum(axis=1), came.sum(axis=1)]
                        ),
                    )


def _evaluated(
    definition: TrainedDefinition,
    part: Served,
    view: History,
    last: int,
    end: int,
    quiet: Sequence[SuppressedInterval],
) -> Millis:
    """Return at most 2,000 instants (ms) at which a model was evaluated, evenly spread."""
    plan = part.model.plan
    begin = max(to_millis(part.start), to_millis(part.model.training_cutoff))
    at = evaluated_instants(
        definition, plan, view, begin, max(min(last, to_millis(part.end)), begin)
    )
    counted = label_instants(
        definition, predicts(definition, view.asset), view, at, end, quiet
    ).counted
    at = at[counted & is_known(definition, plan, view, at)]
    return at[:: max(1, -(-len(at) // _MOST_INSTANTS))]
