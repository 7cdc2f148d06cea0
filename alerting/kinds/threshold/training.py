"""The model of learned limits: quantiles by asset, stored as one file of plain numbers; their
estimation, and their comparison with the limits in service."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from alerting.deferred import pd
from alerting.definitions.asset_documents import Asset
from alerting.definitions.faults import TrainingRefused
from alerting.definitions.fields.condition_checks import MIDDLE
from alerting.definitions.fields.condition_fields import HOUR_OF_DAY, Learned
from alerting.definitions.threshold_limits import key_of
from alerting.definitions.wording.language import (
    Interval,
    Translatable,
    count_in_english,
    in_english,
    joined,
    template,
    translatable,
)
from alerting.detection.learned_limits import (
    GroupLimit,
    LearnedLimits,
    LimitTable,
    estimate_limits,
    least_readings,
)
from alerting.detection.problem_occurrences import problem_intervals
from alerting.detection.suppressed_intervals import SuppressedInterval, is_covered
from alerting.kinds.normal_operation import (
    NormalModel,
    compared_rows,
    read_header,
    times_of_readings,
)
from alerting.kinds.threshold.definition import FAMILY, LearnedThresholdDefinition
from alerting.kinds.training_protocol import (
    Comparison,
    Estimated,
    Estimation,
    LearningData,
    NormalTime,
    NoteTable,
    TrainingSource,
    fit_asset,
    name_reasons,
)
from alerting.learning.selection.decision import decide
from alerting.ports import Files
from alerting.readings.history import (
    History,
    Millis,
    duration_millis,
    from_millis,
    has_data,
    millis,
    to_millis,
)
from alerting.readings.variable_series import CategoryValues, category_values, labels_at
from alerting.recommendation.variable_text import setting

FILE = "learned_limits.json"
_COLUMNS = (template("Group"), template("Readings"), template("Limit"))
_MOST_ROWS = 200  # of one limit, shown to people


@dataclass(frozen=True)
class FittedLimits:
    """The learned limits of one asset, by `limits.key_of`. `left_out`: number of readings left out,
    by reason."""

    tables: Mapping[str, LimitTable]
    left_out: Mapping[str, int]

    def describe(self, asset: str) -> Iterable[str]:
        """Yield sentences on the limits and on what was left out."""
        yield from (
            joined(": ", asset, _describe(json.loads(key)[0], table))
            for key, table in sorted(self.tables.items())
        )
        for reason, count in self.left_out.items():
            if count:
                yield count_in_english(
                    "{asset}: {number} reading left out: {reason}",
                    "{asset}: {number} readings left out: {reason}",
                    count,
                    asset=asset,
                    reason=reason,
                )

    def list_groups(self, asset: Asset) -> Iterable[NoteTable]:
        """Yield the limits by group: a table for each limit that has groups."""
        for key, table in sorted(self.tables.items()):
            if not table.by:
                continue
            variable = json.loads(key)[0]
            declared = asset.variables.get(variable)
            unit = (declared.unit if declared else None) or ""
            yield NoteTable(
                f"{asset.name}: {variable}, quantile {table.quantile:g}",
                _COLUMNS,
                [
                    (
                        table.name_group(group) or "all",
                        f"{limit.readings}",
                        "too few" if limit.limit is None else setting(limit.limit, unit),
                    )
                    for group, limit in sorted(
                        table.groups.items(),  # hours by their number
                        key=lambda item: [(len(n) if n.isdigit() else 0, n) for n in item[0]],
                    )
                ][:_MOST_ROWS],
            )


def _describe(variable: str, table: LimitTable) -> Translatable:
    whole = table.groups[()]
    least = least_readings(table.quantile)
    groups = ""
    for depth in range(1, len(table.by) + 1):
        limits = [limit.limit for group, limit in table.groups.items() if len(group) == depth]
        by = " and ".join(table.by[:depth]).replace("_", " ")
        groups += f"; {_describe_groups(by, limits, least)}"
    return in_english(
        "{variable}, quantile {quantile} of {readings} readings, {times}: {limit}{groups}",
        variable=variable,
        quantile=f"{table.quantile:g}",
        readings=f"{whole.readings:,}",
        times=Interval(table.start, table.end),
        limit="too few" if whole.limit is None else f"{whole.limit:.6g}",
        groups=groups,
    )


def _describe_groups(by: str, limits: Sequence[float | None], least: int) -> str:
    """Describe how many groups of one depth have a limit of their own, and the range of these
    limits."""
    if not limits:
        return f"no reading with a known {by}: the coarser limit is taken"
    numbers = [limit for limit in limits if limit is not None]
    few = len(limits) - len(numbers)
    if not numbers:
        which = f"all {few} groups of {by} have" if few > 1 else f"the only group of {by} has"
        return f"{which} fewer than {least} readings: the coarser limit is taken"
    groups = f"{len(numbers)} group{'s' if len(numbers) > 1 else ''} of {by}"
    span = f"{min(numbers):.6g} to {max(numbers):.6g}" if len(numbers) > 1 else f"{numbers[0]:.6g}"
    others = (
        f"; {few} more with fewer than {least} readings: the coarser limit is taken" if few else ""
    )
    return f"{groups}: {span}{others}"


@dataclass(frozen=True)
class LearnedLimitsModel(NormalModel[FittedLimits]):
    """The learned limits by asset."""

    @property
    def hash(self) -> str:
        """Return the hash of all numbers that decide an evaluation."""
        settings = [
            self.family,
            self.training_cutoff.isoformat(),
            {name: _tables(fitted) for name, fitted in self.by_asset.items()},
        ]
        return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def to_files(model: LearnedLimitsModel) -> Files:
    """Return the files of a model, by name."""
    assets = {
        name: {"limits": _tables(fitted), "left_out": dict(fitted.left_out)}
        for name, fitted in sorted(model.by_asset.items())
    }
    return {FILE: json.dumps({**model.header, "assets": assets}, sort_keys=True, indent=1).encode()}


def from_files(files: Files) -> LearnedLimitsModel:
    """Return the model in these files."""
    document: dict[str, Any] = json.loads(files[FILE])
    fitted = {
        name: FittedLimits(
            {
                key: LimitTable(
                    table["quantile"],
                    tuple(table["by"]),
                    datetime.fromisoformat(table["from"]),
                    datetime.fromisoformat(table["to"]),
                    {
                        tuple(group["group"]): GroupLimit(group["readings"], group["limit"])
                        for group in table["groups"]
                    },
                )
                for key, table in stored["limits"].items()
            },
            stored["left_out"],
        )
        for name, stored in document["assets"].items()
    }
    return LearnedLimitsModel(**read_header(document), by_asset=fitted)


def _tables(fitted: FittedLimits) -> dict[str, Any]:
    return {
        key: {
            "quantile": table.quantile,
            "by": list(table.by),
            "from": table.start.isoformat(),
            "to": table.end.isoformat(),
            "groups": [
                {"group": list(group), "readings": n, "limit": limit}
                for group, (n, limit) in sorted(table.groups.items())
            ],
        }
        for key, table in fitted.tables.items()
    }


MOST_GROUPS = 2_000
_MOMENT = timedelta(milliseconds=1)
# A person decides on new limits where so many times as many readings as expected lay beyond those
# in service, or most of all. Fewer than the last number say nothing.
_MANY_TIMES = 10
_MOST = 0.5
_LEAST_BEYOND = 3
_MOST_TABLES = 20  # of assets and variables, shown to people


class _Used(NamedTuple):
    """Readings to learn limits from: instants (ms) and values; `left_out`: number of other
    readings, by reason."""

    at: Millis
    values: npt.NDArray[np.float64]
    left_out: Mapping[str, int]


class LearnedLimitsTraining:
    """Learned limits of thresholds."""

    in_pieces = False

    def period(self, definition: LearnedThresholdDefinition, source: TrainingSource) -> NormalTime:
        names = sorted({variable for variable, _ in definition.learned})
        first, last = times_of_readings(definition, source, *names)
        start = max(first - _MOMENT, last - max(learned.over for _, learned in definition.learned))
        return NormalTime(start, last, last)

    def estimate(
        self, definition: LearnedThresholdDefinition, revision: int, family: str, data: LearningData
    ) -> Estimated:
        every = {
            history.asset.name: fit_asset(
                history.asset.name, partial(_fit, definition, history, data)
            )
            for history in data.whole_histories
        }
        fitted = {name: limits for name, limits in every.items() if not isinstance(limits, str)}
        by_asset = {
            name: limits
            for name, limits in fitted.items()
            if any(table.answering(()) == () for table in limits.tables.values())
        }
        failed = {name: why for name, why in every.items() if isinstance(why, str)}
        if not by_asset:
            raise _too_few(definition, fitted, data, failed)
        notes = [note for name, limits in fitted.items() for note in limits.describe(name)]
        notes += [
            f"{name}: too few readings; it has no limits"
            for name in sorted(fitted.keys() - by_asset.keys())
        ]
        notes += [f"{name}: {why}; it has no limits" for name, why in failed.items()]
        model = LearnedLimitsModel(family, revision, data.period.cutoff, by_asset)
        tables = [table for limits in by_asset.values() for table in limits.tables.values()]
        left_out = Counter[str]()
        for limits in fitted.values():
            left_out.update(limits.left_out)
        metrics = {f"limit {name} {number}": limit for name, number, limit in _whole_limits(model)}
        shown = [
            note
            for history in data.whole_histories
            if (name := history.asset.name) in by_asset
            for note in by_asset[name].list_groups(history.asset)
        ]
        return Estimated(
            model,
            sum(table.groups[()].readings for table in tables),
            left_out,
            tuple(notes),
            {"groups": sum(len(table.groups) for table in tables)},
            metrics,
            tuple(shown[:_MOST_TABLES]),
        )

    def compare(
        self,
        definition: LearnedThresholdDefinition,
        data: LearningData,
        candidates: Mapping[str, LearnedLimitsModel],
        champion: LearnedLimitsModel | None,
    ) -> Comparison:
        challenger = candidates[FAMILY]
        limits = _whole_limits(challenger)
        old = (
            {}
            if champion is None
            else {(name, number): limit for name, number, limit in _whole_limits(champion)}
        )
        titles = [f"limit {number} of all readings, {name}" for name, number, _ in limits]
        before = [
            f"{old[key]:.6g}" if (key := (name, number)) in old else "-"
            for name, number, _ in limits
        ]
        evidence = {
            "limits": len(limits),
            "compared": [*compared_rows(titles, [f"{limit:.6g}" for *_, limit in limits], before)],
        }
        moved = [] if champion is None else [*_moved(definition, data, champion)]
        staying = {} if champion is None else _still_in_service(champion, challenger)
        same = champion is not None and champion.hash == challenger.hash
        constant = [
            f"{variable} of {history.asset.name}"
            for history in data.whole_histories
            if history.asset.name in challenger.by_asset
            for variable in sorted({variable for variable, _ in definition.learned})
            if len(np.unique(_used(definition, history, data, variable).values)) == 1
        ]
        decision = decide(
            {"same_estimate": same, "moved": bool(moved), "constant": bool(constant)},
            {"constant": ", ".join(constant)},
            "newest_limits",
            evidence,
            " ".join(moved),
            f"{', '.join(sorted(staying))}: no new limits, so those in service stay."
            if staying
            else "",
        )
        model = replace(challenger, by_asset={**challenger.by_asset, **staying})
        return Comparison(FAMILY, decision, {}, model if staying and not same else None)

    save = staticmethod(to_files)


def _fit(
    definition: LearnedThresholdDefinition, history: History, data: LearningData
) -> FittedLimits:
    left_out = dict[str, int]()
    tables = dict[str, LimitTable]()
    for variable, learned in definition.learned:
        used = _used(definition, history, data, variable)
        start = max(data.period.start, data.period.cutoff - learned.over)
        inside = used.at > to_millis(start)
        labels = labels_at(
            learned.by, _categories(history, learned), definition.schedule.timezone, used.at[inside]
        )
        tables[key_of(variable, learned)] = estimate_limits(
            learned, used.values[inside], labels, start, data.period.cutoff, MOST_GROUPS
        )
        for reason, count in used.left_out.items():
            left_out[f"{variable}, {reason}"] = count
    return FittedLimits(tables, left_out)


def _categories(history: History, learned: Learned) -> dict[str, CategoryValues]:
    return {
        name: category_values(history.asset, name, [history.readings])
        for name in learned.by
        if name != HOUR_OF_DAY
    }


def _used(
    definition: LearnedThresholdDefinition, history: History, data: LearningData, variable: str
) -> _Used:
    """Return the readings of the period within the engineering range, without suppressed times and
    problems."""
    if variable not in history.readings:
        return _Used(np.empty(0, np.int64), np.empty(0), {})
    at = millis(pd.DatetimeIndex(history.readings.index))
    values = history.readings[variable].to_numpy(np.float64)
    present = has_data(history, variable)
    suppressed = is_covered(data.suppressed.get(history.asset.name, ()), at)
    before = duration_millis(definition.gap + definition.horizon)
    problems = [] if definition.problem is None else problem_intervals(definition.problem, history)
    of_asset = (
        verdict
        for verdict in data.verdicts
        if verdict.asset == history.asset.name and verdict.verdict == "true_alarm"
    )
    in_problem = is_covered(
        [
            *[
                SuppressedInterval(from_millis(max(start - before, 0)), from_millis(end + 1), "")
                for start, end in problems
            ],
            *(SuppressedInterval(verdict.start, verdict.end + _MOMENT, "") for verdict in of_asset),
        ],
        at,
    )
    left_out = {
        "outside of the engineering range": int((~present & ~np.isnan(values)).sum()),
        "in suppressed times": int((present & suppressed).sum()),
        "in problems and the time before them": int((present & in_problem & ~suppressed).sum()),
    }
    used = present & ~suppressed & ~in_problem
    return _Used(at[used], values[used], left_out)


def _too_few(
    definition: LearnedThresholdDefinition,
    fitted: Mapping[str, FittedLimits],
    data: LearningData,
    failed: Mapping[str, str],
) -> TrainingRefused:
    if failed:
        return TrainingRefused(
            definition.name,
            translatable("no limit can be learned: {reasons}", reasons=name_reasons(failed)),
        )
    return TrainingRefused(
        definition.name,
        translatable(
            "too few readings to learn a limit: at most {most} on one asset from {start} to {end}, "
            "{least} are needed; choose a quantile nearer to 0.5, a longer `over`, or import "
            "readings",
            most=max(
                (
                    table.groups[()].readings
                    for limits in fitted.values()
                    for table in limits.tables.values()
                ),
                default=0,
            ),
            start=data.period.start,
            end=data.period.cutoff,
            least=min(least_readings(learned.quantile) for _, learned in definition.learned),
        ),
    )


def _whole_limits(model: LearnedLimitsModel) -> list[tuple[str, int, float]]:
    limits = []
    for name, fitted in sorted(model.by_asset.items()):
        for number, (_, table) in enumerate(sorted(fitted.tables.items()), start=1):
            limit = table.groups[()].limit
            limits += [] if limit is None else [(name, number, limit)]
    return limits


def _still_in_service(
    champion: LearnedLimitsModel, challenger: LearnedLimitsModel
) -> dict[str, FittedLimits]:
    """Return the assets that keep their limits in service, because they have too few readings for
    new limits."""
    staying = {}
    for name, old in champion.by_asset.items():
        new = challenger.by_asset.get(name)
        if new is None:
            staying[name] = old
            continue
        few = [key for key, table in new.tables.items() if table.answering(()) is None]
        stay = {
            key: old.tables[key]
            for key in few
            if key in old.tables and old.tables[key].answering(()) is not None
        }
        if stay:
            staying[name] = FittedLimits({**new.tables, **stay}, new.left_out)
    return staying


def _moved(
    definition: LearnedThresholdDefinition, data: LearningData, champion: LearnedLimitsModel
) -> Sequence[str]:
    """Return a sentence for each variable that is beyond its limits far more often than
    expected."""
    sentences = []
    for history in data.whole_histories:
        fitted = champion.by_asset.get(history.asset.name)
        for variable, learned in definition.learned if fitted else ():
            key = key_of(variable, learned)
            table = fitted.tables.get(key) if fitted else None
            whole = None if table is None else table.groups[()].limit
            if table is None or whole is None:
                continue
            used = _used(definition, history, data, variable)
            new = used.at > to_millis(table.end)
            in_service = LearnedLimits(
                {key: table}, definition.schedule.timezone, "", _categories(history, learned)
            )
            values = used.values[new]
            limits = in_service.limit_at(variable, learned, used.at[new]).values
            upper = learned.quantile > MIDDLE
            expected = 1 - learned.quantile if upper else learned.quantile
            beyond = int(np.sum(values > limits if upper else values < limits))
            if beyond >= _LEAST_BEYOND and beyond > min(_MANY_TIMES * expected, _MOST) * len(
                values
            ):
                which = (
                    f"the limits of their groups (of all readings {whole:.6g})"
                    if table.by
                    else f"the limit in service, {whole:.6g}"
                )
                sentences.append(
                    f"On {history.asset.name} {100 * beyond / len(values):.2f} % of the "
                    f"readings of {variable} since the last estimate "
                    f"lie beyond {which}; {100 * expected:.2g} % were expected."
                )
    return sentences


TRAINING: Estimation[LearnedThresholdDefinition] = LearnedLimitsTraining()
