"""Checks of models in service against new data: an alert for a model that became worse, and an
alert on an asset where some variables left what the model learned from.

Drift is looked for once a day, by hourly means of the last day: their population stability index
(PSI) over ten bins of the training, the level of the day beside the levels of the training's days,
and the share of hours with a value that no hour of the training had; for categories, the share of
values that the training never saw.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from alerting.deferred import pd
from alerting.definitions.alert_definition import (
    ModelDefinition,
    Revision,
    TrainedDefinition,
    matching_assets,
)
from alerting.definitions.asset_documents import Asset
from alerting.definitions.faults import first_line
from alerting.definitions.revisions import question_of
from alerting.definitions.wording.language import Styled, join_first, joined, template, translatable
from alerting.detection.suppressed_intervals import SuppressedInterval, is_covered
from alerting.kinds.protocol import ModelVerification, Served
from alerting.kinds.registry import verifying_kind_of
from alerting.ports import DecisionRecord, ModelUnavailable, ReportPorts, UpkeepPorts, WantedHistory
from alerting.ports.use_cases import id_logger
from alerting.readings.buckets import HOUR, Buckets
from alerting.readings.history import DAY_MS, from_millis, to_millis
from alerting.usecases.definitions.faults_and_platform_alerts import (
    DRIFTED,
    MISCALIBRATED,
    record_faults,
)
from alerting.usecases.definitions.versions import active, answer_at, segments, with_stored_features
from alerting.usecases.episodes.mutes_and_suppression import suppressed_intervals_by_asset
from alerting.usecases.model_registry import ModelCache
from alerting.usecases.time_labels import labelled_intervals
from alerting.usecases.trend_samples import load_columns, read_buckets

if TYPE_CHECKING:
    from alerting.readings.history import History

Floats = npt.NDArray[np.float64]
Hours = npt.NDArray[np.int64]
LONGEST = timedelta(days=60)
"""Of the training, its newest part."""
CLEAR_PSI = 0.25
_LEAST_DAYS = 7
_LEAST_HOURS = 6  # of a day
_FARTHEST = 2.0  # deviations of daily levels beyond the farthest day of the training
_UNSEEN_HOURS = 0.25  # share
_UNSEEN_TEXTS = 0.05  # share
_MOST_READINGS = 500_000  # that are not rolled up
_MOST_VARIABLES = 200
_BINS = 10
_MOST_NAMED = 3
_LEAST_SHARE = 1e-3  # of a bin, so that an empty one has a logarithm
_VALUE = template("{variable} ({level} instead of {low} to {high})")
_ADVICE = template(
    "Look at the sensor; if the line stays like this, train again, else mark the time as not to be "
    "learned from."
)


class Moved(NamedTuple):
    """A variable that left what its model learned: the `level` of the last day and the levels of
    the training's days; a category has no levels. `unseen`: share of values that the training never
    had."""

    variable: str
    psi: float
    unseen: float
    level: float | None = None
    low: float = 0.0
    high: float = 0.0


def check_drift(platform: UpkeepPorts, as_of: datetime) -> dict[str, str]:
    """Check each definition with a model in service, raise and end the alerts; return a sentence on
    each. Idempotent.

    An alert stays if its state cannot be determined. A definition that cannot be checked does not
    stop the others.
    """
    sentences = dict[str, str]()
    moved = dict[str, dict[str, Moved]]()
    readers = dict[str, set[str]]()
    unknown = set[str]()
    for revision in active(platform.definitions):
        if not isinstance(revision.definition, ModelDefinition):
            continue
        try:
            by_asset = _check(platform, revision, revision.definition, as_of)
        except Exception as fault:  # of one definition: the others are checked
            _log.warning("drift not checked: %s", first_line(fault), definition=revision.name)
            sentences[revision.name] = f"cannot tell: {first_line(fault)}"
            unknown |= {asset.name for asset in platform.assets.all()}
            continue
        for asset, variables in by_asset.items():
            if variables is None:
                unknown.add(asset)
            elif variables:
                moved.setdefault(asset, {}).update(
                    {variable.variable: variable for variable in variables}
                )
                readers.setdefault(asset, set()).add(revision.name)
        sentences[revision.name] = _describe(by_asset)
    faults = {
        asset: _reason([*variables.values()], sorted(readers[asset]))
        for asset, variables in moved.items()
    }
    record_faults(
        platform.platform_alerts, DRIFTED, faults, as_of, lambda asset: asset not in unknown
    )
    return sentences


def _check(
    platform: UpkeepPorts, revision: Revision, definition: ModelDefinition, as_of: datetime
) -> dict[str, list[Moved] | None]:
    """Return the moved variables by asset; None for an asset if they cannot be determined; an empty
    result without a model."""
    decisions = platform.decisions.for_definition(revision.name)
    answer = answer_at(platform.definitions.revisions(revision.name), decisions, as_of)
    learned = learned_from(decisions, as_of, answer.version)
    if answer.version is None or learned is None:
        return {}
    return {
        asset.name: find_moved(platform, definition, asset, learned, as_of)
        for asset in matching_assets(definition, platform.assets.all())
    }


def learned_from(
    records: Sequence[DecisionRecord], end: datetime, version: int | None
) -> tuple[datetime, datetime] | None:
    """Return the time from which a model learned; None if it is not stated. `version`: the serving
    version, else the last version promoted before `end`."""
    promoted = [r for r in records if r.promoted]
    served = (r for r in reversed(promoted) if r.challenger_version == version)
    serving = next(served, None) or next((r for r in reversed(promoted) if r.at < end), None)
    stated = serving.evidence.get("learned", {}) if serving else {}
    if not stated:
        return None
    return datetime.fromisoformat(stated["start"]), datetime.fromisoformat(stated["end"])


def find_moved(
    platform: UpkeepPorts,
    definition: ModelDefinition,
    asset: Asset,
    learned: tuple[datetime, datetime],
    as_of: datetime,
) -> list[Moved] | None:
    """Return the variables that left what the model learned; None if no variable has enough hours.

    Suppressed times, and times not to be learned from, do not count.
    """
    until = to_millis(as_of - definition.latency(asset, platform.latency)) // HOUR * HOUR
    first = to_millis(max(learned[0], learned[1] - LONGEST)) // HOUR * HOUR
    last = min(to_millis(learned[1]) // HOUR * HOUR, until - DAY_MS)
    suppressed = suppressed_intervals_by_asset(
        platform, definition, [asset], from_millis(first), as_of
    )
    labelled = labelled_intervals(platform, definition, [asset], as_of)
    left_out = [*suppressed.get(asset.name, ()), *labelled.get(asset.name, ())]
    names = sorted(definition.variables_evaluated(asset) & asset.variables.keys())[:_MOST_VARIABLES]
    numbers = [name for name in names if asset.variables[name].type != "category"]
    trained = read_buckets(platform, asset, numbers, first, last, "hours", _MOST_READINGS)
    newest = read_buckets(platform, asset, numbers, until - DAY_MS, until, "hours", _MOST_READINGS)
    compared = []
    for name in names:
        if name in numbers:
            at, before = _hourly_means(trained.by_variable[name], left_out)
            _, recent = _hourly_means(newest.by_variable[name], left_out)
            compared.append(compare_hours(name, (at - until) // DAY_MS, before, recent))
        else:
            learned_texts = _texts(platform, asset, name, first, last, left_out)
            recent_texts = _texts(platform, asset, name, until - DAY_MS, until, left_out)
            compared.append(compare_texts(name, learned_texts, recent_texts))
    measured = [comparison for comparison in compared if comparison is not None]
    return [moved for moved, is_moved in measured if is_moved] if measured else None


def compare_hours(
    name: str, day: Hours, before: Floats, recent: Floats
) -> tuple[Moved, bool] | None:
    """Compare the last hours of a number with the hours of the training; `day` gives the training's
    days. Return the result and whether the variable moved; None if hours are too few."""
    days = [before[day == number] for number in np.unique(day)]
    days = [hours for hours in days if len(hours) >= _LEAST_HOURS]
    if len(days) < _LEAST_DAYS or len(recent) < _LEAST_HOURS:
        return None
    levels = np.array([np.median(hours) for hours in days])
    level = float(np.median(recent))
    low = float(levels.min())
    high = float(levels.max())
    width = float(before.max() - before.min())
    slack = max(0.1 * width, 1e-9 * float(np.abs(before).max()))
    outside = (recent < before.min() - slack) | (recent > before.max() + slack)
    unseen = float(outside.mean())
    edges = np.unique(np.quantile(before, np.linspace(0, 1, _BINS + 1)[1:-1]))
    psi = _psi(before, recent, edges)
    beyond = max(low - level, level - high)
    is_far = beyond > max(_FARTHEST * float(levels.std()), 0.1 * float(before.std()), slack / 10)
    moved = psi > CLEAR_PSI and (is_far or unseen > _UNSEEN_HOURS)
    return Moved(name, psi, unseen, level, low, high), moved


def compare_texts(
    name: str, before: Sequence[str], recent: Sequence[str]
) -> tuple[Moved, bool] | None:
    """Compare the last values of a category with the values of the training. Return the result and
    whether some are new; None if values are too few."""
    if not before or not recent:
        return None
    texts = sorted({*before, *recent})
    old = np.searchsorted(texts, list(before))
    psi = _psi(old, np.searchsorted(texts, list(recent)), np.arange(1, len(texts)))
    unseen = 1 - sum(text in {*before} for text in recent) / len(recent)
    return Moved(name, psi, unseen), unseen > _UNSEEN_TEXTS


def _psi(before: npt.NDArray[Any], recent: npt.NDArray[Any], edges: npt.NDArray[Any]) -> float:
    """Return the population stability index of two samples over bins with these inner edges."""
    old = _shares(before, edges)
    new = _shares(recent, edges)
    return float(((new - old) * np.log(new / old)).sum())


def _shares(sample: npt.NDArray[Any], edges: npt.NDArray[Any]) -> Floats:
    counts = np.bincount(np.searchsorted(edges, sample, side="right"), minlength=len(edges) + 1)
    return np.maximum(counts / len(sample), _LEAST_SHARE)


def _hourly_means(buckets: Buckets, left_out: Sequence[SuppressedInterval]) -> tuple[Hours, Floats]:
    """Return the hours that meet none of the intervals, and their means."""
    hours = buckets.has_good()
    at = hours.start
    is_counted = ~(is_covered(left_out, at) | is_covered(left_out, at + HOUR - 1))
    return at[is_counted], (hours.total / np.maximum(hours.count, 1))[is_counted]


def _texts(
    platform: UpkeepPorts,
    asset: Asset,
    name: str,
    start: int,
    end: int,
    left_out: Sequence[SuppressedInterval],
) -> list[str]:
    """Return the texts of a category, day by day from the newest day back, up to a bound."""
    texts = list[str]()
    while end > start and len(texts) < _MOST_READINGS:
        first = max(start, end - DAY_MS)
        columns = load_columns(platform.readings, asset, [name], first, end)
        values = columns.values[name]
        is_counted = ~(np.asarray(pd.isna(values)) | is_covered(left_out, columns.ts))
        texts += [str(value) for value in values[is_counted]]
        end = first
    return texts


def _reason(moved: Sequence[Moved], readers: Sequence[str]) -> str:
    """Return, for the engineer, which variables moved on an asset, the furthest first, and what to
    do."""
    named = [
        variable.variable
        if variable.level is None
        else translatable(
            _VALUE,
            variable=variable.variable,
            level=Styled(variable.level, ".4g"),
            low=Styled(variable.low, ".4g"),
            high=Styled(variable.high, ".4g"),
        )
        for variable in sorted(moved, key=lambda variable: (-variable.psi, variable.variable))
    ]
    finding = translatable(
        "{moved} left what {models} learned from.",
        moved=join_first(named, _MOST_NAMED),
        models=join_first(readers, _MOST_NAMED),
    )
    return joined(" ", finding, translatable(_ADVICE))


def _describe(by_asset: dict[str, list[Moved] | None]) -> str:
    parts = [
        f"{', '.join(variable.variable for variable in moved)} of {asset} moved"
        for asset, moved in by_asset.items()
        if moved
    ]
    parts += [f"cannot tell of {asset}" for asset, moved in by_asset.items() if moved is None]
    if not by_asset:
        return "cannot tell: no model is in service that states from which time it learned"
    return "; ".join(parts) or "nothing moved"


MEASURED_FOR = timedelta(days=28)

_log = id_logger(__name__)


def verify_models(platform: UpkeepPorts, as_of: datetime) -> dict[str, str]:
    """Measure each model in service over 28 days; return a sentence on each. Idempotent.

    A model that cannot be measured, for example with too few values so far, keeps its alert.
    """
    models = ModelCache(platform)
    sentences = dict[str, str]()
    faults = dict[str, str]()
    revisions = active(platform.definitions)
    for revision in revisions:
        try:
            verification = verify_model(platform, models, revision, as_of - MEASURED_FOR, as_of)
        except ModelUnavailable as unavailable:  # has a platform alert of its own
            _log.warning("not measured: %s", unavailable, definition=revision.name)
            continue
        except Exception as fault:  # of one model: the others are measured
            _log.warning("not measured: %s", first_line(fault), definition=revision.name)
            continue
        if verification is not None:
            sentences[revision.name] = verification.sentence
            faults |= {} if verification.fault is None else {revision.name: verification.fault}
    names = {revision.name for revision in revisions}
    record_faults(
        platform.platform_alerts,
        MISCALIBRATED,
        faults,
        as_of,
        lambda name: name in sentences or name not in names,
    )
    return sentences


def verify_model(
    platform: ReportPorts | UpkeepPorts,
    models: ModelCache,
    revision: Revision,
    start: datetime,
    as_of: datetime,
) -> ModelVerification | None:
    """Measure one definition's models; None if unknown.

    Raises ModelUnavailable if a model cannot be read.
    """
    definition = revision.definition
    kind = verifying_kind_of(revision.definition)
    if kind is None or not isinstance(definition, TrainedDefinition):
        return None
    definition = with_stored_features(platform.derived_features, definition)
    served = _load_served(platform, models, revision, start, as_of)
    if not served:
        return None
    assets = matching_assets(definition, platform.assets.all())
    return kind.verify(
        definition,
        served,
        _histories(platform, definition, served, assets, as_of),
        as_of,
        suppressed_intervals_by_asset(platform, definition, assets, start, as_of),
    )


def _load_served(
    platform: ReportPorts | UpkeepPorts,
    models: ModelCache,
    revision: Revision,
    start: datetime,
    as_of: datetime,
) -> list[Served]:
    """Return the models that served for the question of a revision, each in the form in which it
    served."""
    question = question_of(revision)
    served = list[Served]()
    for part in segments(
        platform.definitions.revisions(revision.name),
        platform.decisions.for_definition(revision.name),
        start,
        as_of,
    ):
        if (
            part.revision is None
            or part.model_version is None
            or question_of(part.revision) != question
        ):
            continue
        model = models.get(part.revision.definition, part.model_version)
        served.append(
            Served(part.start, part.end, replace(model, refit=None) if part.by_twin else model)
        )
    return served


def _histories(
    platform: ReportPorts | UpkeepPorts,
    definition: TrainedDefinition,
    served: Sequence[Served],
    assets: Sequence[Asset],
    as_of: datetime,
) -> "Iterator[History]":
    """Yield the readings of each asset that the models and the problem need, one asset at a
    time."""
    reach = max(part.model.plan.reach_ms for part in served)
    begin = served[0].start - timedelta(milliseconds=reach) - definition.gap - definition.horizon
    variables = {name for part in served for name in part.model.plan.variables}
    for asset in assets:
        names = sorted((variables | definition.variables_read(asset)) & asset.variables.keys())
        yield platform.readings.load(WantedHistory(asset, begin, as_of, names))
