"""Findings of the data quality report; this module needs no library of frames."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Consequence = Literal["left out", "kept"]
Kind = Literal[
    "silent_asset",
    "no_value",
    "too_many_levels",
    "constant",
    "flat",
    "gaps",
    "irregular",
    "carried_forward",
    "duplicate",
    "out_of_range",
    "bad_quality",
    "uncertain",
    "unmatched_events",
    "few_problems",
    "leak_suspect",
    "answers",
    "row_limit",
    "derived",
]


@dataclass(frozen=True)
class Finding:
    """One oddity: its variable, event type, asset or part of the history, its number, and the consequence as a message."""

    kind: Kind
    variable: str | None
    value: float | None
    consequence: Consequence
    message: str


def findings_from(documents: Sequence[Mapping[str, Any]]) -> tuple[Finding, ...]:
    """Return findings from stored plain JSON values."""
    return tuple(Finding(**document) for document in documents)
