"""Reconcile stored episodes with re-evaluated ones, from late data or past times."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from alerting.definitions.alert_definition import SEVERITY_NAMES, Severity
from alerting.definitions.wording.language import (
    Translatable,
    is_same_text,
    joined,
    template,
    translatable,
)
from alerting.detection.evaluation_results_and_texts import Evaluation
from alerting.episodes.episode import PLATFORM, Episode, Transition, episode_id
from alerting.episodes.lifecycle import ConditionState, Step, worse

NOT_HAPPENING = translatable("the problem has not come")
NOT_FOUND_AGAIN = translatable("late data: not found again")
_CHANGED = template("late data: {changes}")
_OVER = template("late data: it was over {when}")
_NOT_OVER = template("late data: it was not over at {when}")
_PART = template("late data: a part of episode {id}, which began before")
_LATE_DATA = frozenset({NOT_FOUND_AGAIN.template, _CHANGED, _OVER, _NOT_OVER, _PART})


@dataclass(frozen=True)
class EvaluatedEpisode:
    """One episode as evaluated with all data. `closed_at`: None while open. `severity`: present
    severity, or that at its end; None without severities.

    `whole`: False if it was raised before the reprocessed interval, so that its beginning was not
    evaluated again. `peak`: its worst severity, None if severities before that interval are not
    known. `renewals`: evaluations of other conditions, from `since` on if it is not whole; `cause`:
    the condition that is true at the end. `happening_at`: when the problem of a prediction was
    known to have come, with its `reason`.
    """

    raised_at: datetime
    closed_at: datetime | None = None
    severity: Severity | None = None
    peak: Severity | None = None
    whole: bool = True
    happening_at: datetime | None = None
    prediction_ended_at: datetime | None = None
    reason: str = ""
    cause: str | None = None
    since: datetime | None = None
    renewals: tuple[Evaluation, ...] = ()


class Correction(NamedTuple):
    """A stored episode that was found again: as known at the instant where the earlier evaluation
    ended, and `final`, as known now."""

    stored: Episode
    evaluated: EvaluatedEpisode
    final: EvaluatedEpisode


@dataclass(frozen=True)
class Reconciled:
    """Match of stored and re-evaluated episodes.

    `withdrawn`: stored episodes that were not found again, each with the re-evaluated episode that
    contains it, or None. `new`: raises of the re-evaluated episodes that are not stored.
    """

    corrections: list[Correction]
    withdrawn: list[tuple[Episode, Episode | None]]
    new: Collection[datetime]


def reconcile(
    stored: Sequence[Episode],
    evaluated: Sequence[EvaluatedEpisode],
    final: Sequence[EvaluatedEpisode],
    horizon: datetime,
    backfilled: bool = False,
) -> Reconciled:
    """Decide which stored episodes were found again and which were not, and which evaluated
    episodes are new.

    `evaluated`: episodes as known at the instant where the earlier evaluation ended; `final`: as
    known now. `horizon`: where the new evaluation begins; an episode that began before it is not
    withdrawn. `backfilled`: whether past times were evaluated: only backfilled episodes are then
    withdrawn, otherwise only live ones.
    """
    now = {evaluation.raised_at: evaluation for evaluation in final}
    matches = match_episodes(evaluated, stored, backfilled)
    carried = continuations(evaluated, matches, stored)
    carried_now = continuations(final, matches, stored)
    by_raise = {evaluation.raised_at: evaluation for evaluation in evaluated}
    corrections = [
        Correction(matches[at], by_raise[at], now[at]) for at in sorted(matches.keys() & by_raise)
    ]
    corrections += [
        Correction(episode, evaluation, carried_now[at][0])
        for at, (evaluation, episode) in carried.items()
    ]
    found_ids = {e.id for e in matches.values()} | {e.id for _, e in carried_now.values()}
    same_kind = [e for e in stored if e.backfilled == backfilled and not e.withdrawn]
    missing = [e for e in same_kind if e.id not in found_ids]
    withdrawn = [(e, _containing(e, final, matches)) for e in missing if start_of(e) > horizon]
    return Reconciled(
        corrections,
        withdrawn,
        {evaluation.raised_at for evaluation in evaluated if evaluation.whole} - matches.keys(),
    )


def _containing(
    episode: Episode, evaluated: Sequence[EvaluatedEpisode], matches: Mapping[datetime, Episode]
) -> Episode | None:
    overlapping = (evaluation.raised_at for evaluation in evaluated if overlap(evaluation, episode))
    return next((matches[at] for at in overlapping if at in matches), None)


def evaluated_episodes(base: ConditionState, steps: Sequence[Step]) -> list[EvaluatedEpisode]:
    """Return the episodes that are open at `base` or raised after it, oldest first."""
    by_raise: dict[datetime, EvaluatedEpisode] = {}
    if base.raised_at is not None:
        by_raise[base.raised_at] = EvaluatedEpisode(
            base.raised_at,
            None,
            base.severity,
            base.severity_peak,
            whole=False,
            happening_at=base.happening_since,
            cause=base.cause,
            since=base.watermark,
        )
    for step in steps:
        if step.kind == "raised":
            by_raise[step.at] = EvaluatedEpisode(
                step.at, severity=step.severity, peak=step.severity, cause=step.cause
            )
            continue
        evaluated = by_raise[step.raised_at]
        ended = step.prediction_ended_at
        if step.evaluation is not None:
            renewals = (*evaluated.renewals, step.evaluation)
            evaluated = replace(evaluated, cause=step.cause, renewals=renewals)
        if step.kind == "happening":
            evaluated = replace(
                evaluated, happening_at=step.at, reason=step.reason, prediction_ended_at=ended
            )
        elif step.kind == "closed":
            ended = evaluated.prediction_ended_at or ended
            evaluated = replace(evaluated, closed_at=step.at, prediction_ended_at=ended)
        elif step.kind == "severity" and step.severity is not None:
            peak = worse(evaluated.peak, step.severity) if evaluated.peak else None
            evaluated = replace(evaluated, severity=step.severity, peak=peak)
        by_raise[step.raised_at] = evaluated
    return list(by_raise.values())


def match_episodes(
    evaluations: Sequence[EvaluatedEpisode], episodes: Sequence[Episode], backfilled: bool = False
) -> dict[datetime, Episode]:
    """Return, by raise, the stored episode that each re-evaluated one matches; a new one is absent.

    A re-evaluated episode matches the stored one that began at the same instant, else a stored one
    that overlaps it: a live one rather than a withdrawn one, for an open episode an open one, then
    the earliest. Each stored episode matches at most once. If late data moved the beginning of a
    stored episode, one re-evaluated episode may have the moved beginning and another the original
    raise; the stored one then matches the latter, which has its id. `backfilled`: overlapping
    episodes that are backfilled match, too.
    """
    matches: dict[datetime, Episode] = {}
    raised = {evaluation.raised_at for evaluation in evaluations}
    for evaluation in evaluations:
        same = [e for e in episodes if _began_with(e, evaluation, raised)]
        if same:
            matches[evaluation.raised_at] = min(
                same, key=lambda e: (e.withdrawn, start_of(e), e.raised_at != evaluation.raised_at)
            )
    fitting = [e for e in episodes if backfilled or not e.backfilled]
    for withdrawn in (False, True):
        for evaluation in (e for e in evaluations if e.raised_at not in matches):
            taken_ids = {e.id for e in matches.values()}
            free = [e for e in fitting if e.withdrawn == withdrawn and e.id not in taken_ids]
            overlapping = [e for e in free if overlap(evaluation, e)]
            if overlapping:
                matches[evaluation.raised_at] = min(
                    overlapping,
                    key=lambda e: (
                        (e.closed_at is None) != (evaluation.closed_at is None),
                        start_of(e),
                    ),
                )
    return matches


def _began_with(
    episode: Episode, evaluated: EvaluatedEpisode, raised: Collection[datetime]
) -> bool:
    """Return whether a stored episode was raised at the same instant as an evaluated one, or began
    at that instant while no evaluated episode was raised when the stored one was."""
    if episode.raised_at in raised:
        return episode.raised_at == evaluated.raised_at
    return start_of(episode) == evaluated.raised_at


def continuations(
    evaluations: Sequence[EvaluatedEpisode],
    matches: Mapping[datetime, Episode],
    episodes: Sequence[Episode],
) -> dict[datetime, tuple[EvaluatedEpisode, Episode]]:
    """Return, by raise, the re-evaluated episodes that correspond to a stored episode, closed
    before its problem was known, and to its stored continuation.

    The problem of such a prediction became known only after the prediction was closed at the end of
    its window. The closed episode is not reopened; an open continuation is happening instead.
    """
    taken_ids = {e.id for e in matches.values()}
    carried = dict[datetime, tuple[EvaluatedEpisode, Episode]]()
    for evaluated in evaluations:
        closed = matches.get(evaluated.raised_at)
        if closed is None or evaluated.happening_at is None or not _closed_in_vain(closed):
            continue
        for episode in sorted(episodes, key=start_of):
            is_live = not (episode.withdrawn or episode.backfilled) and episode.id not in taken_ids
            goes_on = episode.condition == "open" or episode.happening_at is not None
            is_later = closed.closed_at is not None and episode.raised_at >= closed.closed_at
            if is_live and goes_on and is_later and overlap(evaluated, episode):
                carried[evaluated.raised_at] = _from(evaluated, episode), episode
    return carried


def _from(evaluated: EvaluatedEpisode, episode: Episode) -> EvaluatedEpisode:
    """Return the part of a re-evaluated episode that its continuation contains."""
    at = max(evaluated.happening_at or episode.raised_at, episode.raised_at)
    part = replace(evaluated, raised_at=episode.raised_at, whole=False)
    return replace(part, happening_at=at, prediction_ended_at=min(at, episode.valid_until or at))


def link_continuation(episode: Episode, earlier: Sequence[Episode]) -> Episode:
    """Return the episode with the stored id of the episode that it continues; unchanged if it
    continues none.

    The computed id contains the raise as known now, the stored id the raise as known at the time;
    late data may have moved it.
    """
    live = (
        e
        for e in earlier
        if not e.withdrawn and episode_id(e.definition, e.asset, start_of(e)) == episode.continues
    )
    continued = next(live, None)
    return episode if continued is None else replace(episode, continues=continued.id)


def is_known_late(episode: Episode) -> bool:
    """Return whether the problem of a prediction came and was known only after the prediction was
    closed."""
    occurred = episode.outcome_record is not None and episode.outcome_record.occurred
    return bool(occurred) and not episode.withdrawn and _closed_in_vain(episode)


def _closed_in_vain(episode: Episode) -> bool:
    """Return whether a prediction was closed before its problem came, even if late data closed
    it."""
    if episode.valid_until is None or not episode.is_prediction or episode.happening_at is not None:
        return False
    window = episode.valid_until - episode.raised_at
    ends = (episode.prediction_ended_at, episode.valid_until, start_of(episode) + window)
    return episode.closed_at is not None and episode.closed_at in ends


def start_of(episode: Episode) -> datetime:
    """Return when an episode began, with all data known by now."""
    return episode.condition_started_at or episode.raised_at


def overlap(evaluated: EvaluatedEpisode, episode: Episode) -> bool:
    """Return whether two episodes have an instant in common."""
    starts_before_end = episode.closed_at is None or evaluated.raised_at < episode.closed_at
    return starts_before_end and (
        evaluated.closed_at is None
        or min(episode.raised_at, start_of(episode)) < evaluated.closed_at
    )


def correct(
    episode: Episode, evaluated: EvaluatedEpisode, final: EvaluatedEpisode, at: datetime
) -> Episode:
    """Return the episode with the corrections of reprocessing; unchanged if there is nothing to
    correct.

    `evaluated`: as known at the instant where the earlier evaluation ended, because later changes
    are no corrections. `final`: as known now. Id, raise, evidence and feedback remain.
    """
    changes: list[str] = []
    after = episode
    if evaluated.whole and evaluated.raised_at != start_of(episode):
        changes.append(translatable("it began at {when}", when=evaluated.raised_at))
        is_moved = evaluated.raised_at != episode.raised_at
        after = replace(after, condition_started_at=evaluated.raised_at if is_moved else None)
    if episode.withdrawn:
        changes.append(translatable("it was found again"))
        after = replace(
            after,
            withdrawn=False,
            late_data_status=None,
            outcome_due_at=at if episode.valid_until else None,
        )
    was_open = evaluated.closed_at is None and final.closed_at is not None
    ends_later = was_open and episode.closed_at is not None
    after, severity_changes = _with_severity(after, final if ends_later else evaluated)
    changes += severity_changes
    after = _with_renewals(after, evaluated)
    if not is_same_text(after.current.reason, episode.current.reason):
        changes.append(translatable("now: {reason}", reason=after.current.reason))
    after, happening_changes = _with_happening(after, evaluated)
    changes += happening_changes
    if changes:
        reason = translatable(_CHANGED, changes=joined("; ", *changes))
        after = after.with_transition("corrected", at, reason)
    if evaluated.happening_at is not None and _closed_in_vain(episode):
        return after  # known only after it was closed
    return _with_end(after, evaluated, final, at)


def _with_happening(episode: Episode, evaluated: EvaluatedEpisode) -> tuple[Episode, list[str]]:
    """Return the episode with what is known now of its problem, and a list of the corrected
    facts."""
    if evaluated.happening_at == episode.happening_at:
        return episode, []
    ended = evaluated.prediction_ended_at
    after = replace(episode, happening_at=evaluated.happening_at, prediction_ended_at=ended)
    if evaluated.happening_at is None:
        return after, [NOT_HAPPENING]
    if episode.condition == "open" and episode.happening_at is None:
        return after.with_transition("happening", evaluated.happening_at, evaluated.reason), []
    return after, [
        translatable("the problem came: {reason}", reason=evaluated.reason)
        if evaluated.reason
        else translatable("the problem came")
    ]


def _with_renewals(episode: Episode, evaluated: EvaluatedEpisode) -> Episode:
    """Return the episode with what is known now of the conditions that kept it open."""
    since = evaluated.since
    confirmed = [
        r
        for r in episode.renewals
        if r.cause == evaluated.cause or (since is not None and r.at <= since)
    ]
    after = replace(
        episode, renewals=tuple(sorted(confirmed, key=lambda r: r.cause == evaluated.cause))
    )
    for renewal in evaluated.renewals:
        after = after.with_renewal(renewal)
    renewals = after.renewals
    if episode.is_new(after.current.cause):
        return replace(episode.with_renewal(after.current), renewals=renewals)
    return replace(episode, renewals=renewals)


def _with_severity(episode: Episode, evaluated: EvaluatedEpisode) -> tuple[Episode, list[str]]:
    if evaluated.severity is None:
        return episode, []
    changes: list[str] = []
    peak = evaluated.peak or worse(episode.severity_peak, evaluated.severity)
    if evaluated.severity != episode.severity:
        changes.append(
            translatable(
                "severity {before} → {after}",
                before=SEVERITY_NAMES[episode.severity],
                after=SEVERITY_NAMES[evaluated.severity],
            )
        )
    if peak != episode.severity_peak:
        changes.append(
            translatable(
                "worst {before} → {after}",
                before=_severity_name(episode.severity_peak),
                after=_severity_name(peak),
            )
        )
    return replace(episode, severity=evaluated.severity, severity_peak=peak), changes


def _with_end(
    episode: Episode, evaluated: EvaluatedEpisode, now: EvaluatedEpisode, at: datetime
) -> Episode:
    """Return the episode with its corrected end. `evaluated`: as known at the old watermark; `now`:
    as known now."""
    end = evaluated.closed_at
    final = now.closed_at
    if episode.closed_at in (end, final):
        return episode
    if episode.is_prediction and episode.happening_at is None:
        ended = (now if end is None or episode.closed_at else evaluated).prediction_ended_at
        episode = replace(episode, prediction_ended_at=ended)
    if episode.closed_at is None and end is not None:
        return episode.with_transition(
            "closed",
            at,
            translatable(_OVER, when=end),
            condition="closed",
            closed_at=end,
        )
    last = next((t for t in reversed(episode.transitions) if t.kind == "closed"), None)
    if final is None and last is not None and last.actor != PLATFORM:
        return episode  # an operator has closed it
    if final is None:
        was = episode.closed_at or ""
        return episode.with_transition(
            "reopened",
            at,
            translatable(_NOT_OVER, when=was),
            condition="open",
            closed_at=None,
        )
    reason = translatable(_OVER, when=final)
    return episode.with_transition("corrected", at, reason, condition="closed", closed_at=final)


def is_of_late_data(transition: Transition) -> bool:
    """Return whether data that came late made a transition."""
    reason = transition.reason
    if isinstance(reason, Translatable) and reason.template in _LATE_DATA:
        return True
    return is_same_text(reason, NOT_FOUND_AGAIN)  # stored without its template


def withdraw(episode: Episode, at: datetime, part_of: Episode | None = None) -> Episode:
    """Return an episode that reprocessing did not find again as withdrawn, with all its records."""
    if episode.withdrawn:
        return episode
    reason = NOT_FOUND_AGAIN
    if part_of is not None:
        reason = translatable(_PART, id=part_of.id)
    return episode.with_transition(
        "corrected",
        at,
        reason,
        withdrawn=True,
        late_data_status="refuted",
        condition="closed",
        closed_at=episode.closed_at or at,
        outcome_due_at=None,
    )


def copy_actions(episode: Episode, part: Episode) -> Episode:
    """Return the episode with the operator actions of another that turned out to be part of it."""
    return replace(
        episode,
        acknowledged=episode.acknowledged or part.acknowledged,
        confirmed=episode.confirmed or part.confirmed,
        assigned_to=episode.assigned_to or part.assigned_to,
    )


def _severity_name(severity: Severity | None) -> str:
    return "" if severity is None else SEVERITY_NAMES[severity]
