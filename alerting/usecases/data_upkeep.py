"""Upkeep of stored data: old unused data are deleted, and readings are rolled up into minutes and
hours, as they arrive and back in time. Actions and decisions of people stay.

Writers and the upkeep work together as writers and evaluators do: the instant up to which readings
will be rolled up is stored before readings are read, so a writer that stores later readings at or
before it leaves an arrival record. The hours of such a record are stale until they are rolled up
again.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from alerting.definitions.alert_definition import ModelDefinition, matching_assets
from alerting.definitions.asset_documents import Asset, AssetTree
from alerting.definitions.faults import UserError
from alerting.definitions.wording.language import template
from alerting.episodes.episode import Episode
from alerting.ports import (
    Arrival,
    Decisions,
    Definitions,
    DeliveryPorts,
    EpisodePorts,
    Models,
    PastEvaluations,
    Swept,
    UpkeepPorts,
)
from alerting.readings.buckets import (
    HOUR,
    MINUTE,
    Buckets,
    Interval,
    RolledInterval,
    RollupSize,
    RollupState,
    basis_of,
    merge_buckets,
    merge_intervals,
    pack,
    subtract,
)
from alerting.readings.history import (
    DAY_MS,
    FIRST_INSTANT,
    LAST_INSTANT,
    duration_millis,
    from_millis,
    lookback,
    to_millis,
)
from alerting.stores.database.sweeps import Log, Sweeps
from alerting.usecases.alarm_load.budget_gate import check_edited, checked_subjects
from alerting.usecases.definitions.revisions_and_evaluation_plan import current_plan, sync
from alerting.usecases.definitions.versions import active
from alerting.usecases.document_life import audit_edits
from alerting.usecases.episodes.outcomes import determine_due_outcomes
from alerting.usecases.evaluation.rounds import close_orphans
from alerting.usecases.health.platform_health import check_platform
from alerting.usecases.notification.routing import ROUTES, correct_if_known_late, opening_keys
from alerting.usecases.sink_delivery import SINKS, read_sinks
from alerting.usecases.sources.status import SOURCES
from alerting.usecases.trend_samples import load_columns, samples_of

MOST_READINGS = 500_000
"""Instants that one run reads, so that it ends soon: a longer history takes several runs."""
_AT_ONCE = 50_000  # instants, and
_VARIABLES_AT_ONCE = 50


@dataclass
class RollupRun:
    """Progress of a run. `most`: about the most instants that it reads; `rows`: instants read so
    far; `behind`: assets with more to roll up; `faults`: why variables stay behind."""

    most: int
    rows: int = 0
    behind: set[str] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)

    @property
    def left(self) -> int:
        """Return how many instants may still be read."""
        return self.most - self.rows


def roll_up(platform: UpkeepPorts, as_of: datetime, most: int = MOST_READINGS) -> RollupRun:
    """Roll up the readings that arrived since the last run: first stale hours and new hours of
    every asset, then history, newest first. Idempotent; an interrupted run goes on."""
    run = RollupRun(most)
    # for readings under way; later ones come as late data
    until = _hour(as_of - timedelta(minutes=10))
    platform.arrivals.extend_evaluated_until(from_millis(until))
    newest = platform.readings.newest_readings()
    assets = [asset for asset in platform.assets.all() if asset.name in newest]
    arrivals = platform.arrivals.arrived_since(FIRST_INSTANT)
    states = platform.rollups.states()
    for asset in assets:
        end = min(until, _hour(newest[asset.name].ts) + HOUR)
        stored = states.get(asset.name) or RollupState(asset.name, {})
        state = _with_arrivals(asset, _with_variables(platform, asset, stored, end), arrivals)
        if state != stored:
            platform.rollups.store_state(state)
        states[asset.name] = _roll_new(platform, asset, state, end, run)
    for asset in assets:
        _roll_back(platform, asset, states[asset.name], run)
    return run


def forget_rollups(platform: UpkeepPorts, asset: str) -> int:
    """Delete the rollups of readings that are deleted; return how many documents."""
    state = platform.rollups.state(asset)
    if state is None:
        return 0
    times = platform.readings.span(asset)
    first = _hour(times[0] if times else LAST_INSTANT)
    if all(span.start >= first for span in state.spans.values()):
        return 0
    remaining = {
        name: replace(span, start=max(span.start, first))
        for name, span in state.spans.items()
        if span.end > first
    }
    platform.rollups.store_state(replace(state, spans=remaining))
    return platform.rollups.forget(asset, first)


def _with_variables(
    platform: UpkeepPorts, asset: Asset, state: RollupState, end: int
) -> RollupState:
    """Return a state with a span of each variable; the span of a changed variable begins anew."""
    spans = {}
    for name in asset.variables:
        basis = basis_of(asset, name)
        rolled = state.spans.get(name)
        is_good = rolled is not None and rolled.basis == basis
        spans[name] = rolled if rolled and is_good else RolledInterval(basis, end, end)
    unchanged = {name: span for name, span in state.spans.items() if spans.get(name) == span}
    changed = [name for name in state.spans if name not in unchanged]
    if changed:
        # first, so that no other state has what is deleted
        platform.rollups.store_state(replace(state, spans=unchanged))
        platform.rollups.forget(asset.name, to_millis(LAST_INSTANT), changed)
    return replace(state, spans=spans)


def _with_arrivals(asset: Asset, state: RollupState, arrivals: Sequence[Arrival]) -> RollupState:
    """Return a state in which the rolled-up hours of new arrival records are stale.

    A record whose writer has not ended is taken again in every run, until the writer counts as
    ended.
    """
    start = min((span.start for span in state.spans.values()), default=0)
    end = max((span.end for span in state.spans.values()), default=0)
    reach = -(-duration_millis(lookback(asset, asset.variables)) // HOUR) * HOUR
    taken: list[str] = []
    stale = list(state.stale)
    for arrival in arrivals:
        parts = [p for p in arrival.parts if p.asset == asset.name and p.variables]
        key = arrival.id if arrival.written else f"{arrival.id} unfinished"
        if parts and (arrival.written or arrival.routed_at is not None):
            taken.append(key)
        if key not in state.arrivals:
            stale += [(_hour(part.first), _hour(part.last) + HOUR + reach) for part in parts]
    inside = [(max(start, a), min(end, b)) for a, b in stale]
    return replace(
        state,
        stale=merge_intervals(span for span in inside if span[0] < span[1]),
        arrivals=tuple(taken[-10_000:]),
    )


def _roll_new(
    platform: UpkeepPorts, asset: Asset, state: RollupState, end: int, run: RollupRun
) -> RollupState:
    """Roll up stale hours, and the hours after the end of each variable's span, oldest first."""
    for start, last in state.stale:
        first = start
        pace = _Pace()
        while first < last and run.left > 0:
            until = min(last, first + pace.length)
            names = [
                n
                for n, rolled in state.spans.items()
                if rolled.start < until and first < rolled.end
            ]
            if _roll(platform, asset, names, (first, until), run, pace) == set(names):
                state = replace(state, stale=tuple(subtract(state.stale, [(first, until)])))
                platform.rollups.store_state(state)
            first = until
    for since in sorted({span.end for span in state.spans.values() if span.end < end}):
        names = [name for name, span in state.spans.items() if span.end == since]
        pace = _Pace()
        first = since
        while first < end and names and run.left > 0:
            until = min(end, first + pace.length)
            done = _roll(platform, asset, names, (first, until), run, pace)
            names = [name for name in names if name in done]
            grown = {name: replace(state.spans[name], end=until) for name in names}
            state = replace(state, spans={**state.spans, **grown})
            platform.rollups.store_state(state)
            first = until
    if state.stale or any(span.end < end for span in state.spans.values()):
        run.behind.add(asset.name)
    return state


