"""The mutes of a time, each with the event that ended it, and what they cover."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from alerting.definitions.alert_definition import Definition, Severity
from alerting.definitions.asset_documents import Asset, event_titles
from alerting.definitions.wording.language import translatable
from alerting.detection.suppressed_intervals import SuppressedInterval
from alerting.operators.actions_and_mutes import Mute, describe_mute, find_mutes
from alerting.ports import Assets, MutePorts
from alerting.readings.history import from_millis, millis, to_millis

PLATFORM = "platform"
_INSTANT = timedelta(milliseconds=1)


@dataclass(frozen=True)
class MutesInForce:
    """The mutes of a time, and the assets above each asset, as they are asked for."""

    mutes: Sequence[Mute]
    assets: Assets
    _lines: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def find(self, definition: str, asset: str, severity: Severity, at: datetime) -> list[Mute]:
        """Return the mutes that cover an alarm at an instant; the first one counts."""
        if not self.mutes:
            return []
        return find_mutes(self.mutes, definition, self.line(asset), severity, at)

    def line(self, asset: str) -> tuple[str, ...]:
        """Return the names of an asset and of all above it."""
        if asset not in self._lines:
            found = self.assets.get(asset)
            above = () if found is None else assets_upwards(self.assets, found)
            self._lines[asset] = (asset, *(one.name for one in above if one.name != asset))
        return self._lines[asset]

    def select_for(self, definition: str | None, asset: str | None) -> list[Mute]:
        """Return the mutes that name a definition, and that cover alarms of an asset; None: any."""
        return [
            one
            for one in self.mutes
            if definition in (None, one.definition)
            and (asset is None or one.is_on(self.line(asset)))
        ]


def mutes_at(platform: MutePorts, at: datetime) -> MutesInForce:
    """Return the mutes that cover an instant."""
    return mutes_between(platform, at, at + _INSTANT)


def mutes_between(platform: MutePorts, start: datetime | None, end: datetime) -> MutesInForce:
    """Return the mutes that meet [start, end)."""
    found = [end_by_event(platform, one) for one in platform.mutes.overlapping(start, end)]
    meeting = [one for one in found if start is None or start < one.end]
    return MutesInForce(meeting, platform.assets)


def end_by_event(platform: MutePorts, mute: Mute) -> Mute:
    """Return a mute with its end, if the event that ends it has come; else as it is."""
    if mute.event is None or mute.event_asset is None or mute.ended_at is not None:
        return mute
    asset = platform.assets.get(mute.event_asset)
    if asset is None:
        return mute
    events = platform.readings.load(asset, mute.end, mute.end, (), mute.since).events
    starts = millis(events["start"])[(events["type"] == mute.event).to_numpy()]
    inside = starts[(starts > to_millis(mute.since)) & (starts < to_millis(mute.end))]
    if not len(inside):
        return mute
    titles = event_titles(platform.assets.event_types())
    reason = translatable(
        "{event} on {asset}",
        event=titles.get(mute.event, mute.event),
        asset=asset.title or asset.name,
    )
    return mute.ended(from_millis(int(inside.min())), PLATFORM, reason)


def maintenance_intervals(
    platform: MutePorts,
    definition: Definition,
    assets: Iterable[Asset],
    start: datetime | None,
    end: datetime,
) -> dict[str, list[SuppressedInterval]]:
    """Return the times of maintenance that meet [start, end), of each asset of a definition at its
    severity; without assets that had none."""
    found = mutes_between(platform, start, end)
    there = [one for one in found.mutes if one.kind == "maintenance" and one.since < one.end]
    times: dict[str, list[SuppressedInterval]] = {}
    for asset in assets if there else ():
        line = found.line(asset.name)
        for one in there:
            if one.covers(definition.name, line, definition.severity):
                interval = SuppressedInterval(one.since, one.end, describe_mute(one))
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
