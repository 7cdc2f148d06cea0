"""Sources as people see them: deliveries of each source, whether it or an asset is stale, and a
trial: its first rows as they would be stored, which writes nothing."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from alerting.deferred import np
from alerting.definitions.fields.names_and_times import Interval, intersection, merge
from alerting.definitions.fields.shared_fields import Suppression
from alerting.definitions.source_fields import SourceFields, SourceState, StreamedSource
from alerting.definitions.sources import (
    PolledBy,
    PolledFields,
    Source,
    faults_when_applied,
    kind_document,
    parse_source,
    source_kinds,
)
from alerting.definitions.wording.language import ENGLISH, in_english, template
from alerting.episodes.evaluation_plan import EvaluationTarget
from alerting.ports import (
    EpisodePorts,
    EventRow,
    NewestReading,
    PollReader,
    ReadingRow,
    Record,
    SourcePorts,
    SourceProgress,
    UpkeepPorts,
)
from alerting.readings.history import to_millis
from alerting.readings.unit_conversion import describe_relations
from alerting.readings.variable_series import SKEW, describe_doubtful, rough_duration
from alerting.usecases.document_life import DocumentKind, DocumentReview, StateChange
from alerting.usecases.episodes.mutes_and_suppression import suppressed_between
from alerting.usecases.sources.records import RefusedRow
from alerting.usecases.sources.store_rows import fit

SOURCES: DocumentKind[SourcePorts, Source] = DocumentKind(
    word="source",
    store=lambda plant: plant.sources,
    models=source_kinds,
    parse=parse_source,
    write=kind_document,
    applied=template("source applied"),
    acts={
        "pause": StateChange("paused", template("source paused")),
        "resume": StateChange("active", template("source active")),
        "retire": StateChange("retired", template("source retired")),
    },
    faults=lambda _, source: faults_when_applied(source),
    columns=("name", "kind", "delivers", "state"),
)


def subscribed_by_stream(reviews: Sequence[DocumentReview[Source]]) -> list[str]:
    """Return the new and changed sources to whose broker the stream service subscribes, by name."""
    sources = [review.read for review in reviews if review.action != "unchanged"]
    return [
        s.name
        for s in sources
        if isinstance(s, StreamedSource) and s.state == "active" and not s.is_sent_once
    ]


SERVICE = "alerting stream"
"""The actor of what the stream service changes."""


@dataclass(frozen=True)
class SourceStatus:
    """A source at one instant.

    `rows`, `refused`: so far. `newest`: time stamp; `lag`: now minus `newest`; `silent`: time since
    the last row came, or since the source was applied. `rate`: rows per minute over the last
    deliveries. `is_stale`: no row for `stale_after`, of an active source only. `is_stopped`: the
    stream service has paused it, because too many of its messages could not be stored. `lost`:
    values that were lost for ever, where they could be counted; `last_lost`: how they were lost,
    and `lost_at`: when that was noted. `read_by`: the reader of a polled source by its document;
    `polled_by`: the last reader, at `polled_at`; `unread`: the time since then. `after_now`: says
    by how much the newest or the last reading lies after now, else empty.
    """

    name: str
    title: str | None
    kind: str
    state: SourceState
    rows: int
    refused: int
    newest: datetime | None
    lag: timedelta | None
    silent: timedelta
    rate: float
    is_stale: bool
    is_stopped: bool
    fault: str | None
    last_refused: str | None
    last: Mapping[str, Any] | None
    lost: int = 0
    last_lost: str | None = None
    lost_at: datetime | None = None
    read_by: PolledBy | None = None
    polled_by: PollReader | None = None
    polled_at: datetime | None = None
    unread: timedelta | None = None
    after_now: str = ""


def source_statuses(plant: SourcePorts, now: datetime) -> list[SourceStatus]:
    """Return the status of every valid source, sorted by name. Writes nothing."""
    return [source_status(plant, source, now) for source in SOURCES.read(plant)[0]]


def source_status(plant: SourcePorts, source: Source, now: datetime) -> SourceStatus:
    """Return the status of a source. Silence counts from its last revision at the earliest, e.g.
    since the source was resumed.

    A source without a revision was written into the database just now.
    """
    revisions = plant.sources.revisions(source.name)
    progress = plant.deliveries.progress(source.name)
    since = max((revision.at for revision in revisions), default=now)
    silent = max(now - max(progress.arrived_at or since, since), timedelta(0))
    return SourceStatus(
        name=source.name,
        title=source.title,
        kind=source.kind,
        state=source.state,
        rows=progress.rows,
        refused=progress.refused,
        newest=progress.newest,
        lag=_lag(progress.newest, now),
        silent=silent,
        rate=_rate(progress, now),
        is_stale=source.state == "active" and silent > source.stale_after,
        is_stopped=source.state == "paused" and bool(revisions) and revisions[-1].actor == SERVICE,
        fault=progress.fault,
        last_refused=progress.last_refused,
        last=progress.last,
        lost=progress.lost,
        last_lost=progress.last_lost,
        lost_at=progress.lost_at,
        read_by=source.reader if isinstance(source, PolledFields) else None,
        polled_by=progress.polled_by,
        polled_at=progress.polled_at,
        unread=_lag(progress.polled_at, now),
        after_now=_describe_after_now(source, progress, now),
    )


def _describe_after_now(source: Source, progress: SourceProgress, now: datetime) -> str:
    """Say by how much the newest or the last reading of a source lies after now, if clocks do not
    explain the difference. Empty otherwise, and for events, which may be planned."""
    last = (progress.last or {}).get("ts")
    stamps = [at for at in (progress.newest, last) if isinstance(at, datetime)]
    ahead = max((at - now for at in stamps), default=SKEW)
    if ahead <= SKEW or source.delivers == "events":
        return ""
    return ENGLISH.say(
        "its newest reading lies {ahead} after now: a clock that is fast, or a wrong zone",
        ahead=rough_duration(ahead),
    )


def _lag(newest: datetime | None, now: datetime) -> timedelta | None:
    """Return how long ago an instant is; None without an instant."""
    return None if newest is None else max(now - newest, timedelta(0))


def _rate(progress: SourceProgress, now: datetime) -> float:
    """Return rows per minute since the first of the last deliveries, whose own rows do not count
    because they came before it."""
    if len(progress.recent) < 2:
        return 0.0
    seconds = (now - progress.recent[0].at).total_seconds()
    return sum(delivery.rows for delivery in progress.recent[1:]) / max(seconds, 1.0) * 60.0


SHOWN = 10


@dataclass(frozen=True)
class SourceTrial:
    """The first rows of a source as they would be stored, and refused ones. `read`: the number of
    rows looked at.

    `notes`: sentences on what was found, e.g. the format of a file.
    """

    source: str
    read: int
    rows: Sequence[Mapping[str, Any]]
    refused: Sequence[RefusedRow]
    notes: Sequence[str] = ()


def try_records(
    plant: SourcePorts,
    source: SourceFields,
    records: Sequence[Record],
    now: datetime | None = None,
) -> SourceTrial:
    """Return the first rows of records as they would be stored, and the first refused ones. `now`:
    the notes name readings after it."""
    fitted = fit(plant, source, records, source.name)
    rows = [*describe_rows(fitted.readings), *describe_rows(fitted.events)]
    return SourceTrial(
        source.name,
        len(records),
        rows[:SHOWN],
        fitted.refused[:SHOWN],
        [*doubtful_notes(fitted.readings, now), *describe_relations(fitted.relations)],
    )


def doubtful_notes(rows: Sequence[ReadingRow], now: datetime | None) -> Iterator[str]:
    """Yield sentences on readings far from all others, after now, and of one variable and instant
    with several values."""
    yield from describe_doubtful(np.array([to_millis(row.ts) for row in rows], np.int64), now)
    first: dict[tuple[str, datetime, str], object] = {}
    for row in rows:
        for name, value in row.values.items():
            if first.setdefault((row.asset, row.ts, name), value) != value:
                yield in_english(
                    "{name} of {asset} has several values at {at}, of which the last counts: if a "
                    "field tells them apart, name it in the source as variable, beside value",
                    name=name,
                    asset=row.asset,
                    at=row.ts,
                )
                return


def describe_rows(rows: Sequence[ReadingRow | EventRow]) -> Iterator[Mapping[str, Any]]:
    """Yield rows for people: asset and instant first, then the values, or type, end and
    attributes."""
    for row in rows:
        if isinstance(row, ReadingRow):
            yield {
                "asset": row.asset,
                "ts": row.ts,
                **row.values,
                **{f"{name} (quality)": q for name, q in row.quality.items()},
            }
        else:
            yield {
                "asset": row.asset,
                "ts": row.start,
                "type": row.type,
                "end": row.end,
                **row.attributes,
            }


# Suppressed times are looked up this far back: what is silent for longer is no holiday.
HOURS_BACK = timedelta(days=14)


@dataclass(frozen=True)
class AssetFreshness:
    """The newest reading of an asset of a target.

    `sampling`: declared interval of its fastest variable. `at_rest`: times since this reading in
    which all definitions on the asset are suppressed by design; they do not overlap.
    """

    asset: str
    line: str
    newest: NewestReading
    sampling: timedelta | None
    at_rest: tuple[Interval, ...] = ()


def asset_freshness(
    platform: UpkeepPorts,
    targets: Iterable[EvaluationTarget],
    suppressions: Mapping[str, Suppression | None],
    now: datetime,
) -> list[AssetFreshness]:
    """Return the newest readings of the assets of targets. `suppressions`: by definition."""
    newest = platform.readings.newest_readings(now)
    assets = platform.assets.all()
    used = defaultdict[str, set[Suppression | None]](set)
    for target in targets:
        used[target.asset].add(suppressions.get(target.definition))
    parents = {asset.name: asset.parent for asset in assets}
    fresh = []
    for asset in assets:
        if asset.name in used and asset.name in newest:
            ts = newest[asset.name].ts
            rests = (
                _find_rest(platform, asset.name, used[asset.name], max(ts, now - HOURS_BACK), now)
                if now - newest[asset.name].ts > platform.health_limits.source_stale
                else ()
            )
            fresh.append(
                AssetFreshness(
                    asset.name,
                    _line(asset.name, parents),
                    newest[asset.name],
                    min(
                        (v.sampling for v in asset.variables.values() if v.sampling is not None),
                        default=None,
                    ),
                    rests,
                )
            )
    return fresh


def _find_rest(
    platform: EpisodePorts,
    asset: str,
    suppressions: Collection[Suppression | None],
    start: datetime,
    end: datetime,
) -> tuple[Interval, ...]:
    """Return the times in which all definitions on an asset are suppressed; none if a definition
    has no suppression."""
    at_rest: list[Interval] = [(start, end)]
    for suppression in suppressions:
        if suppression is None:
            return ()
        of_one = [
            (s.start, s.end)
            for s in suppressed_between(platform, suppression.of_plant, asset, start, end)
        ]
        at_rest = intersection(at_rest, merge(of_one, start, end))
    return tuple(at_rest)


def _line(asset: str, parents: Mapping[str, str | None]) -> str:
    """Return the outermost asset above an asset, or its own name. A circle of assets ends the
    search."""
    passed = [asset]
    while (parent := parents.get(passed[-1])) in parents and parent not in passed:
        passed.append(str(parent))
    return passed[-1]