def _roll_back(platform: UpkeepPorts, asset: Asset, state: RollupState, run: RollupRun) -> None:
    """Roll up the history before the beginning of each variable's span, newest first."""
    times = platform.readings.span(asset.name)
    first = _hour(times[0]) if times else 0
    stuck: set[str] = set()
    pace = _Pace()
    while True:
        starts = {n: rolled.start for n, rolled in state.spans.items() if rolled.start > first}
        waiting = starts.keys() - stuck
        if not waiting or run.left <= 0:
            break
        until = max(starts[name] for name in waiting)
        names = [name for name in waiting if starts[name] == until]
        begin = max(first, until - pace.length, *(starts[n] for n in waiting if starts[n] < until))
        before = run.rows
        done = _roll(platform, asset, names, (begin, until), run, pace)
        stuck |= set(names) - done
        if run.rows == before:  # as between readings of a wrong clock and the others
            older = platform.readings.newest_readings(from_millis(begin - 1), [asset.name])
            begin = _hour(older[asset.name].ts) + HOUR if older else first
        grown = {name: replace(state.spans[name], start=min(begin, until)) for name in done}
        state = replace(state, spans={**state.spans, **grown})
        platform.rollups.store_state(state)
    if starts:
        run.behind.add(asset.name)


@dataclass
class _Pace:
    """How long a time (ms) is read at once: a shorter one if readings are dense."""

    length: int = HOUR

    def adapt(self, rows: int) -> None:
        """Adapt the next length of time to the number of instants in the last one."""
        if rows > _AT_ONCE:
            self.length = max(HOUR, self.length // 2 // HOUR * HOUR)
        elif rows * 2 < _AT_ONCE:
            self.length = min(DAY_MS, self.length * 2)


def _roll(
    platform: UpkeepPorts,
    asset: Asset,
    names: Sequence[str],
    span: Interval,
    run: RollupRun,
    pace: _Pace,
) -> set[str]:
    """Roll variables up over whole hours; return the variables without a fault."""
    done: set[str] = set()
    rows = 0
    for start in range(0, len(names), _VARIABLES_AT_ONCE):
        some = names[start : start + _VARIABLES_AT_ONCE]
        try:
            columns = load_columns(platform.readings, asset, some, *span)
        except UserError as fault:
            run.faults.append(str(fault))
            continue
        rows += len(columns.ts)
        run.faults += columns.faults.values()
        minutes = {
            name: merge_buckets(samples_of(asset, name, columns), MINUTE) for name in columns.values
        }
        hours = {name: merge_buckets(of_variable, HOUR) for name, of_variable in minutes.items()}
        of_sizes: tuple[tuple[RollupSize, Mapping[str, Buckets]], ...]
        of_sizes = (("minutes", minutes), ("hours", hours))
        for size, buckets in of_sizes:
            parts = {name: pack(of_variable, size, *span) for name, of_variable in buckets.items()}
            platform.rollups.store(asset.name, size, parts)
        done |= minutes.keys()
    pace.adapt(rows)
    run.rows = run.rows + rows
    return done


def _hour(at: datetime) -> int:
    return to_millis(at) // HOUR * HOUR


# readings before a raise that evaluation, explanation or chart may read
_BEFORE_EPISODE = timedelta(days=30)
_EVER = datetime.fromtimestamp(0, UTC)
_FAR = timedelta(days=3650)  # no outcome is due later


def retain(
    platform: UpkeepPorts, as_of: datetime, dry: bool = False, actor: str = "platform"
) -> list[Swept]:
    """Delete data that are older than their retention; with `dry` only return how much that is.
    Idempotent.

    Readings stay that an open episode, a pending outcome or a training period with a date needs, or
    that late readings could still evaluate again. The registry keeps every version that was in
    service, with its twin, its runs and its data.
    """
    lasts = platform.retention
    lateness = max(
        (target.allowed_lateness for target in current_plan(platform).targets), default=0
    )
    # late readings may need what is a day older
    latest = as_of - timedelta(milliseconds=lateness) - timedelta(days=1)
    limits = {name: min(as_of - last, latest) for name, last in vars(lasts).items()}
    needed = [
        *platform.episodes.find(open_only=True),
        *platform.episodes.with_due_outcomes(as_of + _FAR),
    ]
    swept = [
        *(
            platform.sweeps.readings(asset, limit, dry=dry)
            for asset, limit in _limits(platform, needed, limits["readings"]).items()
        ),
        *_scores(
            platform.definitions,
            platform.past_evaluations,
            platform.sweeps,
            needed,
            limits["scores"],
            dry,
        ),
        _notifications(platform, limits["notifications"], dry),
        *_logs(
            platform.definitions,
            platform.sweeps,
            limits["audit"],
            ("audit", "platform_alerts"),
            dry,
        ),
        *_logs(
            platform.definitions, platform.sweeps, limits["reports"], ("reports", "backtests"), dry
        ),
        *_logs(platform.definitions, platform.sweeps, limits["scores"], ("past_evaluations",), dry),
        *_models(platform.definitions, platform.decisions, platform.models, limits["models"], dry),
    ]
    if not dry:
        for asset in platform.rollups.states():
            forget_rollups(platform, asset)
    totals = _totals(swept)
    deleted = {total.kind: total.documents for total in totals if total.documents}
    if deleted and not dry:
        before = {"documents": deleted}
        platform.audit.add(actor, template("old documents deleted"), "retention", as_of, before)
    return totals


def _limits(
    platform: EpisodePorts, needed: Sequence[Episode], before: datetime
) -> dict[str, datetime]:
    """Return, by asset, the instant before which nothing in use reads readings; at most
    `before`."""
    assets = platform.assets.all()
    by_name = {asset.name: asset for asset in assets}
    # also of assets that are no longer defined
    limits = dict.fromkeys([*by_name, *platform.readings.newest_readings()], before)
    read_from = [
        (by_name.get(e.asset, Asset(name=e.asset)), e.raised_at - _BEFORE_EPISODE) for e in needed
    ]
    for revision in active(platform.definitions):
        if (
            isinstance(revision.definition, ModelDefinition)
            and (first := revision.definition.learns_from) is not None
        ):
            read_from += [(asset, first) for asset in matching_assets(revision.definition, assets)]
    tree = AssetTree(assets)
    for asset, first in read_from:
        for above in tree.asset_and_ancestors(asset):
            limits[above.name] = min(limits.get(above.name, before), first)
    return limits


def _scores(
    definitions: Definitions,
    past_evaluations: PastEvaluations,
    sweeps: Sweeps,
    needed: Sequence[Episode],
    before: datetime,
    dry: bool,
) -> Iterable[Swept]:
    """Yield counts of deleted scores; scores of past evaluations stay as long as their record."""
    for revision in definitions.latest_revisions():
        if isinstance(revision.definition, ModelDefinition):
            raised = [e.raised_at for e in needed if e.definition == revision.name]
            evaluated = [
                past.start
                for past in past_evaluations.for_definition(revision.name)
                if past.at >= before
            ]
            yield sweeps.scores(revision.name, min([before, *raised, *evaluated]), dry=dry)


def _notifications(platform: DeliveryPorts, before: datetime, dry: bool) -> Swept:
    """Delete finished notifications; notifications of an episode only long after its end."""
    recent = [alarm.id for alarm in platform.episodes.alarms(before, before, active_from=_EVER)]
    return Swept(
        "notifications",
        platform.notifications.forget(
            before, recent, opening_keys(platform.channels, platform.platform_alerts), dry=dry
        ),
        None,
    )


def _logs(
    definitions: Definitions, sweeps: Sweeps, before: datetime, logs: Sequence[Log], dry: bool
) -> Iterable[Swept]:
    """Delete old records, except checks of the budget, which would be made again."""
    keep = checked_subjects(definitions)
    return [
        sweeps.log(log, before, keep if log == "platform_alerts" else (), dry=dry) for log in logs
    ]


def _models(
    definitions: Definitions, decisions: Decisions, models: Models, before: datetime, dry: bool
) -> Iterable[Swept]:
    for revision in definitions.latest_revisions():
        if isinstance(revision.definition, ModelDefinition):
            name = revision.name
            served = {d.challenger_version for d in decisions.for_definition(name) if d.promoted}
            aliases = models.aliases(name)
            served |= {aliases.get(alias) for alias in ("champion", "previous", "challenger")}
            keep = {version for version in served if version is not None}
            yield from models.forget(name, keep, before, dry=dry)


def _totals(swept: Iterable[Swept]) -> list[Swept]:
    totals: dict[str, Swept] = {}
    for part in swept:
        before = totals.get(part.kind, Swept(part.kind, 0, 0))
        size = None if part.bytes is None or before.bytes is None else before.bytes + part.bytes
        totals[part.kind] = Swept(part.kind, before.documents + part.documents, size)
    return list(totals.values())


def maintain(platform: UpkeepPorts, as_of: datetime) -> dict[str, Any]:
    """Do the upkeep that is due. Return counts and findings by name. Idempotent."""
    synced = sync(platform, as_of)
    rolled = roll_up(platform, as_of)  # before the records of arrivals are forgotten
    read_sinks(platform, as_of)  # those written to the database begin
    longest = max((target.allowed_lateness for target in current_plan(platform).targets), default=0)
    now = max(as_of, platform.clock.now())  # a run that is repeated, or came late
    return {
        "edited_documents": audit_edits(platform, as_of),
        "new_revisions": [f"{r.name} r{r.number}" for r in synced.new],
        "over_budget": check_edited(platform, as_of),
        "edited_sources": SOURCES.record_edits(platform, as_of),
        "edited_sinks": SINKS.record_edits(platform, as_of),
        "faulty": synced.faulty,
        "closed": close_orphans(platform, as_of),
        "determined": determine_due_outcomes(platform, as_of, correct_if_known_late),
        "rolled_up": rolled.rows,
        "not_rolled_up": sorted(set(rolled.faults))[:20],
        "forgotten_late": platform.arrivals.forget(
            as_of - max(timedelta(milliseconds=longest), timedelta(days=1))
        ),
        "dead_letters": len(platform.notifications.dead()),
        "faulty_routes": ROUTES.read(platform)[1],
        "faults": [f"{f.kind}: {f.subject}" for f in check_platform(platform, now)],
    }
