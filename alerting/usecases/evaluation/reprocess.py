"""Reprocessing: the next evaluation of a target begins at the state before its late data, instead
of at its watermark. A re-evaluated episode that overlaps a stored episode counts as the stored one;
no episode is deleted.

The same functions evaluate from a stored past state, so the state afterwards equals the state of a
run without late data. The request is removed, and checkpoints are written, in the unit of work that
advances the target.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

from alerting.deferred import np
from alerting.definitions.alert_definition import Revision
from alerting.definitions.asset_documents import Asset
from alerting.detection.carried_reading import Carried
from alerting.episodes.episode import Episode, episode_id
from alerting.episodes.evaluation_plan import (
    ConditionTable,
    EvaluationPlan,
    EvaluationTarget,
    TargetKey,
    smallest_latency,
)
from alerting.episodes.lifecycle import ConditionState, forget_after
from alerting.episodes.reconciliation import (
    Correction,
    copy_actions,
    correct,
    evaluated_episodes,
    reconcile,
    withdraw,
)
from alerting.kinds.protocol import TargetEvaluation
from alerting.ports import (
    Arrivals,
    Checkpoint,
    EvaluationPorts,
    IngestionPorts,
    ReprocessingRequest,
    Unit,
)
from alerting.readings.history import NO_TIME, Millis, from_millis, to_millis
from alerting.readings.variable_series import SKEW, Flags
from alerting.usecases.definitions.revisions_and_evaluation_plan import current_plan
from alerting.usecases.episodes.stored_episodes import EpisodeChanges
from alerting.usecases.evaluation.compose import (
    Composed,
    Composition,
    add_and_announce,
    announce_change,
    announce_end,
    new_episodes,
    with_window,
)
from alerting.usecases.evaluation.target import Batch, EvaluationRun
from alerting.usecases.ingestion.arrived_rows import LateCounts, route_arrivals
from alerting.usecases.notification.routing import change_notifications, route_notifications

_CHECKPOINTS = 48  # within the allowed lateness: every half hour for a day
_SHORTEST = 60_000  # ms
_TURNS = 2**32
_MOMENT = timedelta(milliseconds=1)
_LOOKBACK = timedelta(days=1)
"""Before the instant from which a target is evaluated again: a beginning after that is recent."""
_BACK_TO = timedelta(hours=1)
"""After now: rollups read no further, and other evaluators have announced no later instant."""


def begin_round(
    platform: IngestionPorts, targets: Sequence[EvaluationTarget], as_of: datetime
) -> LateCounts:
    """Route arrivals, and record up to when this round evaluates: once, before any of its shards
    reads readings.

    In this order, because a row that has arrived by now is not late for this round. `targets`: the
    targets of all definitions.
    """
    counts = route_arrivals(platform, targets, as_of)
    until = announce_evaluation(platform.arrivals, targets, as_of)
    latest = as_of + _BACK_TO
    if until > latest:  # by a clock that was ahead
        watermarks = platform.states.watermarks([target.key for target in targets])
        if max(watermarks, default=NO_TIME) <= to_millis(as_of + SKEW):
            platform.arrivals.lower_evaluated_until(until, latest)
    return counts


def announce_evaluation(
    arrivals: Arrivals, targets: Sequence[EvaluationTarget], as_of: datetime
) -> datetime:
    """Record up to when these targets are going to be evaluated: as_of less the smallest
    latency. Return the latest instant that was recorded."""
    return arrivals.extend_evaluated_until(
        as_of - timedelta(milliseconds=smallest_latency(targets))
    )


def base_states(
    run: EvaluationRun,
    targets: Sequence[EvaluationTarget],
    states: ConditionTable,
    starts: Millis,
) -> ConditionTable:
    """Return the states to evaluate from: present states, or earlier ones for targets to reprocess.
    `states` and `starts` (ms) have one row per target.

    A target whose condition has not changed carries its state of one step earlier; for the other
    targets a checkpoint is looked up. Without a checkpoint that is old enough, a target starts at
    its beginning, if that is recent, or at its earliest checkpoint. Without any, a target that was
    evaluated beyond now starts at the last end of its alarm, at most a day before, at its present
    state without what that has of later instants.
    """
    base = states.take(range(len(states)))
    by_checkpoint = dict[int, datetime]()
    by_earlier = []
    for row, target in enumerate(targets if run.requests else ()):
        request = run.requests.get(target.key)
        if (
            request is None
            or to_millis(request.start) > states.watermark[row]
            or states.watermark[row] == NO_TIME
        ):
            continue
        if NO_TIME != states.earlier.watermark[row] < to_millis(request.start):
            by_earlier.append(row)
        else:
            by_checkpoint[row] = request.start
    base.restore_earlier(by_earlier)
    for row, state in _past_states(run, targets, states, by_checkpoint).items():
        is_in_future = states.watermark[row] > starts[row]
        before = to_millis(by_checkpoint[row]) if is_in_future else starts[row]
        if to_millis(state.watermark) < before:
            base.write_state(row, state)
    for row in np.flatnonzero(base.watermark > starts).tolist():
        if (state_ahead := states.state(row)) is not None:
            at = _last_known(state_ahead, by_checkpoint[row])
            base.write_state(row, forget_after(state_ahead, at))
    # it counts rounds that ended unknown, and evaluating earlier times again is no further round
    base.unknown_count = states.unknown_count.copy()
    return base


def _last_known(state: ConditionState, before: datetime) -> datetime:
    """Return an instant before another one, at which a state that was evaluated further tells
    whether the condition was met: since its last end, at most a day."""
    closed = state.last_closed_at
    earliest = before - _LOOKBACK
    if closed is None:
        return earliest
    return max(earliest, closed) if closed < before else before - _MOMENT


def _past_states(
    run: EvaluationRun,
    targets: Sequence[EvaluationTarget],
    states: ConditionTable,
    starts: Mapping[int, datetime],
) -> dict[int, ConditionState]:
    """Return, by row, the latest checkpoint before an instant, or else the state nearest to the
    instant."""
    checkpoints = run.platform.checkpoints.states_before(
        {targets[row].key: start for row, start in starts.items()}
    )
    nearest = {row: checkpoints.get(targets[row].key) for row in starts}
    missing = [row for row, state in nearest.items() if state is None]
    for row, first in run.first_instants(targets, missing).items():
        lateness = targets[row].allowed_lateness
        lately = states.watermark[row] - 2 * lateness
        if not lateness or states.watermark[row] > to_millis(run.as_of + SKEW):  # no checkpoints
            lately = to_millis(starts[row] - _LOOKBACK)
        if first is not None and first >= lately:
            nearest[row] = _state_at_first(targets[row], from_millis(first))
        else:
            nearest[row] = run.platform.checkpoints.state_after(*targets[row].key, starts[row])
    return {row: state for row, state in nearest.items() if state is not None}


def _state_at_first(target: EvaluationTarget, first: datetime) -> ConditionState:
    """Return the state of a target that waits for its first reading."""
    return ConditionState(
        first, carried=None if target.variable is None else Carried(target.variable, first, None)
    )


@dataclass(frozen=True)
class LateUpdates:
    """Writes of a unit of work that make later reprocessing possible, beside states and episodes.

    `refuted`: by target, the instant from which its checkpoints are wrong. `done`: requests that
    the unit completes.
    """

    checkpoints: list[Checkpoint] = field(default_factory=list)
    refuted: dict[TargetKey, datetime] = field(default_factory=dict)
    done: list[ReprocessingRequest] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.checkpoints or self.refuted or self.done)

    def write(self, platform: EvaluationPorts, unit: Unit) -> None:
        """Write the updates in a unit of work."""
        platform.checkpoints.write(self.refuted, self.checkpoints, unit)
        platform.arrivals.remove_requests(self.done, unit)


def late_updates(
    run: EvaluationRun,
    batch: Batch,
    after: ConditionTable,
    rows: Sequence[int],
    reprocessed: Mapping[int, ConditionState | None],
) -> LateUpdates:
    """Return the updates that are written with the new states of these rows.

    Checkpoints inside a reprocessed interval are wrong and dropped. No checkpoint is stored between
    a target's state of one step earlier and its watermark. `reprocessed`: states of targets that
    were evaluated one by one, as in `BatchResult`.
    """
    updates = LateUpdates()
    at = np.asarray(rows, np.int64)
    targets = [batch.targets[row] for row in rows]
    evaluated_from = batch.evaluated_from[at]
    start = batch.starts[at]
    watermark = after.watermark[at]
    again = evaluated_from < start
    if reprocessed:
        again = np.array(
            [
                reprocessed[row] is not None if row in reprocessed else bool(again[i])
                for i, row in enumerate(rows)
            ]
        )
    is_due = checkpoints_due(
        targets, np.where(again, evaluated_from, start), np.where(again, start, watermark)
    )
    requested = np.array(
        [target.key in run.requests for target in targets] if run.requests else False
    )
    for i in np.flatnonzero((watermark > start) & (is_due | again | requested)).tolist():
        row = rows[i]
        target = targets[i]
        if is_due[i]:
            state = _state_at_start(batch, after, reprocessed, row, bool(again[i]))
            needed_from = from_millis(int(watermark[i]) - target.allowed_lateness)
            updates.checkpoints.append(Checkpoint(*target.key, state, needed_from))
        # the state of one step earlier has no checkpoint behind it that could be wrong
        if again[i] and evaluated_from[i] != batch.before.earlier.watermark[row]:
            updates.refuted[target.key] = from_millis(int(evaluated_from[i])) + _MOMENT
        if target.key in run.requests:
            updates.done.append(run.requests[target.key])
    return updates


def checkpoints_due(targets: Sequence[EvaluationTarget], before: Millis, after: Millis) -> Flags:
    """Return, per target, whether to store a checkpoint when its evaluation advances from one
    instant to another (ms).

    One checkpoint is due for each forty-eighth of the allowed lateness; targets take turns.
    """
    lateness = np.array([target.allowed_lateness for target in targets], np.int64)
    step = np.maximum(lateness // _CHECKPOINTS, _SHORTEST)
    offset = np.array([target.turn for target in targets], np.int64) * step // _TURNS
    is_due: Flags = (lateness > 0) & ((before + offset) // step != (after + offset) // step)
    return is_due


def _state_at_start(
    batch: Batch,
    after: ConditionTable,
    reprocessed: Mapping[int, ConditionState | None],
    row: int,
    is_reprocessed: bool,
) -> ConditionState:
    """Return the corrected state of a target at its old watermark."""
    corrected = reprocessed.get(row)
    if corrected is not None:
        return corrected
    if is_reprocessed:  # its condition has not changed in the whole interval
        earlier = after.take([row])
        earlier.restore_earlier([0])
        return earlier.state(0) or ConditionState(from_millis(batch.starts[row]))
    return batch.before.state(row) or ConditionState(from_millis(batch.starts[row]))


def make_outcomes_due(
    changes: EpisodeChanges, revision: Revision, asset: Asset, start: datetime, now: datetime
) -> None:
    """Make the outcomes due again that data since `start` may have changed."""
    since = start - revision.definition.for_assets([asset]).longest_window
    for episode in changes.find(revision.name, asset.name, start=since):
        if (
            episode.outcome_record is not None
            and episode.outcome_due_at is None
            and not episode.withdrawn
        ):
            changes.update(episode.id, lambda e: replace(e, outcome_due_at=now))


def plan_of_round(
    platform: EvaluationPorts,
    source_hash: str,
    as_of: datetime,
    is_wanted: Callable[[str], bool] | None = None,
) -> EvaluationPlan:
    """Return the plan with which a round has begun, of the wanted definitions or all. If it was
    replaced since, announce the present plan and return it."""
    plan = platform.evaluation_plans.get(source_hash, is_wanted)
    if plan is None:  # perhaps the latencies of the present one are smaller
        plan = current_plan(platform)
        announce_evaluation(platform.arrivals, plan.targets, as_of)
        return plan if is_wanted is None else plan.select(is_wanted)
    return plan


def compose_reprocessed(
    target: Composition,
    reprocessed: TargetEvaluation,
    since: TargetEvaluation,
    base: ConditionState,
    watermark: datetime,
) -> Composed:
    """Compose the episodes of a reprocessed interval.

    `reprocessed`: evaluation from `base` to the old `watermark`, or to now if that is earlier;
    `since`: evaluation from there on.
    First, episodes that were not found again are withdrawn, then found ones are corrected, then new
    ones are raised. The caller adds the steps of `since` afterwards.
    """
    until = reprocessed.state.watermark
    steps = [step for step, _ in reprocessed.steps]
    later = [step for step, _ in since.steps]
    by_watermark = evaluated_episodes(base, steps)
    final = evaluated_episodes(base, [*steps, *later])
    stored = stored_episodes(
        target.changes, (target.revision.name, target.asset.name), base.watermark, watermark
    )
    of_future = [e for e in stored if e.raised_at > until and not (e.backfilled or e.withdrawn)]
    stored = [e for e in stored if e not in of_future]
    reconciled = reconcile(stored, by_watermark, final, base.watermark)
    # in this order, because one episode at most may be open: a refuted one must close before a
    # corrected one is opened again, and that before a new one is raised
    for episode, containing in [*reconciled.withdrawn, *((e, None) for e in of_future)]:
        _withdraw_one(target, episode, containing)
    for correction in reconciled.corrections:
        valid_until = reprocessed.valid_until.get(correction.evaluated.raised_at)
        _correct(target, _with_cause_of_raise(target, reprocessed, correction), valid_until)
    new = _late_episodes(
        target.revision, target.asset, reprocessed, reconciled.new, until, target.as_of
    )
    raised = add_and_announce(replace(target, is_last=True), new)
    withdrawn = len(reconciled.withdrawn) + len(of_future)
    return Composed(reprocessed.state, raised=raised, withdrawn=withdrawn)


def find_again(target: Composition, since: TargetEvaluation, base: ConditionState) -> None:
    """Correct withdrawn episodes that were raised again at the same instant: their times are
    evaluated a second time, because the clock went back."""
    for evaluated in evaluated_episodes(base, [step for step, _ in since.steps]):
        stored = target.changes.get(
            episode_id(target.revision.name, target.asset.name, evaluated.raised_at)
        )
        if stored is not None and stored.withdrawn:
            valid_until = since.valid_until.get(evaluated.raised_at)
            _correct(target, Correction(stored, evaluated, evaluated), valid_until)


def _with_cause_of_raise(
    target: Composition, reprocessed: TargetEvaluation, correction: Correction
) -> Correction:
    """Return a correction that states, as a further evaluation, the condition that is now known to
    have been true at the raise, if that is another one."""
    evaluated = correction.evaluated
    before = correction.stored.evaluation.cause
    raises = [
        (step, part)
        for step, part in reprocessed.steps
        if step.kind == "raised"
        and step.at == evaluated.raised_at
        and before not in (None, step.cause)
    ]
    of_raise = replace(reprocessed, steps=raises)
    raised = new_episodes(of_raise, target.revision, target.asset, target.as_of, backfilled=False)
    renewals = (*(e.evaluation for e in raised.values()), *evaluated.renewals)
    return correction._replace(evaluated=replace(evaluated, renewals=renewals))


def stored_episodes(
    changes: EpisodeChanges, key: TargetKey, after: datetime, until: datetime
) -> list[Episode]:
    """Return the stored episodes with an instant in (after, until], including backfilled and
    withdrawn ones."""
    inside = changes.find(*key, start=after + _MOMENT, end=until + _MOMENT)
    earlier = changes.find(*key, end=after + _MOMENT, limit=20)
    return [*inside, *(e for e in earlier if e.closed_at is None or e.closed_at > after)]


def _withdraw_one(target: Composition, episode: Episode, containing: Episode | None) -> None:
    """Withdraw an episode and notify its recipients of its end, unless the episode `containing`,
    which contains it, continues."""

    def withdraw_stored(stored: Episode) -> Episode:
        after = withdraw(stored, target.as_of, containing)
        if after != stored and stored.condition != "closed" and containing is None:
            announce_end(target, replace(after, withdrawn=False))
        return after

    part = target.changes.update(episode.id, withdraw_stored)
    if containing is not None:
        target.changes.update(containing.id, lambda e: copy_actions(e, part))


def _correct(target: Composition, correction: Correction, valid_until: datetime | None) -> None:
    definition = target.definition
    as_of = target.as_of

    def correct_stored(stored: Episode) -> Episode:
        moved = with_window(stored, valid_until, as_of) if valid_until else stored
        after = correct(moved, correction.evaluated, correction.final, as_of)
        reason = after.transitions[-1].reason if after.transitions else ""
        if stored.condition == "open" and after.condition == "closed":
            announce_end(target, after)
            return after
        if stored.condition == "open" and after.phase != stored.phase:
            cause: Literal["happening", "corrected"] = (
                "happening" if after.phase == "happening" else "corrected"
            )
            target.changes.notify(
                change_notifications(target.changes, definition, after, cause, reason, as_of)
            )
            return after
        if stored.condition == "open" or after.condition == "closed":
            if stored.condition == "open" and stored.is_new(after.current.cause):
                announce_change(target, after, reason)
            return after
        if target.changes.live_open(stored.definition, stored.asset) is not None:
            return stored  # only one may be open, so this one stays closed
        target.changes.notify(
            change_notifications(target.changes, definition, after, "reopened", reason, as_of)
        )
        target.changes.notify(
            route_notifications(
                target.platform,
                target.changes,
                definition,
                after,
                "raised",
                reason,
                as_of,
            )
        )
        return after

    target.changes.update(correction.stored.id, correct_stored)


def _late_episodes(
    revision: Revision,
    asset: Asset,
    reprocessed: TargetEvaluation,
    raised: Collection[datetime],
    until: datetime,
    as_of: datetime,
) -> list[Episode]:
    """Return the episodes that only late data revealed.

    `found_late` marks episodes whose data arrived after the availability delay; the others are
    known that late by design.
    """
    of_new = replace(
        reprocessed, steps=[(s, part) for s, part in reprocessed.steps if s.raised_at in raised]
    )
    episodes = new_episodes(of_new, revision, asset, detected_at=as_of, backfilled=False).values()
    late_from = until - revision.definition.delay(asset)
    return [
        replace(e, late_data_status="found_late" if e.raised_at <= late_from else None)
        for e in episodes
    ]
