"""The silences of a time, each with the event that ended it, and what they cover."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from alerting.definitions.assets import Asset, event_titles
from alerting.definitions.model import Definition, Severity
from alerting.definitions.wording.language import translatable
from alerting.detection.suppression import SuppressedInterval
from alerting.operators.silences import Silence, describe_silence, find_silence
from alerting.ports import Assets, SilencePorts
from alerting.readings.history import millis
from alerting.readings.instants import from_millis, to_millis

PLATFORM = "platform"
_INSTANT = timedelta(milliseconds=1)


@dataclass(frozen=True)
class SilencesInForce:
    """The silences of a time, and the assets above each asset, as they are asked for."""

    silences: Sequence[Silence]
    assets: Assets
    _lines: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def find(self, definition: str, asset: str, severity: Severity, at: datetime) -> Silence | None:
        """Return the silence that covers an alarm at an instant, None without one."""
        if not self.silences:
            return None
        return find_silence(self.silences, definition, self.line(asset), severity, at)

    def line(self, asset: str) -> tuple[str, ...]:
        """Return the names of an asset and of all above it."""
        if asset not in self._lines:
            found = self.assets.get(asset)
            above = () if found is None else assets_upwards(self.assets, found)
            self._lines[asset] = (asset, *(one.name for one in above if one.name != asset))
        return self._lines[asset]


def silences_at(platform: SilencePorts, at: datetime) -> SilencesInForce:
    """Return the silences that cover an instant."""
    return silences_between(platform, at, at + _INSTANT)


def silences_between(
    platform: SilencePorts, start: datetime | None, end: datetime
) -> SilencesInForce:
    """Return the silences that meet [start, end)."""
    found = [end_by_event(platform, one) for one in platform.silences.overlapping(start, end)]
    meeting = [one for one in found if start is None or start < one.end]
    return SilencesInForce(meeting, platform.assets)


def end_by_event(platform: SilencePorts, silence: Silence) -> Silence:
    """Return a silence with its end, if the event that ends it has come; else as it is."""
    if silence.event is None or silence.event_asset is None or silence.ended_at is not None:
        return silence
    asset = platform.assets.get(silence.event_asset)
    if asset is None:
        return silence
    events = platform.readings.load(asset, silence.until, silence.until, (), silence.since).events
    starts = millis(events["start"])[(events["type"] == silence.event).to_numpy()]
    inside = starts[(starts > to_millis(silence.since)) & (starts < to_millis(silence.until))]
    if not len(inside):
        return silence
    titles = event_titles(platform.assets.event_types())
    reason = translatable(
        "{event} on {asset}",
        event=titles.get(silence.event, silence.event),
        asset=asset.title or asset.name,
    )
    return silence.ended(from_millis(int(inside.min())), PLATFORM, reason)


def maintenance_intervals(
    platform: SilencePorts,
    definition: Definition,
    assets: Iterable[Asset],
    start: datetime | None,
    end: datetime,
) -> dict[str, list[SuppressedInterval]]:
    """Return the times of maintenance that meet [start, end), of each asset of a definition at its
    severity; without assets that had none."""
    found = silences_between(platform, start, end)
    there = [one for one in found.silences if one.kind == "maintenance" and one.since < one.end]
    times: dict[str, list[SuppressedInterval]] = {}
    for asset in assets if there else ():
        line = found.line(asset.name)
        for one in there:
            if one.scope.covers(definition.name, line, definition.severity):
                interval = SuppressedInterval(one.since, one.end, describe_silence(one))
                times.setdefault(asset.name, []).append(interval)
    return times


def merge_by_asset(
    *parts: Mapping[str, Sequence[SuppressedInterval]],
) -> dict[str, list[SuppressedInterval]]:
    """Return the intervals of several mappings together, by asset."""
    names = dict.fromkeys(name for part in parts for name in part)
    return {name: [one for part in parts for one in part.get(name, ())] for name in names}


def assets_upwards(assets: Assets, asset: Asset) -> list[Asset]:
    """Return the asset and its ancestors. They are read one by one, because there may be very many
    other assets."""
    chain = [asset]
    while (parent := chain[-1].parent) is not None and parent not in {a.name for a in chain}:
        above = assets.get(parent)
        if above is None:
            break
        chain.append(above)
    return chain
