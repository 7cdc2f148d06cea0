"""Evaluate a block of pairs: fetch readings once, move on together what stays as it is, judge the other pairs one by one.

Order of writes: the episodes of every pair first, then the states of all, each pair only if nobody else has moved it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import numpy as np

from alerting.definitions.assets import Asset
from alerting.definitions.faults import Refused
from alerting.definitions.matching import AssetIndex
from alerting.definitions.model import Revision
from alerting.detection.throughout import LimitColumns, ending_words, judge_throughout
from alerting.episodes.lifecycle import SpellState
from alerting.episodes.spell_table import NEVER, SpellTable, moved_on, stay
from alerting.pipelines.block_readings import BlockReadings
from alerting.pipelines.in_force import first_instant, segments
from alerting.pipelines.judging import Judgement, ModelShelf, judge_pair
from alerting.pipelines.keeping import Kept, keep_live
from alerting.pipelines.keeping_late import keep_rejudged
from alerting.pipelines.ports import Platform, Wanted
from alerting.pipelines.rejudge import Advance, Again, LateRound, due_checkpoints, is_due, settle_debts, starting_state
from alerting.pipelines.watchlist import Watch
from alerting.readings.history import Millis, from_millis, to_millis
from alerting.readings.packed import Flags, extents

_MOMENT = timedelta(milliseconds=1)


@dataclass
class EvaluationCounts:
    """What one run of evaluation did. `unknown` maps `definition on asset` to the reason.

    `unreadable` maps definitions whose champion could not be read to why. `late`: rows found that came after their time was
    judged; `too_late`: those of them that were older than every mutability.
    """

    pairs: int = 0
    raised: int = 0
    closed: int = 0
    elsewhere: int = 0
    settled: int = 0
    unknown: dict[str, str] = field(default_factory=dict)
    outdated: int = 0
    unreadable: dict[str, str] = field(default_factory=dict)
    late: int = 0
    too_late: int = 0


@dataclass(frozen=True)
class Run:
    """One run of evaluation up to `as_of`, and what it has found so far. `histories`: all revisions by definition, as needed."""

    platform: Platform
    as_of: datetime
    assets: AssetIndex
    shelf: ModelShelf
    counts: EvaluationCounts
    late: LateRound = field(default_factory=LateRound)
    histories: dict[str, list[Revision]] = field(default_factory=dict)

    def fetch_revisions(self, names: set[str]) -> None:
        """Have all revisions of these definitions in `histories`."""
        missing = names - self.histories.keys()
        if missing:
            self.histories.update(self.platform.definitions.histories(missing))


@dataclass(frozen=True)
class Block:
    """Pairs to evaluate together. `starts`: per row, the watermark, or when it was first in service (ms)."""

    watched: Sequence[Watch]
    before: SpellTable
    starts: Millis

    def until(self, row: int, as_of: datetime) -> datetime:
        """Up to when a pair is judged: as_of, less the time that its readings take to reach us."""
        return as_of - timedelta(milliseconds=self.watched[row].latency)


def starts_of(run: Run, watched: Sequence[Watch], spells: SpellTable) -> Millis:
    """From when on each pair is to be judged: its watermark, or else when its definition was first put in service."""
    run.fetch_revisions({watched[row].definition for row in np.flatnonzero(spells.watermark == NEVER).tolist()})
    starts = spells.watermark.copy()
    for row in np.flatnonzero(starts == NEVER).tolist():
        starts[row] = to_millis(first_instant(run.histories[watched[row].definition]) or run.as_of)
    return starts


def evaluate_block(run: Run, block: Block) -> None:
    """Evaluate pairs up to the run's instant, and add to its counts."""
    readings = _fetch(run, block)
    after = block.before.take(range(len(block.before)))
    staying = _move_on_together(run, block, readings, after)
    others = sorted(set(range(len(block.before))) - set(staying))
    run.fetch_revisions({block.watched[row].definition for row in others})
    kept, again = {}, {}
    for row in others:
        kept[row], again[row] = _judge_and_keep(run, readings, block, row)
        after.put(row, kept[row].state)
    moved = run.platform.states.advance_many(block.before, after)
    _look_after_late(run, block, after, moved, again)
    _owe_what_was_lost(run, block, moved, kept, again)
    _count(run.counts, block, after, kept, moved)


