"""Reprocessing: the next evaluation of a target begins at the state before its late data, instead
of at its watermark. A re-evaluated episode that overlaps a stored episode counts as the stored one;
no episode is deleted.

The same functions evaluate from a stored past state, so the state afterwards equals the state of a
run without late data. The request is removed, and checkpoints are written, in the unit of work that
advances the target.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from alerting.episodes.episode import Episode, episode_id
from alerting.episodes.evaluation_plan import (
    EvaluationPlan,
    EvaluationTarget,
    TargetKey,
    smallest_latency,
)
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
    EvaluationPorts,
    IngestionPorts,
)
from alerting.readings.history import NO_TIME, to_millis
from alerting.readings.variable_series import SKEW
from alerting.usecases.definitions.revisions_and_evaluation_plan import current_plan
from alerting.usecases.episodes.stored_episodes import EpisodeChanges
from alerting.usecases.evaluation.compose import (
    Composition,
    add_and_announce,
    announce_change,
    announce_end,
    new_episodes,
    notify_change,
    with_window,
)
from alerting.usecases.ingestion.arrived_rows import LateCounts, route_arrivals
from alerting.usecases.notification.routing import route_notifications

_MOMENT = timedelta(milliseconds=1)
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


def make_outcomes_due(target: Composition) -> None:
    """Make the outcomes due again that the data of a target's request may have changed."""
    evaluated = target.evaluated
    request = target.run.requests.get(evaluated.key)
    if request is None:
        return
    definition = evaluated.revision.definition.for_assets([evaluated.asset])
    now = evaluated.since.state.watermark
    for episode in target.changes.find(
        *evaluated.key, start=request.start - definition.longest_window
    ):
        if (
            episode.outcome_record is not None
            and episode.outcome_due_at is None
            and not episode.withdrawn
        ):
            target.changes.update(episode.id, lambda e: replace(e, outcome_due_at=now))


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


def compose_reprocessed(target: Composition) -> None:
    """Compose the episodes of a reprocessed interval: from the earlier state to the old watermark,
    or to now if that is earlier.

    First, episodes that were not found again are withdrawn, then found ones are corrected, then new
    ones are raised. The caller adds the steps of the time since then afterwards.
    """
    evaluated = target.evaluated
    reprocessed = evaluated.reprocessed
    base = evaluated.evaluated_from
    until = reprocessed.state.watermark
    steps = [step for step, _ in reprocessed.steps]
    by_watermark = evaluated_episodes(base, steps)
    final = evaluated_episodes(base, [*steps, *(step for step, _ in evaluated.since.steps)])
    stored = stored_episodes(
        target.changes, evaluated.key, base.watermark, evaluated.state.watermark
    )
    of_future = [e for e in stored if e.raised_at > until and not (e.backfilled or e.withdrawn)]
    stored = [e for e in stored if e not in of_future]
    reconciled = reconcile(stored, by_watermark, final, base.watermark)
    # in this order, because one episode at most may be open: a refuted one must close before a
    # corrected one is opened again, and that before a new one is raised
    for episode, containing in [*reconciled.withdrawn, *((e, None) for e in of_future)]:
        _withdraw_one(target, episode, containing)
        target.counts.withdrawn += 1
    for correction in reconciled.corrections:
        valid_until = reprocessed.valid_until.get(correction.evaluated.raised_at)
        _correct(target, _with_cause_of_raise(target, reprocessed, correction), valid_until)
    late = [(step, part) for step, part in reprocessed.steps if step.raised_at in reconciled.new]
    new = new_episodes(
        replace(reprocessed, steps=late),
        evaluated.revision,
        evaluated.asset,
        target.run.as_of,
        backfilled=False,
    )
    # data of later ones came after the availability delay by design
    late_from = until - evaluated.revision.definition.delay(evaluated.asset)
    add_and_announce(
        target,
        [
            replace(e, late_data_status="found_late" if e.raised_at <= late_from else None)
            for e in new.values()
        ],
    )


def find_again(target: Composition) -> None:
    """Correct withdrawn episodes that were raised again at the same instant: their times are
    evaluated a second time, because the clock went back."""
    since = target.evaluated.since
    base = target.evaluated.reprocessed.state
    for evaluated in evaluated_episodes(base, [step for step, _ in since.steps]):
        stored = target.changes.get(episode_id(*target.evaluated.key, evaluated.raised_at))
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
    raised = new_episodes(
        of_raise,
        target.evaluated.revision,
        target.evaluated.asset,
        target.run.as_of,
        backfilled=False,
    )
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
        after = withdraw(stored, target.run.as_of, containing)
        if after != stored and stored.condition != "closed" and containing is None:
            announce_end(target, replace(after, withdrawn=False))
        return after

    part = target.changes.update(episode.id, withdraw_stored)
    if containing is not None:
        target.changes.update(containing.id, lambda e: copy_actions(e, part))


def _correct(target: Composition, correction: Correction, valid_until: datetime | None) -> None:
    as_of = target.run.as_of

    def correct_stored(stored: Episode) -> Episode:
        moved = with_window(stored, valid_until, as_of) if valid_until else stored
        after = correct(moved, correction.evaluated, correction.final, as_of)
        reason = after.transitions[-1].reason if after.transitions else ""
        if stored.condition == "open":
            if after.condition == "closed":
                announce_end(target, after)
            elif after.phase != stored.phase:
                is_happening = after.phase == "happening"
                notify_change(target, after, "happening" if is_happening else "corrected", reason)
            elif stored.is_new(after.current.cause):
                announce_change(target, after, reason)
            return after
        if after.condition == "closed":
            return after
        if target.changes.live_open(stored.definition, stored.asset) is not None:
            return stored  # only one may be open, so this one stays closed
        notify_change(target, after, "reopened", reason)
        target.changes.notify(
            route_notifications(
                target.run.platform,
                target.changes,
                target.evaluated.revision.definition,
                after,
                "raised",
                reason,
                as_of,
            )
        )
        return after

    target.changes.update(correction.stored.id, correct_stored)
