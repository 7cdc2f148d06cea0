"""Estimates: numbers with unit, 95 % interval, basis, and a doubt where there is one; and tables of
them, as a report exports them to CSV and JSON."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np
from pydantic_core import to_jsonable_python

from alerting.deferred import pd
from alerting.definitions.faults import UserError
from alerting.definitions.wording.clean_text import clean, spreadsheet_text
from alerting.definitions.wording.language import (
    Styled,
    Translatable,
    template,
    templates,
    translatable,
    translatable_count,
)
from alerting.learning.score_metrics import (
    evaluate_rows,
    poisson_interval,
    reliability_with_intervals,
    row_metrics,
    time_blocks,
    weighted_median,
    wilson_interval,
)
from alerting.readings.history import millis

LEAST_EVENTS = 5
_TAIL = 0.025


class Cases(NamedTuple):
    """Texts for one case and several: `{number} problems`, `{count} of {number} problems`, none."""

    number: tuple[str, str]
    share: tuple[str, str]
    none: str


@dataclass(frozen=True)
class Estimate:
    """`value` in `unit` with its 95 % interval; `basis` states its cases, e.g. "7 of 9 problems".

    `value` is None if there are no data to compute it from. A `doubt` is the reason against any
    conclusion from it: pages print "cannot tell" and show value and interval only beside that.
    """

    value: float | None
    low: float | None
    high: float | None
    unit: str
    basis: str
    doubt: str = ""

    @property
    def certain_value(self) -> float | None:
        """Return the value; None without one, and while there is a doubt."""
        return None if self.doubt else self.value


def nothing(unit: str, reason: str) -> Estimate:
    """Return an estimate without a value, with the reason."""
    return Estimate(None, None, None, unit, reason, reason)


def counted(number: int, cases: Cases) -> Translatable:
    """Return a number of cases as text: `3 episodes with an outcome`."""
    return translatable_count(*cases.number, number)


def share(count: int, total: int, cases: Cases) -> Estimate:
    """Estimate a share of `total` cases with its Wilson interval; doubtful below five cases."""
    if total == 0:
        return nothing("%", translatable(cases.none))
    low, high = wilson_interval(count, total)
    return Estimate(
        count / total,
        low,
        high,
        "%",
        translatable_count(*cases.share, total, count=count),
        _too_few(total, cases),
    )


def rate_per_week(count: int, weeks: float, cases: Cases) -> Estimate:
    """Estimate cases per week and asset, exact Poisson interval (Garwood 1936)."""
    unit = template("per week and asset")
    if weeks <= 0:
        return nothing(unit, translatable("no time was evaluated"))
    if weeks * 7 < 1:
        return nothing(
            unit, translatable("{cases}, in less than a day", cases=counted(count, cases))
        )
    least, most = poisson_interval(count)
    days = Styled(weeks * 7, ".1f")
    doubt = translatable("only {days} asset-days were evaluated", days=days) if weeks < 1 else ""
    basis = translatable(
        "{cases} in {weeks} asset-weeks", cases=counted(count, cases), weeks=Styled(weeks, ".1f")
    )
    return Estimate(count / weeks, least / weeks, most / weeks, unit, basis, doubt)


def median(values: Sequence[float], unit: str, cases: Cases) -> Estimate:
    """Estimate the median with its exact interval from order statistics."""
    n = len(values)
    if n == 0:
        return nothing(unit, translatable(cases.none))
    ordered = np.sort(np.asarray(values, float))
    from scipy.special import bdtr  # noqa: PLC0415 - takes 15 MB; only reports estimate

    rank = max(int(np.searchsorted(bdtr(np.arange(n + 1.0), n, 0.5), _TAIL)), 1)
    low = float(ordered[rank - 1])
    high = float(ordered[n - rank])
    middle = float(weighted_median(ordered, np.ones((1, n)))[0])
    return Estimate(middle, low, high, unit, counted(n, cases), _too_few(n, cases))


def _too_few(number: int, cases: Cases) -> str:
    return (
        translatable("only {cases}", cases=counted(number, cases)) if number < LEAST_EVENTS else ""
    )


CASES_FALSE_ALARMS = Cases(
    templates("{number} false alarm", "{number} false alarms"),
    templates("{count} of {number} false alarm", "{count} of {number} false alarms"),
    template("no false alarms"),
)
CASES_WITH_OUTCOME = Cases(
    templates("{number} alarm with an outcome", "{number} alarms with an outcome"),
    templates(
        "{count} of {number} alarm with an outcome", "{count} of {number} alarms with an outcome"
    ),
    template("no alarms with an outcome"),
)
CASES_WITHOUT_AVOIDED = Cases(
    templates(
        "{number} alarm with an outcome, without the avoided ones",
        "{number} alarms with an outcome, without the avoided ones",
    ),
    templates(
        "{count} of {number} alarm with an outcome, without the avoided ones",
        "{count} of {number} alarms with an outcome, without the avoided ones",
    ),
    template("no alarms with an outcome, without the avoided ones"),
)
# where an alarm counts more than once, or several as one: `counted_outcomes`
CASES_COUNTED = Cases(
    templates("{number} counted alarm", "{number} counted alarms"),
    templates("{count} of {number} counted alarm", "{count} of {number} counted alarms"),
    template("no counted alarms"),
)


LEAST_POSITIVES = 5


@dataclass(frozen=True)
class RowMetrics:
    """Metrics over scored instants whose label is known; None where one class is missing.

    `intervals`: 95 % confidence intervals of `ap`, `roc_auc` and `brier` by a bootstrap over time
    blocks of each asset. `persistence_ap` is that of a ranking by the last known value alone,
    `ap_beside_persistence` the model's on the same rows; `twin_ap` that of the twin in shadow,
    `ap_beside_twin` the refit's. `calibration`: the points of `reliability_with_intervals`.
    `doubt`: the reason against any conclusion.
    """

    rows: int
    positives: int
    immature: int
    prevalence: float | None
    ap: float | None
    roc_auc: float | None
    brier: float | None
    brier_of_prevalence: float | None
    intervals: Mapping[str, Sequence[float]]
    persistence_ap: float | None
    ap_beside_persistence: float | None
    twin_ap: float | None
    ap_beside_twin: float | None
    calibration: Sequence[Mapping[str, float]]
    doubt: str

    @property
    def is_certain(self) -> bool:
        """Return whether enough scores were followed by the problem, and others were not."""
        return LEAST_POSITIVES <= self.positives < self.rows


def compute_row_metrics(
    scores: pd.DataFrame, gap_ms: int, horizon_ms: int, seed: int
) -> RowMetrics:
    """Compute metrics of `scores` (see `Material`); rows without a label only count as immature."""
    mature = scores[scores["label"].notna()]
    label = mature["label"].to_numpy(np.int8)
    score = mature["score"].to_numpy(np.float64)
    positives = int(label.sum())
    at = millis(pd.DatetimeIndex(mature["ts"]))
    block = time_blocks(at, mature["asset"].to_numpy(object), gap_ms, horizon_ms)
    metrics = evaluate_rows(label, score, block, seed)
    prevalence = metrics["prevalence"]
    rows = len(label)
    doubts = (
        (not rows, translatable("no score has a known label yet")),
        (not positives, translatable("the problem followed none of {rows} scores", rows=rows)),
        (
            positives == rows,
            translatable("the problem followed every one of {rows} scores", rows=rows),
        ),
        (
            positives < LEAST_POSITIVES,
            translatable(
                "the problem followed only {positives} of {rows} scores",
                positives=positives,
                rows=rows,
            ),
        ),
    )
    persistence_ap, beside_persistence = _beside(mature, "persistence")
    twin_ap, beside_twin = _beside(mature, "twin")
    return RowMetrics(
        rows=rows,
        positives=positives,
        immature=len(scores) - len(mature),
        prevalence=prevalence,
        ap=metrics["ap"],
        roc_auc=metrics["roc_auc"],
        brier=metrics["brier"],
        brier_of_prevalence=prevalence * (1 - prevalence) if prevalence is not None else None,
        intervals=metrics["intervals"],
        persistence_ap=persistence_ap,
        ap_beside_persistence=beside_persistence,
        twin_ap=twin_ap,
        ap_beside_twin=beside_twin,
        calibration=reliability_with_intervals(label, score, block, seed),
        doubt=next((text for holds, text in doubts if holds), ""),
    )


def _beside(mature: pd.DataFrame, column: str) -> tuple[float | None, float | None]:
    """Return the average precision of other scores, and the model's on the same rows."""
    rows = mature[mature[column].notna()] if column in mature else mature[:0]
    if rows.empty:
        return None, None
    label = rows["label"].to_numpy(np.int8)
    scores = (rows[column].to_numpy(np.float64), rows["score"].to_numpy(np.float64))
    return row_metrics(label, scores[0])["ap"], row_metrics(label, scores[1])["ap"]


