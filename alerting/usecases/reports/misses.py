"""Reported misses count as problems without an alert, unless the data show them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from alerting.deferred import pd
from alerting.definitions.model import Definition
from alerting.episodes.misses import ReportedMiss
from alerting.ports import MaterialPorts
from alerting.reporting.definition.material import Material

_LEAST_DISTANCE = timedelta(minutes=5)


def with_misses(platform: MaterialPorts, material: Material) -> Material:
    """Return the material with the misses of its period that were reported by its instant.

    A problem of the asset that the data show within the prediction window's length of the miss is
    the same one.
    """
    found = platform.misses.for_interval(material.start, material.end, material.definition.name)
    misses = [miss for miss in reversed(found) if miss.at <= material.as_of]
    unseen = [
        miss
        for miss in misses
        if not is_in_data(material.definition, material.problems, miss.asset, miss.missed_at)
    ]
    if not unseen:
        return replace(material, misses=tuple(misses))
    added = pd.DataFrame([_problem_row(miss) for miss in unseen])
    problems = material.problems
    if problems.empty:
        columns = [*problems.columns, *(c for c in added.columns if c not in problems.columns)]
        return replace(material, misses=tuple(misses), problems=added.reindex(columns=columns))
    whole = pd.concat(
        [
            problems,
            added.astype({c: problems[c].dtype for c in added.columns if c in problems.columns}),
        ]
    )
    return replace(material, misses=tuple(misses), problems=whole.reset_index(drop=True))


def is_in_data(definition: Definition, problems: pd.DataFrame, asset: str, at: datetime) -> bool:
    """Return whether the data show a problem at an instant, or a window's length from it."""
    near = max(definition.window.length, _LEAST_DISTANCE)
    here = problems[problems["asset"] == asset]
    ends = here["end"].fillna(pd.Timestamp(at)) if len(here) else here["start"]
    return bool(((here["start"] <= at + near) & (ends >= at - near)).any())


def _problem_row(miss: ReportedMiss) -> dict[str, Any]:
    at = pd.Timestamp(miss.missed_at).as_unit("ms")
    return {
        "asset": miss.asset,
        "start": at,
        "last": at,
        "end": at,
        "known_at": pd.Timestamp(miss.at).as_unit("ms"),
        "uncounted": False,
    }