def _fetch(run: Run, block: Block) -> BlockReadings:
    """The readings of every asset and variable that a threshold is for, from where the first of them wants it."""
    variables: dict[str, dict[str, None]] = {}
    starts: dict[str, int] = {}
    for watch, start in zip(block.watched, block.starts.tolist(), strict=True):
        if watch.variable is not None:
            variables.setdefault(watch.asset, {})[watch.variable] = None
            starts[watch.asset] = min(start - watch.lookback, starts.get(watch.asset, start))
    wanted = [Wanted(run.assets[name], tuple(variables[name]), from_millis(starts[name])) for name in variables]
    return BlockReadings(run.platform.readings, wanted, run.as_of)


def _move_on_together(run: Run, block: Block, readings: BlockReadings, after: SpellTable) -> list[int]:
    """Write the new states of the pairs that stay as they are into `after`; returns their rows."""
    packed, places = readings.packed()
    rows = [row for row, watch in enumerate(block.watched) if _is_simple(run, block, row) and watch.series in places]
    if not rows:
        return []
    watched, spells = [block.watched[row] for row in rows], _begun(block, rows)
    begin = spells.watermark + 1
    end = to_millis(run.as_of) + 1 - np.array([watch.latency for watch in watched])
    series = np.array([places[watch.series] for watch in watched])
    limits = LimitColumns([watch.limits for watch in watched if watch.limits])
    severities = [watch.severities for watch in watched]
    found = judge_throughout(limits, spells.carried(severities), extents(packed, series, begin, end), begin, end)
    unknown = ending_words(found, [watch.variable or "" for watch in watched], limits)
    moved = moved_on(spells, found, unknown, end - 1)
    staying = np.flatnonzero(stay(spells, severities, found)).tolist()
    after.put_rows([rows[i] for i in staying], moved.take(staying))
    return [rows[i] for i in staying]


def _is_simple(run: Run, block: Block, row: int) -> bool:
    """Whether a pair is judged by limits that can be compared, and goes on under the revision under which it was judged before;
    or begins under its first one."""
    watch, spells = block.watched[row], block.before
    if watch.limits is None or watch.pair in run.late.debts:
        return False
    if spells.watermark[row] == NEVER:
        return len(watch.severities) == 1 and len(run.histories[watch.definition]) == 1
    return bool(watch.since < spells.watermark[row] and spells.at[row] != NEVER and spells.variable[row] == watch.variable)


def _begun(block: Block, rows: Sequence[int]) -> SpellTable:
    """The states from which pairs go on; one that was never evaluated waits for its first reading."""
    spells, starts = block.before.take(rows), block.starts[np.asarray(rows)]
    new = spells.watermark == NEVER
    spells.watermark[new], spells.at[new], spells.since[new] = starts[new], starts[new], starts[new]
    for i in np.flatnonzero(new).tolist():
        spells.variable[i] = block.watched[rows[i]].variable
    return spells


