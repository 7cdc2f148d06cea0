"""Judging again: a pair that owes it begins its next evaluation where late data lead back to, instead of at its watermark.

Everything is judged by the same functions, from a state kept in the past, so that the state after it is that of a run to which
nothing came late. A debt is paid only after the watermark has moved: whatever dies or races before is done again.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from alerting.definitions.assets import Asset
from alerting.definitions.model import Revision
from alerting.episodes.lifecycle import SpellState
from alerting.episodes.spell_table import Pair
from alerting.pipelines.arrivals import LateCounts, route_arrivals
from alerting.pipelines.ports import Platform
from alerting.pipelines.ports.late import Checkpoint, Debt
from alerting.pipelines.settle import update
from alerting.pipelines.watchlist import Watch
from alerting.readings.history import to_millis

_CHECKPOINTS = 48  # within the mutability: every half hour for a day
_SHORTEST = 60_000  # ms
_TURNS = 2**32
_MOMENT = timedelta(milliseconds=1)


@dataclass(frozen=True)
class LateRound:
    """What a round of evaluation has to judge again, and what of it is done."""

    counts: LateCounts = field(default_factory=LateCounts)
    debts: dict[Pair, Debt] = field(default_factory=dict)
    paid: list[Debt] = field(default_factory=list)


def begin_round(platform: Platform, names: Sequence[str], as_of: datetime) -> LateRound:
    """Before anything is read: say how far will be judged, and find what these definitions owe."""
    platform.arrivals.extend_reach(as_of)
    counts = route_arrivals(platform, as_of)
    return LateRound(counts, platform.arrivals.debts(names))


def end_round(platform: Platform, late: LateRound) -> None:
    """Forget the debts that are paid."""
    if late.paid:
        platform.arrivals.paid(late.paid)


def starting_state(
    platform: Platform, late: LateRound, revision: Revision, asset: Asset, state: SpellState, first: datetime
) -> SpellState:
    """The state to judge on from: the present one, or an earlier one if the pair has to judge again.

    `first`: when the definition began. Where nothing old enough is kept, the earliest state that is.
    """
    debt = late.debts.get((revision.name, asset.name))
    if debt is None or debt.start > state.watermark:
        return state
    kept = platform.checkpoints.before(revision.name, asset.name, debt.start)
    if kept is None and state.watermark - first <= 2 * revision.definition.mutability:
        kept = SpellState(watermark=first)
    if kept is None:
        kept = platform.checkpoints.after(revision.name, asset.name, debt.start)
    return kept if kept is not None and kept.watermark < state.watermark else state


@dataclass(frozen=True)
class Again:
    """A pair that was judged again: from where on, and its state at the watermark as it ought to have been."""

    begun: datetime
    state: SpellState


@dataclass(frozen=True)
class Advance:
    """A pair whose watermark has moved from that of `before` (None: from `start`, when it began) to `to`."""

    watch: Watch
    start: datetime
    to: datetime
    before: SpellState | None
    again: Again | None = None


def settle_debts(platform: Platform, late: LateRound, revision: Revision, asset: Asset, advance: Advance) -> None:
    """After the watermark has moved: what was kept of the stretch that was judged again is wrong, and the debt is paid."""
    debt = late.debts[revision.name, asset.name]
    if advance.again is not None:
        platform.checkpoints.drop(revision.name, asset.name, advance.again.begun + _MOMENT)
        _look_again_at_outcomes(platform, revision, asset, debt.start, advance.to)
    late.paid.append(debt)


def due_checkpoints(advances: Iterable[Advance]) -> list[Checkpoint]:
    """States to keep: where watermarks were before they moved, once in a forty-eighth of the mutability; pairs take turns."""
    kept = []
    for advance in advances:
        watch, state = advance.watch, advance.again.state if advance.again else advance.before
        begun, ended = (advance.again.begun, advance.start) if advance.again else (advance.start, advance.to)
        if is_due(watch, to_millis(begun), to_millis(ended)):
            state = state or SpellState(watermark=advance.start)
            needed_from = advance.to - timedelta(milliseconds=watch.mutability)
            kept.append(Checkpoint(watch.definition, watch.asset, state, needed_from))
    return kept


def is_due(watch: Watch, before: int, after: int) -> bool:
    """Whether a state is to be kept when judging goes from one instant to another (ms)."""
    if not watch.mutability:
        return False
    step = max(watch.mutability // _CHECKPOINTS, _SHORTEST)
    return (before + watch.turn * step // _TURNS) // step != (after + watch.turn * step // _TURNS) // step


def _look_again_at_outcomes(platform: Platform, revision: Revision, asset: Asset, start: datetime, now: datetime) -> None:
    """Outcomes that were settled by data which late ones may have changed."""
    definition = revision.definition
    if definition.problem is None:
        return
    promise = definition.gap + definition.horizon
    for episode in platform.episodes.find(revision.name, asset.name, start=start - promise):
        if episode.settlement is not None and episode.settle_after is None and not episode.outdated:
            update(platform, episode.id, lambda e: e if e.outdated else replace(e, settle_after=now))
