"""Roll readings up into minutes and hours, as they arrive and back in time.

Writers and upkeep meet as writers and evaluators do: the instant up to which is rolled up is
announced before readings are read, so what a writer stores later at or before it leaves an arrival
record. The hours of such a record are stale until they are rolled up again.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from alerting.definitions.assets import Asset
from alerting.definitions.faults import UserError
from alerting.ports import Arrival, UpkeepPorts
from alerting.readings.buckets import DAY, HOUR, MINUTE, Buckets, merge_buckets
from alerting.readings.computed import lookback
from alerting.readings.history import (
    FIRST_INSTANT,
    LAST_INSTANT,
    duration_millis,
    from_millis,
    to_millis,
)
from alerting.readings.rollups import (
    Interval,
    RolledInterval,
    RollupSize,
    RollupState,
    basis_of,
    merge_intervals,
    pack,
    subtract,
)
from alerting.usecases.trends.samples import load_columns, samples_of

MOST_READINGS = 500_000
"""Instants that one run reads, so that it ends soon: a longer history takes several runs."""
_WAIT = timedelta(minutes=10)
"""After the end of an hour, for readings under way; later ones come as late data."""
_MOST_ARRIVALS = 10_000
_AT_ONCE = 50_000  # instants, and
_VARIABLES_AT_ONCE = 50


@dataclass
class RollupRun:
    """Progress of a run. `most`: instants that it reads at most, about; `rows`: those that it read;
    `behind`: assets with more to roll up; `faults`: why variables stay behind."""

    most: int
    rows: int = 0
    behind: set[str] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)

    @property
    def left(self) -> int:
        """Return how many instants may still be read."""
        return self.most - self.rows


def roll_up(platform: UpkeepPorts, as_of: datetime, most: int = MOST_READINGS) -> RollupRun:
    """Roll up what arrived since the last run: stale hours and new ones of every asset first, then
    history, newest first. Idempotent; an interrupted run goes on."""
    run = RollupRun(most)
    until = _hour(as_of - _WAIT)
    platform.arrivals.extend_evaluated_until(from_millis(until))
    newest = platform.readings.newest_readings()
    assets = [asset for asset in platform.assets.all() if asset.name in newest]
    arrivals = platform.arrivals.arrived_since(FIRST_INSTANT)
    states = platform.rollups.states()
    for asset in assets:
        end = min(until, _hour(newest[asset.name].ts) + HOUR)
        known = states.get(asset.name) or RollupState(asset.name, {})
        state = _with_arrivals(asset, _with_variables(platform, asset, known, end), arrivals)
        if state != known:
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
    left = {
        name: replace(span, start=max(span.start, first))
        for name, span in state.spans.items()
        if span.end > first
    }
    platform.rollups.store_state(replace(state, spans=left))
    return platform.rollups.forget(asset, first)


def _with_variables(
    platform: UpkeepPorts, asset: Asset, state: RollupState, end: int
) -> RollupState:
    """Return a state with a span of each variable; those that changed begin anew."""
    spans = {}
    for name in asset.variables:
        basis = basis_of(asset, name)
        known = state.spans.get(name)
        is_good = known is not None and known.basis == basis
        spans[name] = known if known and is_good else RolledInterval(basis, end, end)
    if changed := [name for name, span in state.spans.items() if spans.get(name) != span]:
        # first, so that no other state has what is deleted
        platform.rollups.store_state(replace(state, spans=_without(state.spans, changed)))
        platform.rollups.forget(asset.name, to_millis(LAST_INSTANT), changed)
    return replace(state, spans=spans)


def _without(
    spans: Mapping[str, RolledInterval], names: Iterable[str]
) -> dict[str, RolledInterval]:
    gone = set(names)
    return {name: span for name, span in spans.items() if name not in gone}


def _with_arrivals(asset: Asset, state: RollupState, arrivals: Sequence[Arrival]) -> RollupState:
    """Return a state with the hours of new arrival records as stale, where they are rolled up.

    That of a writer which has not ended is taken again in every run, until it counts as ended.
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
        arrivals=tuple(taken[-_MOST_ARRIVALS:]),
    )


def _roll_new(
    platform: UpkeepPorts, asset: Asset, state: RollupState, end: int, run: RollupRun
) -> RollupState:
    """Roll up stale hours, and those after the end of each variable, oldest first."""
    for start, last in state.stale:
        first = start
        pace = _Pace()
        while first < last and run.left > 0:
            until = min(last, first + pace.length)
            names = [n for n, of in state.spans.items() if of.start < until and first < of.end]
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
    """Roll up the history before the beginning of each variable, newest first."""
    times = platform.readings.span(asset.name)
    first = _hour(times[0]) if times else 0
    stuck: set[str] = set()
    pace = _Pace()
    while True:
        starts = {n: of.start for n, of in state.spans.items() if of.start > first}
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
    """How long a time (ms) is read at once: of dense readings less."""

    length: int = HOUR

    def adapt(self, rows: int) -> None:
        """Take the number of instants of the last time for the next one."""
        if rows > _AT_ONCE:
            self.length = max(HOUR, self.length // 2 // HOUR * HOUR)
        elif rows * 2 < _AT_ONCE:
            self.length = min(DAY, self.length * 2)


def _roll(
    platform: UpkeepPorts,
    asset: Asset,
    names: Sequence[str],
    span: Interval,
    run: RollupRun,
    pace: _Pace,
) -> set[str]:
    """Roll variables up over whole hours; return those without a fault."""
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
        hours = {name: merge_buckets(found, HOUR) for name, found in minutes.items()}
        of_sizes: tuple[tuple[RollupSize, Mapping[str, Buckets]], ...]
        of_sizes = (("minutes", minutes), ("hours", hours))
        for size, buckets in of_sizes:
            parts = {name: pack(found, size, *span) for name, found in buckets.items()}
            platform.rollups.store(asset.name, size, parts)
        done |= minutes.keys()
    pace.adapt(rows)
    run.rows = run.rows + rows
    return done


def _hour(at: datetime) -> int:
    return to_millis(at) // HOUR * HOUR
