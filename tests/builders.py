"""Valid documents and values as a base for test cases."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from alerting.definitions.alert_definition import Revision
from alerting.definitions.asset_documents import Asset, EventType, Variable
from alerting.definitions.revisions import next_revision
from alerting.kinds.classifier.definition import ClassifierDefinition
from alerting.kinds.registry import parse_definition
from alerting.kinds.threshold.definition import ThresholdDefinition

if TYPE_CHECKING:
    import pandas as pd

    from alerting.readings.history import History

T0 = datetime(2026, 1, 5, tzinfo=UTC)


def at(minutes: float) -> datetime:
    """Return an instant, in minutes after midnight of a Monday."""
    return T0 + timedelta(minutes=float(minutes))


def too_hot(**changes: Any) -> dict[str, Any]:
    document = {
        "name": "too-hot",
        "kind": "threshold",
        "assets": ["oven-1"],
        "variable": "temperature",
        "above": 215,
    }
    return {**document, **changes}


def too_moist(**changes: Any) -> dict[str, Any]:
    document = {
        "name": "too-moist",
        "kind": "classifier",
        "assets": ["oven-1"],
        "problem": {"variable": "moisture", "above": 4.5, "for": "5m"},
        "horizon": "30m",
    }
    return {**document, **changes}


def threshold(**changes: Any) -> ThresholdDefinition:
    definition = parse_definition(too_hot(**changes))
    assert isinstance(definition, ThresholdDefinition)
    return definition


def several(**changes: Any) -> ThresholdDefinition:
    """Return a threshold with conditions of several variables: `any` or `all` is among the
    changes."""
    document = {
        key: value for key, value in too_hot(**changes).items() if key not in ("variable", "above")
    }
    definition = parse_definition(document)
    assert isinstance(definition, ThresholdDefinition)
    return definition


def classifier(**changes: Any) -> ClassifierDefinition:
    definition = parse_definition(too_moist(**changes))
    assert isinstance(definition, ClassifierDefinition)
    return definition


def revision(definition: Any, when: datetime = T0, before: Revision | None = None) -> Revision:
    return next_revision(definition, before, "engineer", when, "test")


def oven(**variables: Variable) -> Asset:
    known = {
        "temperature": Variable(unit="°C", title="Zone 2 temperature"),
        "moisture": Variable(unit="%"),
    }
    return Asset(name="oven-1", variables={**known, **variables})


def history(
    minutes: Sequence[float],
    asset: Asset | None = None,
    events: Sequence[tuple[str, float, float | None]] = (),
    event_types: Sequence[EventType] = (),
    **columns: Sequence[Any],
) -> "History":
    """Return readings at these minutes and events as (type, start minute, end minute or None while
    ongoing)."""
    # imported here, because tests of definitions and episodes need no frame library
    import pandas as pd

    from alerting.readings.history import History

    index = (
        pd.DatetimeIndex([at(m) for m in minutes], name="ts").as_unit("ms")
        if len(minutes)
        else None
    )
    frame = pd.DataFrame(dict(columns), index=index)
    if index is None:
        frame = pd.DataFrame(
            dict(columns), index=pd.DatetimeIndex([], dtype="datetime64[ms, UTC]", name="ts")
        )
    return History(asset or oven(), frame, _events(events), tuple(event_types))


def with_quality(data: "History", variable: str, qualities: Sequence[str | None]) -> "History":
    """Return the same readings with these qualities in order; a bad one loses its value."""
    import numpy as np

    from alerting.readings.history import Doubts, millis

    told = np.array([quality or "good" for quality in qualities])
    ts = millis(data.readings.index)
    readings = data.readings.assign(**{variable: data.readings[variable].where(told != "bad")})
    found = {kind: {variable: ts[told == kind]} for kind in ("bad", "uncertain")}
    return replace(data, readings=readings, doubts=Doubts(**found))


def _events(events: Sequence[tuple[str, float, float | None]]) -> "pd.DataFrame":
    import pandas as pd

    from alerting.readings.history import no_events

    if not events:
        return no_events()
    rows: list[Mapping[str, Any]] = [
        {"type": t, "start": at(s), "end": pd.NaT if e is None else at(e)}
        for t, s, e in sorted(events, key=lambda x: x[1])
    ]
    frame = pd.DataFrame(rows)
    for column in ("start", "end"):
        frame[column] = pd.to_datetime(frame[column], utc=True).astype("datetime64[ms, UTC]")
    return frame
