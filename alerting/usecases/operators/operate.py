"""Actions of operators: acknowledge, confirm, comment, assign. Each is one compare-and-set
and an audit entry."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from alerting.definitions.faults import UserError
from alerting.definitions.model import Severity
from alerting.definitions.wording.language import translatable
from alerting.detection.suppression import LineCondition
from alerting.episodes.episode import ActorStamp, Episode, Feedback
from alerting.episodes.first_out import TOGETHER, FirstOut, first_out
from alerting.operators.actions import Action, Flags, IsaState, Role, isa_state, move, permit
from alerting.operators.mutes import Mute, current_flags
from alerting.ports import (
    EpisodePorts,
    EvaluationPorts,
    MutingPorts,
    OperatorPorts,
    Unit,
)
from alerting.usecases.definitions.lookup import newest_of_target
from alerting.usecases.episodes.changes import EpisodeChanges, update
from alerting.usecases.episodes.happening import current_progress
from alerting.usecases.episodes.store import find_episode
from alerting.usecases.episodes.suppression import line_condition
from alerting.usecases.episodes.unevaluated import forget_open, why_not_evaluated
from alerting.usecases.mutes import mutes_at
from alerting.usecases.notification.routes import change_notifications
from alerting.usecases.operators.feedback import give_feedback


@dataclass(frozen=True)
class Actor:
    """The person or service that acts, and its role."""

    name: str
    role: Role


@dataclass(frozen=True)
class OperatorState:
    """Operator state of an episode: flags, their ISA-18.2 name, what mutes it, and whether it was
    first-out of several.

    `suppressed`: why it is suppressed by design; `unknown`: states of its line that cannot be known
    and do not suppress.
    """

    flags: Flags
    state: IsaState
    mutes: tuple[Mute, ...]
    first_out: FirstOut | None
    suppressed: str | None = None
    unknown: tuple[str, ...] = ()


def acknowledge(
    platform: MutingPorts, id: str, actor: Actor, at: datetime, note: str = ""
) -> Episode:
    """Acknowledge an alarm. The first acknowledgement is stored. Condition and evaluation do not
    change."""

    def record(episode: Episode, _: EpisodeChanges) -> Episode:
        move(operator_state(platform, episode, at).flags, "acknowledge")
        if episode.acknowledged is not None:
            return episode
        return _set_acknowledged(episode, actor, at).with_transition(
            "acknowledged", at, note, actor.name
        )

    return _act(platform, id, "acknowledge", actor, at, record, note)


def confirm(
    platform: OperatorPorts,
    id: str,
    actor: Actor,
    at: datetime,
    did: str = "",
    acted_at: datetime | None = None,
) -> Episode:
    """Record an action on an alarm: feedback `acted`, and acknowledgement. Raises UserError for an
    action in the future."""
    permit("confirm", actor.role)
    episode = find_episode(platform.episodes, id)
    move(operator_state(platform, episode, at).flags, "confirm")
    feedback = Feedback(episode.id, None, True, did or None, None, actor.name, at, acted_at)
    give_feedback(platform, feedback)

    def done(current: Episode, _: EpisodeChanges) -> Episode:
        marked = (
            current
            if current.confirmed
            else replace(current, confirmed=ActorStamp(actor.name, acted_at or at))
        )
        return _set_acknowledged(marked, actor, at).with_transition(
            "confirmed", at, did, actor.name
        )

    return _act(platform, episode.id, "confirm", actor, at, done, did)


def close(platform: EvaluationPorts, id: str, actor: Actor, at: datetime, reason: str) -> Episode:
    """Close by hand an alert that nothing evaluates, or one whose problem has come, when no reading
    shows whether it goes on; notify its recipients.

    Raises UserError without a reason, and for an alert that ends by itself.
    """
    if not reason.strip():
        raise UserError(translatable("say why it is over: the reason is empty"))

    def end(episode: Episode, changes: EpisodeChanges) -> Episode:
        move(operator_state(platform, episode, at).flags, "close")
        _require_unknown(platform, episode, at)
        ended = episode.with_transition(
            "closed", at, reason, actor.name, condition="closed", closed_at=at
        )
        revision = newest_of_target(platform.definitions, episode.definition)
        if revision is not None:
            cause = translatable("closed by {person}: {reason}", person=actor.name, reason=reason)
            changes.notify(
                change_notifications(changes, revision.definition, ended, "closed", cause, at)
            )
        changes.drop_overtaken(ended)
        return ended

    def forget(unit: Unit, episode: Episode) -> None:
        if episode.happening_at is None:  # its evaluation finds out that such a problem is closed
            revision = newest_of_target(platform.definitions, episode.definition)
            key = (episode.definition, episode.asset)
            forget_open(platform.states, key, revision, at, unit)

    return _act(platform, id, "close", actor, at, end, reason, forget)


def can_be_closed(platform: EvaluationPorts, episode: Episode, at: datetime) -> str | None:
    """Return why a person may close an open alert: nothing tells whether it goes on; None if it
    ends by itself."""
    if episode.condition != "open":
        return None
    progress = current_progress(platform, episode, at)
    if progress is not None and not progress.is_known:
        return progress.message
    return why_not_evaluated(platform, episode, at)


def _require_unknown(platform: EvaluationPorts, episode: Episode, at: datetime) -> None:
    if can_be_closed(platform, episode, at) is not None:
        return
    progress = current_progress(platform, episode, at)
    if progress is None:
        raise UserError(
            translatable(
                "only an alert whose predicted problem has come, or that nothing evaluates, can be "
                "closed by hand; this one ends by itself"
            )
        )
    raise UserError(
        translatable(
            "it ends by itself with its problem, which still goes on: {what}; mute it instead",
            what=progress.message.rstrip("."),
        )
    )


def comment(platform: MutingPorts, id: str, actor: Actor, at: datetime, text: str) -> Episode:
    """Add a comment to an episode. Raises UserError for an empty one."""
    if not text.strip():
        raise UserError(translatable("the comment is empty: write a text"))
    return _act(
        platform,
        id,
        "comment",
        actor,
        at,
        lambda e, _: e.with_transition("commented", at, text, actor.name),
        text,
    )


def assign(platform: MutingPorts, id: str, actor: Actor, at: datetime, to: str) -> Episode:
    """Assign an episode to a person. Raises UserError for an empty name."""
    if not to.strip():
        raise UserError(translatable("name the responsible person"))

    def hand_over(episode: Episode, _: EpisodeChanges) -> Episode:
        after = replace(episode, assigned_to=to)
        return (
            episode
            if after == episode
            else after.with_transition(
                "assigned", at, translatable("to {person}", person=to), actor.name
            )
        )

    return _act(platform, id, "assign", actor, at, hand_over, to)


def operator_state(platform: MutingPorts, episode: Episode, now: datetime) -> OperatorState:
    """Return the operator state of an episode."""
    mutes = tuple(
        mutes_at(platform, now).find(episode.definition, episode.asset, episode.severity, now)
    )
    start = episode.raised_at - TOGETHER
    end = episode.raised_at + TOGETHER + timedelta(milliseconds=1)
    near = [
        e
        for e in platform.episodes.find(asset=episode.asset, start=start, end=end)
        if e.backfilled == episode.backfilled
    ]
    line = _read_line_condition(platform, episode.definition, episode.asset, episode.severity, now)
    flags = current_flags(episode, mutes, line.suppressed)
    suppressed_because = line.reason if line.suppressed else None
    return OperatorState(
        flags, isa_state(flags), mutes, first_out(episode, near), suppressed_because, line.unknown
    )


def _read_line_condition(
    platform: EpisodePorts, name: str, asset: str, severity: Severity | None, now: datetime
) -> LineCondition:
    """Return the suppression by the newest revision. A severity in `still_notify` is not
    suppressed."""
    revision = newest_of_target(platform.definitions, name)
    suppression = revision.definition.suppression if revision else None
    if revision is None or suppression is None or severity in suppression.still_notify:
        return LineCondition(suppressed=False, reason="")
    return line_condition(platform, revision.definition, asset, now)


def _act(
    platform: MutingPorts,
    id: str,
    action: Action,
    actor: Actor,
    at: datetime,
    change: Callable[[Episode, EpisodeChanges], Episode],
    why: str,
    write_beside: Callable[[Unit, Episode], None] | None = None,
) -> Episode:
    """Apply one permitted action to the newest version of an episode, and audit it if it changed
    anything."""
    permit(action, actor.role)
    before = find_episode(platform.episodes, id)

    def change_and_compare(current: Episode, changes: EpisodeChanges) -> Episode:
        nonlocal before
        before = current
        return change(current, changes)

    beside = None if write_beside is None else lambda unit: write_beside(unit, before)
    after = update(platform, before.id, change_and_compare, beside)
    if after != before:
        old = _audited(platform, before, at)
        new = _audited(platform, after, at)
        platform.audit.add(actor.name, action, after.id, at, old, new, why)
    return after


def _audited(platform: MutingPorts, episode: Episode, at: datetime) -> dict[str, str | None]:
    comments = [t.reason for t in episode.transitions if t.kind == "commented"]
    return {
        "state": isa_state(operator_state(platform, episode, at).flags),
        "assigned_to": episode.assigned_to,
        "comment": comments[-1] if comments else None,
    }


def _set_acknowledged(episode: Episode, actor: Actor, at: datetime) -> Episode:
    return (
        episode
        if episode.acknowledged
        else replace(episode, acknowledged=ActorStamp(actor.name, at))
    )
