"""Suppression by design on the live platform: suppressed targets, since when, and the alarms
without notifications; and the mutes in force at a time, each with the event that ended it, and the
alarms that they cover."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from alerting.definitions.alert_definition import (
    AssetIndex,
    Definition,
    Severity,
    matching_assets,
    names_asset,
)
from alerting.definitions.asset_documents import Asset, event_titles
from alerting.definitions.fields.shared_fields import Suppression
from alerting.definitions.wording.language import translatable
from alerting.detection.suppressed_intervals import (
    LineCondition,
    SuppressedInterval,
    describe_reasons,
    first_free,
    inhibited_interval,
    line_condition_at,
    lookback,
    suppressed_intervals,
)
from alerting.episodes.episode import PLATFORM, Episode
from alerting.operators.actions_and_mutes import Mute, describe_mute, find_mutes
from alerting.ports import (
    Assets,
    Definitions,
    EpisodePorts,
    Episodes,
    MutePorts,
    WantedHistory,
)
from alerting.readings.history import History, from_millis, millis, to_millis
from alerting.usecases.definitions.versions import newest_of_target, require_revision


@dataclass(frozen=True)
class SuppressedTarget:
    """Suppression of one target now, whose definition has suppression by design.

    `unknown`: states of the line that cannot be known; these do not suppress.
    """

    definition: str
    asset: str
    suppressed: bool
    reason: str
    unknown: tuple[str, ...]


@dataclass(frozen=True)
class SuppressionList:
    """All targets that can be suppressed, and the episodes raised since an instant that never
    caused a notification."""

    at: datetime
    since: datetime
    targets: tuple[SuppressedTarget, ...]
    not_notified: tuple[Episode, ...]


def line_condition(
    platform: EpisodePorts,
    definition: Definition | None,
    asset: str,
    now: datetime,
    severity: Severity | None = None,
) -> LineCondition:
    """Return the suppression of a target at an instant; not suppressed without a definition, if it
    has no suppression, or if that does not apply to this severity."""
    suppression = definition.suppression if definition else None
    if suppression is None or severity in suppression.still_notify:
        return LineCondition(suppressed=False, reason="")
    chain, inhibited = _read_line(platform, suppression, asset, now, now)
    return line_condition_at(suppression, chain, now, inhibited)


def suppression_now(
    platform: EpisodePorts, definition: Definition, episode: Episode, now: datetime
) -> str | None:
    """Return the reason why an episode is suppressed now, None if it is not."""
    condition = line_condition(platform, definition, episode.asset, now, episode.severity)
    return condition.reason if condition.suppressed else None


def suppressed_all_along(
    platform: EpisodePorts, definition: Definition, episode: Episode, until: datetime
) -> str | None:
    """Return the reason why an episode was suppressed from its raise to its end (or `until`), None
    if it was not."""
    suppression = definition.suppression
    if suppression is None:
        return None
    raised = episode.raised_at
    end = episode.closed_at
    intervals = suppressed_between(platform, suppression, episode.asset, raised, end or until)
    worst = episode.severity_peak or episode.severity
    return never_notified(suppression, intervals, raised, end, worst, until)


def never_notified(
    suppression: Suppression,
    intervals: Sequence[SuppressedInterval],
    raised_at: datetime,
    closed_at: datetime | None,
    severity: Severity,
    until: datetime,
) -> str | None:
    """Return the reason why an alarm was suppressed from its raise to its end (or `until`), None if
    it was not. `intervals`: suppressed ones of its asset; `severity`: its worst one."""
    at_raise = [s for s in intervals if s.start <= raised_at < s.end]
    if not at_raise or severity in suppression.still_notify:
        return None
    free = first_free(intervals, raised_at)
    was_free = free < closed_at if closed_at is not None else free <= until
    return None if was_free else describe_reasons(at_raise)


def suppressed_intervals_by_asset(
    platform: EpisodePorts,
    definition: Definition,
    assets: Iterable[Asset],
    start: datetime | None,
    end: datetime,
) -> dict[str, list[SuppressedInterval]]:
    """Return the suppressed intervals of each asset between two instants (from its first reading on
    without `start`), and its times of maintenance."""
    watched = list(assets)
    maintenance = maintenance_intervals(platform, definition, watched, start, end)
    suppression = definition.suppression
    if suppression is None:
        return maintenance
    suppressed = {}
    for asset in watched:
        stored_range = platform.readings.span(asset.name)
        begin = start or (stored_range[0] if stored_range else end)
        suppressed[asset.name] = suppressed_between(platform, suppression, asset.name, begin, end)
    return merge_by_asset(suppressed, maintenance) if maintenance else suppressed


def suppressed_between(
    platform: EpisodePorts, suppression: Suppression, asset: str, start: datetime, end: datetime
) -> list[SuppressedInterval]:
    """Return the intervals that meet [start, end] in which a suppression applies to an asset."""
    chain, inhibited = _read_line(platform, suppression, asset, start, end)
    return suppressed_intervals(suppression, chain, start, end, inhibited)


def list_suppressed(
    platform: EpisodePorts, now: datetime, since: datetime, name: str | None = None
) -> SuppressionList:
    """Return the suppression of targets at `now`, of all active definitions or of one, and the
    suppressed episodes `since`."""
    definitions = (
        [require_revision(platform.definitions, name).definition]
        if name is not None
        else [
            revision.definition
            for revision in platform.definitions.latest_revisions("suppression")
            if revision.definition.state == "active"
        ]
    )
    definitions = [definition for definition in definitions if definition.suppression is not None]
    assets = AssetIndex(platform.assets.all())
    # many definitions of one asset share a suppression
    conditions: dict[tuple[str, Suppression | None], LineCondition] = {}
    targets = []
    for definition in definitions:
        for asset in matching_assets(definition, assets):
            key = (asset.name, definition.suppression)
            if key not in conditions:
                conditions[key] = line_condition(platform, definition, asset.name, now)
            line = conditions[key]
            targets.append(
                SuppressedTarget(
                    definition.name, asset.name, line.suppressed, line.reason, line.unknown
                )
            )
    silent = find_not_notified(platform.episodes, {d.name for d in definitions}, since, now)
    return SuppressionList(now, since, tuple(targets), tuple(silent))


def find_not_notified(
    episodes: Episodes, names: Collection[str], since: datetime, now: datetime
) -> list[Episode]:
    """Return the episodes raised since an instant that suppression by design muted throughout,
    newest first. `names`: definitions with such a suppression."""
    alarms = episodes.alarms(since, now + timedelta(milliseconds=1)) if names else []
    ids = [a.id for a in alarms if a.definition in names and a.silent and a.suppressed]
    by_id = episodes.get_many(ids) if ids else {}
    return [by_id[id] for id in reversed(ids) if id in by_id]


def _read_line(
    platform: EpisodePorts, suppression: Suppression, asset: str, start: datetime, end: datetime
) -> tuple[list[History], list[SuppressedInterval]]:
    """Return the readings of an asset and its ancestors that a suppression looks at, and the
    intervals that meet [start, end] in which episodes of other alerts inhibit on the asset."""
    declared = platform.assets.get(asset) if suppression.when else None
    variables = [s.variable for s in suppression.when if s.variable is not None]
    chain = [
        platform.readings.load(WantedHistory(a, start - lookback(suppression), end, variables))
        for a in (assets_upwards(platform.assets, declared) if declared else ())
    ]
    others = platform.inhibiting or platform
    intervals = []
    for inhibitor in suppression.inhibited:
        for episode in others.episodes.overlapping(inhibitor.definition, asset, start, end):
            over = episode.closed_at or _find_out_of_force(
                others.assets, others.definitions, episode
            )
            if over is None or over > start:
                intervals.append(
                    inhibited_interval(inhibitor.definition, asset, episode.raised_at, over)
                )
    return chain, intervals


def _find_out_of_force(
    assets: Assets, definitions: Definitions, episode: Episode
) -> datetime | None:
    """Return the instant since which the definition of an open episode is no longer evaluated on
    its asset; None if it is evaluated.

    Such an episode stays open without a meaning.
    """
    revision = newest_of_target(definitions, episode.definition)
    if revision is None or assets.get(episode.asset) is None:
        return None
    is_named = names_asset(revision.definition, episode.asset)
    return None if revision.definition.state == "active" and is_named else revision.at


@dataclass(frozen=True)
class MutesInForce:
    """The mutes in force at a time, and the assets above each asset, which are read when needed."""

    mutes: Sequence[Mute]
    assets: Assets
    _lines: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def find(self, definition: str, asset: str, severity: Severity, at: datetime) -> list[Mute]:
        """Return the mutes that cover an alarm at an instant; the first one counts."""
        if not self.mutes:
            return []
        return find_mutes(self.mutes, definition, self.line(asset), severity, at)

    def line(self, asset: str) -> tuple[str, ...]:
        """Return the names of an asset and of all assets above it."""
        if asset not in self._lines:
            declared = self.assets.get(asset)
            above = () if declared is None else assets_upwards(self.assets, declared)
            self._lines[asset] = (
                asset,
                *(ancestor.name for ancestor in above if ancestor.name != asset),
            )
        return self._lines[asset]

    def select_for(self, definition: str | None, asset: str | None) -> list[Mute]:
        """Return the mutes that name a definition, and the mutes that cover alarms of an asset;
        None: any."""
        return [
            mute
            for mute in self.mutes
            if definition in (None, mute.definition)
            and (asset is None or mute.is_on(self.line(asset)))
        ]


def mutes_at(platform: MutePorts, at: datetime) -> MutesInForce:
    """Return the mutes that cover an instant."""
    return mutes_between(platform, at, at + timedelta(milliseconds=1))


def mutes_between(platform: MutePorts, start: datetime | None, end: datetime) -> MutesInForce:
    """Return the mutes that meet [start, end)."""
    mutes = [end_by_event(platform, mute) for mute in platform.mutes.overlapping(start, end)]
    meeting = [mute for mute in mutes if start is None or start < mute.end]
    return MutesInForce(meeting, platform.assets)


def end_by_event(platform: MutePorts, mute: Mute) -> Mute:
    """Return a mute with its end, if the event that ends it has come; else the mute unchanged."""
    if mute.event is None or mute.event_asset is None or mute.ended_at is not None:
        return mute
    asset = platform.assets.get(mute.event_asset)
    if asset is None:
        return mute
    events = platform.readings.load(WantedHistory(asset, mute.end, mute.end, (), mute.since)).events
    starts = millis(events["start"])[(events["type"] == mute.event).to_numpy()]
    inside = starts[(starts > to_millis(mute.since)) & (starts < to_millis(mute.end))]
    if not len(inside):
        return mute
    reason = translatable(
        "{event} on {asset}",
        event=event_titles(platform.assets.event_types()).get(mute.event, mute.event),
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
    """Return, for each asset of a definition that had maintenance at its severity, the times of
    maintenance that meet [start, end)."""
    in_force = mutes_between(platform, start, end)
    maintenance = [
        mute for mute in in_force.mutes if mute.kind == "maintenance" and mute.since < mute.end
    ]
    times: dict[str, list[SuppressedInterval]] = {}
    for asset in assets if maintenance else ():
        covering = [
            SuppressedInterval(mute.since, mute.end, describe_mute(mute))
            for mute in maintenance
            if mute.covers(definition.name, in_force.line(asset.name), definition.severity)
        ]
        if covering:
            times[asset.name] = covering
    return times


def merge_by_asset(
    *parts: Mapping[str, Sequence[SuppressedInterval]],
) -> dict[str, list[SuppressedInterval]]:
    """Merge the intervals of several mappings by asset."""
    names = dict.fromkeys(name for part in parts for name in part)
    return {name: [interval for part in parts for interval in part.get(name, ())] for name in names}


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