Cell = str | int | float | bool | None


@dataclass(frozen=True)
class Table:
    """Rows of cells under column names: instants ISO 8601 in UTC, durations s, shares 0 to 1."""

    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def to_csv(self) -> str:
        """Return the table as CSV with a head line. Empty cells are unknown."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows(
            [spreadsheet_text(cell) if isinstance(cell, str) else cell for cell in row]
            for row in self.rows
        )
        return out.getvalue()

    def to_records(self) -> list[dict[str, Cell]]:
        """Return one mapping of column to cell for each row, for JSON."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


def write_workbook(tables: Iterable[Table]) -> bytes:
    """Return a workbook (.xlsx) with a sheet for each table; no text in it is a formula. Raises
    UserError if the library for it is not installed."""
    try:
        from openpyxl import Workbook  # noqa: PLC0415 - of an extra
        from openpyxl.cell import WriteOnlyCell  # noqa: PLC0415
    except ModuleNotFoundError as missing:
        raise UserError(
            "workbooks need openpyxl; install it with: pip install 'alerting[excel]'"
        ) from missing
    book = Workbook(write_only=True)
    for table in tables:
        sheet = book.create_sheet(table.name[:31])
        for row in (table.columns, *table.rows):
            cells = [WriteOnlyCell(sheet, clean(value)) for value in row]
            for cell in cells:
                cell.data_type = "s" if cell.data_type == "f" else cell.data_type
            sheet.append(cells)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def table(name: str, columns: str, rows: Iterable[Iterable[Any]]) -> Table:
    """Return a table of values, instants as text, under column names with a space in between."""
    texts = [[v.isoformat() if isinstance(v, datetime) else v for v in row] for row in rows]
    cells = to_jsonable_python(texts, inf_nan_mode="null", timedelta_mode="float")
    return Table(name, tuple(columns.split()), tuple(map(tuple, cells)))


def table_of(name: str, columns: str, items: Iterable[object], **attributes: str) -> Table:
    """Return a row of attributes for each item; `attributes`: of columns with another name."""
    read = [attrgetter(attributes.get(column, column)) for column in columns.split()]
    return table(name, columns, ([value(item) for value in read] for item in items))


def to_document(value: Any) -> Any:
    """Return JSON-able values: instants as ISO 8601, numbers that are not finite as null."""
    return to_jsonable_python(value, inf_nan_mode="null")
