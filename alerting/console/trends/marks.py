"""What stands behind the lanes of a trend: alarms, events and marked times; and the part of the
page on which people mark a time."""

from datetime import datetime
from typing import Any, NamedTuple

from alerting.adapters.platform import Platform
from alerting.console.trends.picture import MarkedTime, ShownTime
from alerting.definitions.assets import Asset
from alerting.definitions.wording.language import Language, translatable
from alerting.readings.interval_labels import IntervalLabel
from alerting.usecases.trends.bands import find_bands

MOST_BANDS = 100
KIND_NAMES = {
    "bad": translatable("bad values"),
    "not_to_learn_from": translatable("not to be learned from"),
}


class Typed(NamedTuple):
    """What a person typed into the form of a mark that was refused, and why it was."""

    start: str = ""
    end: str = ""
    kind: str = ""
    whole: bool = False
    reason: str = ""
    refusal: str = ""


NOTHING_TYPED = Typed()


def find_marks(
    platform: Platform, asset: Asset, shown: ShownTime, language: Language
) -> dict[str, Any]:
    """Return alarms and events within a time, the newest hundred of each, whether there are more,
    and the labels in force there, those made last first."""
    found = find_bands(platform, asset.name, *shown)
    alarms = [
        MarkedTime(
            "alarm",
            language.translate(e.title),
            max(e.raised_at, shown.start),
            min(e.closed_at or shown.end, shown.end),
            f"/episodes/{e.id}",
        )
        for e in reversed(found.episodes)
        if not e.withdrawn
    ]
    events = [
        MarkedTime("event", e.title, max(e.start, shown.start), min(e.end or shown.end, shown.end))
        for e in reversed(found.events)
    ]
    labels = _labels(platform, asset, *shown)
    bands = [*alarms[:MOST_BANDS], *events[:MOST_BANDS]]
    return {
        "bands": bands,
        "are_cut": found.cut or max(len(alarms), len(events)) > MOST_BANDS,
        "labels": labels[:MOST_BANDS],
        "labels_cut": len(labels) > MOST_BANDS,
        "drawn": [*bands, *(_band(one, shown, language) for one in labels[:MOST_BANDS])],
    }


def _labels(
    platform: Platform, asset: Asset, start: datetime, end: datetime
) -> list[IntervalLabel]:
    found = platform.labels.in_force([asset.name], None)
    overlapping = [one for one in found if one.start < end and one.end > start]
    return sorted(overlapping, key=lambda one: (one.made_at, one.id), reverse=True)


def _band(label: IntervalLabel, shown: ShownTime, language: Language) -> MarkedTime:
    kind = "marked-bad" if label.kind == "bad" else "marked-out"
    title = f"{language.translate(KIND_NAMES[label.kind])}: {label.reason} ({label.author})"
    start = max(label.start, shown.start)
    end = min(label.end, shown.end)
    return MarkedTime(kind, title, start, end, variables=label.variables)