def _judge_and_keep(run: Run, readings: BlockReadings, block: Block, row: int) -> tuple[Kept, Again | None]:
    """Judge one pair reading by reading and keep its episodes; the state to keep comes back with what was done."""
    watch = block.watched[row]
    revision, asset = run.histories[watch.definition][-1], run.assets[watch.asset]
    state = block.before.state(row) or SpellState(watermark=from_millis(block.starts[row]))
    first = first_instant(run.histories[watch.definition]) or state.watermark
    begun = starting_state(run.platform, run.late, revision, asset, state, first)
    again = _judge(run, readings, revision, asset, begun, state.watermark)
    if again.state.watermark < state.watermark:  # a model, or a value, that cannot be read: tried again next time
        run.late.debts.pop(watch.pair)
        again, begun = Judgement(state), state
    judged = _judge(run, readings, revision, asset, again.state, block.until(row, run.as_of))
    rejudged = Kept(again.state)
    if begun is not state:
        rejudged = keep_rejudged(run.platform, revision, asset, again, judged, begun, run.as_of)
    kept = keep_live(run.platform, revision, asset, judged, run.as_of)
    if judged.unreadable:
        run.counts.unreadable[revision.name] = judged.unreadable
    kept = replace(
        kept,
        state=_note_unknown(kept.state, state, judged.unknown),
        raised=kept.raised + rejudged.raised,
        outdated=rejudged.outdated,
    )
    return kept, None if begun is state else Again(begun.watermark, again.state)


def _judge(run: Run, readings: BlockReadings, revision: Revision, asset: Asset, state: SpellState, until: datetime) -> Judgement:
    """By what was in force. A stored value that is none holds its pair back, and is the reason why it is unknown."""
    if state.watermark >= until:
        return Judgement(state)
    is_model = revision.definition.kind != "threshold"
    decisions = run.platform.decisions.of(revision.name) if is_model else []
    parts = segments(run.histories[revision.name], decisions, state.watermark, until)
    platform = run.platform if is_model else replace(run.platform, readings=readings)
    try:
        return judge_pair(platform, run.shelf, revision, asset, state, parts)
    except Refused as refusal:
        return Judgement(state, unknown=str(refusal))


def _look_after_late(run: Run, block: Block, after: SpellTable, moved: Flags, again: Mapping[int, Again | None]) -> None:
    """Pay the debts of the pairs that were moved, and keep states from which late data can be judged again."""
    advances = []
    for row in np.flatnonzero(moved & (after.watermark > block.starts)).tolist():
        watch, begun = block.watched[row], again.get(row)
        to = int(after.watermark[row])
        if begun is None and watch.pair not in run.late.debts and not is_due(watch, int(block.starts[row]), to):
            continue
        advance = Advance(watch, from_millis(block.starts[row]), from_millis(to), block.before.state(row), begun)
        advances.append(advance)
        if watch.pair in run.late.debts:
            revision, asset = run.histories[watch.definition][-1], run.assets[watch.asset]
            settle_debts(run.platform, run.late, revision, asset, advance)
    run.platform.checkpoints.save(due_checkpoints(advances))


def _owe_what_was_lost(run: Run, block: Block, moved: Flags, kept: Mapping[int, Kept], again: Mapping[int, Again | None]) -> None:
    """Whoever moved a watermark before us may have seen other readings than we, who have kept episodes and corrections."""
    owed = {}
    for row in np.flatnonzero(~moved).tolist():
        begun, one = again.get(row), kept.get(row)
        if begun is not None:
            owed[block.watched[row].pair] = begun.begun + _MOMENT
        elif one is not None and (one.raised or one.closed):
            owed[block.watched[row].pair] = from_millis(block.starts[row])
    run.platform.arrivals.owe(owed)


def _note_unknown(after: SpellState, before: SpellState, reason: str | None) -> SpellState:
    return replace(after, unknown_count=before.unknown_count + 1 if reason else 0, unknown_reason=reason)


def _count(counts: EvaluationCounts, block: Block, after: SpellTable, kept: Mapping[int, Kept], moved: Flags) -> None:
    counts.pairs += int(moved.sum())
    counts.elsewhere += int((~moved).sum())
    counts.raised += sum(one.raised for row, one in kept.items() if moved[row])
    counts.closed += sum(one.closed for row, one in kept.items() if moved[row])
    counts.outdated += sum(one.outdated for row, one in kept.items() if moved[row])
    for watch, reason in zip(block.watched, after.unknown_reason, strict=True):
        if reason is not None:
            counts.unknown[f"{watch.definition} on {watch.asset}"] = reason
