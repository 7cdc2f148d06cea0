"""Twelve weeks of the plant as lines: SVG shapes with the numbers beside them."""

from collections.abc import Callable, Sequence
from typing import Any

from alerting.definitions.wording.language import Language, translatable
from alerting.reporting.base.messages import number
from alerting.reporting.definition.money import Amount
from alerting.reporting.plant.overview import PlantSums
from alerting.usecases.reports.plant_view import PlantPeriod

WIDTH = 300
HEIGHT = 56
_EDGE = 6
_Line = tuple[str, str, Callable[[PlantSums], float | None]]
_COUNTS: tuple[tuple[str, tuple[_Line, ...]], ...] = (
    (
        translatable("Problems"),
        (
            ("predicted", translatable("predicted"), lambda f: f.predicted),
            ("missed", translatable("missed"), lambda f: f.missed),
        ),
    ),
    (
        translatable("Alarms"),
        (
            ("avoided", translatable("avoided"), lambda f: f.avoided),
            ("false", translatable("false alarms"), lambda f: f.false_alarms),
        ),
    ),
)


def week_charts(weeks: Sequence[PlantPeriod], language: Language) -> list[dict[str, Any]]:
    """Return a chart each of problems, of alarms, and of the money of each currency."""
    charts = [_chart(title, lines, weeks, language) for title, lines in _COUNTS]
    currencies = {m.currency for week in weeks if week.sums for m in week.sums.money}
    return charts + [
        _chart(currency, _money_lines(currency), weeks, language) for currency in sorted(currencies)
    ]


def _money_lines(currency: str) -> tuple[_Line, ...]:
    def middle(name: str) -> Callable[[PlantSums], float | None]:
        def value(sums: PlantSums) -> float | None:
            found = next((m for m in sums.money if m.currency == currency), None)
            amount: Amount | None = None if found is None else getattr(found, name)
            return None if amount is None else (amount.low + amount.high) / 2

        return value

    return (
        ("avoided", translatable("avoided"), middle("avoided")),
        ("missed", translatable("missed"), middle("missed")),
        ("false", translatable("false alarms"), middle("false_alarms")),
    )


def _chart(
    title: str, lines: Sequence[_Line], weeks: Sequence[PlantPeriod], language: Language
) -> dict[str, Any]:
    series = [
        (kind, name, [None if week.sums is None else of(week.sums) for week in weeks])
        for kind, name, of in lines
    ]
    top = max((v for _, _, values in series for v in values if v is not None), default=0.0) or 1.0
    drawn = [
        {
            "kind": kind,
            "name": name,
            "path": _path(values, top),
            "dots": [
                (x, y, f"{week.period.name}: {number(v, 3, language)}")
                for week, v, (x, y) in zip(weeks, values, _points(values, top), strict=True)
                if v is not None
            ],
            "last": number(values[-1], 3, language),
        }
        for kind, name, values in series
    ]
    return {"title": title, "lines": drawn, "top": number(top, 3, language)}


def _points(values: Sequence[float | None], top: float) -> list[tuple[float, float]]:
    step = (WIDTH - 2 * _EDGE) / max(len(values) - 1, 1)
    return [
        (
            round(_EDGE + step * n, 1),
            round(HEIGHT - _EDGE - (HEIGHT - 2 * _EDGE) * (value or 0.0) / top, 1),
        )
        for n, value in enumerate(values)
    ]


def _path(values: Sequence[float | None], top: float) -> str:
    """Return the path through the values, broken where one is missing."""
    path = ""
    before = False
    for value, (x, y) in zip(values, _points(values, top), strict=True):
        if value is not None:
            path += f"{'L' if before else 'M'}{x:g} {y:g}"
        before = value is not None
    return path
