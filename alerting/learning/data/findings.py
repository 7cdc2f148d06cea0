"""Findings of the data quality report; this module needs no library of frames."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Consequence = Literal["left out", "kept"]
Kind = Literal[
    "silent_asset",
    "no_value",
    "too_many_levels",
    "constant",
    "flat",
    "gaps",
    "carried_forward",
    "duplicate",
    "out_of_range",
    "impossible",
    "bad_quality",
    "unmatched_events",
    "few_problems",
    "bursts",
    "leak_suspect",
    "unseen_problem",
    "answers",
    "row_limit",
    "derived",
    "strays",
    "unit_change",
]


@dataclass(frozen=True)
class Finding:
    """One oddity: variable, event type, asset or part, its number, the consequence."""

    kind: Kind
    variable: str | None
    value: float | None
    consequence: Consequence
    message: str


def impossible_values(variable: str, count: int, example: float, exception: str = "") -> Finding:
    """Return the finding that a variable has values that nothing measures. `exception`: where they
    count."""
    return Finding(
        "impossible",
        variable,
        count,
        "left out",
        f"{variable} has {count:,} {'value' if count == 1 else 'values'} such as {example:.6g} in "
        "the training period, more than anything measures, which usually stand for no value: they "
        f"are left out{exception}; import them again with --missing, or let their source leave "
        "them out.",
    )


NAMED = 5
_VARIABLES = "{n} variables ({names})"
_OF_SEVERAL: Mapping[tuple[Kind, Consequence], str] = MappingProxyType({
    ("silent_asset", "left out"): (
        "{n} assets ({names}) have no readings in the training period: the model cannot use them."
    ),
    ("no_value", "left out"): (
        f"{_VARIABLES} have no value in the training period: they are left out."
    ),
    ("too_many_levels", "left out"): (
        f"{_VARIABLES} are categories with too many different values: they are left out."
    ),
    ("constant", "kept"): (
        f"{_VARIABLES} never change in the training period: the model cannot use them."
    ),
    ("flat", "kept"): (
        f"{_VARIABLES} repeat a value far longer than usual: sensors were probably stuck; the "
        "values are kept."
    ),
    ("gaps", "left out"): (
        "{n} assets ({names}) have gaps: windows in them have no value; rows without any are left "
        "out."
    ),
    ("gaps", "kept"): (
        f"{_VARIABLES} have gaps of their own: they are missing there, the rows are kept."
    ),
    ("carried_forward", "kept"): f"{_VARIABLES} come rarely: each value holds until the next one, "
    "for a limited time; set carry_forward of a variable where that is wrong.",
    ("duplicate", "kept"): (
        f"{_VARIABLES} have the same values as another one throughout: exclude one of each pair."
    ),
    ("out_of_range", "left out"): f"{_VARIABLES} have values outside their engineering range, "
    "which are left out of every feature: correct them or the range.",
    ("impossible", "left out"): f"{_VARIABLES} have values that nothing measures, which usually "
    "stand for no value: they are left out.",
    ("bad_quality", "left out"): (
        f"{_VARIABLES} have samples of bad quality, which count as missing."
    ),
    ("unmatched_events", "left out"): (
        "{n} patterns of features.events ({names}) match no event type: they give no features."
    ),
    ("few_problems", "kept"): (
        "Only few problems began in {n} periods ({names}): causes, threshold and metrics are "
        "uncertain."
    ),
    ("strays", "left out"): (
        "{n} assets ({names}) have readings far from all others, as of a clock that was not set: "
        "they are left out."
    ),
    ("unit_change", "kept"): (
        f"{_VARIABLES} are a multiple of what they were from some day on (other units?): the "
        "values are kept; correct them, or begin after that day with periods.start."
    ),
    ("leak_suspect", "kept"): "{n} variables or events ({names}) nearly know the label: they are "
    "kept; make sure that their "
    "values are known before the problem, set their delay, or exclude them.",
})  # fmt: skip


def describe_findings(findings: Sequence[Finding]) -> list[str]:
    """Describe findings in a sentence a kind, with the first names by value."""
    groups: dict[tuple[Kind, Consequence], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.kind, finding.consequence), []).append(finding)
    return [
        _describe_group(kind, consequence, members)
        for (kind, consequence), members in groups.items()
    ]


def _describe_group(kind: Kind, consequence: Consequence, findings: Sequence[Finding]) -> str:
    worst = sorted(findings, key=lambda finding: -(finding.value or 0.0))
    names = list(dict.fromkeys(finding.variable for finding in worst))
    if len(names) == 1:
        return worst[0].message + (
            f" ({len(findings) - 1} more findings on it.)" if len(findings) > 1 else ""
        )
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return _OF_SEVERAL[kind, consequence].format(
        n=len(names), names=", ".join(map(str, names[:NAMED])) + more
    )
