"""Actions of operators: acknowledge, confirm, comment, assign, mute, give feedback. Each is one
compare-and-set and an audit entry.

Feedback ("right", "wrong", "I acted on it") is stored for ever, and updates the outcome.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from alerting.definitions.alert_definition import matching_assets, names_asset
from alerting.definitions.faults import Conflicting, NotFound, UserError, close_names
from alerting.definitions.wording.language import (
    in_english,
    join_with_and,
    template,
    translatable,
)
from alerting.episodes.episode import (
    TOGETHER,
    ActorStamp,
    Episode,
    Feedback,
    FirstOut,
    Transition,
    first_out,
)
from alerting.operators.actions_and_mutes import (
    Action,
    EndingEvent,
    Flags,
    IsaState,
    Matcher,
    Mute,
    MuteKind,
    MutePhase,
    Role,
    current_flags,
    isa_state,
    move,
    new_mute,
    permit,
    require_length,
)
from alerting.ports import EvaluationPorts, MutingPorts, OperatorPorts, Unit
from alerting.readings.history import from_millis, to_millis
from alerting.reporting.phrases import TAKEN_NAMES, VERDICT_NAMES
from alerting.stores.operators import FeedbackLog
from alerting.usecases.definitions.versions import newest_of_target, require_revision
from alerting.usecases.episodes.mutes_and_suppression import (
    MutesInForce,
    end_by_event,
    line_condition,
    mutes_at,
)
from alerting.usecases.episodes.outcomes import current_progress, update_outcome
from alerting.usecases.episodes.stored_episodes import (
    EpisodeChanges,
    find_episode,
    forget_open,
    update,
    why_not_evaluated,
)
from alerting.usecases.notification.muting_and_summaries import (
    audit_subject,
    record_end,
    record_mutes,
    tend_mutes,
)
from alerting.usecases.notification.routing import change_notifications, correct_if_known_late


@dataclass(frozen=True)
class Actor:
    """The person or service that acts, and its role."""

    name: str
    role: Role


@dataclass(frozen=True)
class OperatorState:
    """Operator state of an episode: flags, their ISA-18.2 name, what mutes the episode, and whether
    it was the first-out of several.

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
        stamp = ActorStamp(actor.name, acted_at or at)
        marked = replace(current, confirmed=current.confirmed or stamp)
        return _set_acknowledged(marked, actor, at).with_transition(
            "confirmed", at, did, actor.name
        )

    return _act(platform, episode.id, "confirm", actor, at, done, did)


def close(platform: EvaluationPorts, id: str, actor: Actor, at: datetime, reason: str) -> Episode:
    """Close by hand an alert that nothing evaluates, or of which no reading shows whether it goes
    on; notify its recipients. It is raised again by a further reading only.

    Raises UserError without a reason, and for an alert whose readings end it.
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
            forget_open(platform.states, key, revision, at, unit, by_hand=True)

    return _act(platform, id, "close", actor, at, end, reason, forget)


def can_be_closed(platform: EvaluationPorts, episode: Episode, at: datetime) -> str | None:
    """Return why a person may close an open alert: no reading tells whether it goes on. None if
    readings do."""
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
    if progress is not None:
        raise UserError(
            translatable(
                "it ends by itself with its problem, which still goes on: {what}; mute it instead",
                what=progress.message,
            )
        )
    if episode.phase == "expected" and episode.valid_until is not None:
        expected = template(
            "its problem is expected, and it ends by itself at {when} unless the risk goes on; "
            "mute it instead"
        )
        raise UserError(translatable(expected, when=episode.valid_until))
    raise UserError(
        translatable(
            "its readings still show it, and end it when they no longer do: {reason}; mute it "
            "instead, or end it by hand once no reading has come for a while",
            reason=episode.current.reason,
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
        if episode.assigned_to == to:
            return episode
        reason = translatable("to {person}", person=to)
        return replace(episode, assigned_to=to).with_transition("assigned", at, reason, actor.name)

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
    revision = newest_of_target(platform.definitions, episode.definition)
    definition = revision.definition if revision else None
    line = line_condition(platform, definition, episode.asset, now, episode.severity)
    flags = current_flags(episode, mutes, line.suppressed)
    suppressed_because = line.reason if line.suppressed else None
    return OperatorState(
        flags, isa_state(flags), mutes, first_out(episode, near), suppressed_because, line.unknown
    )


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
        old = _audit_fields(platform, before, at)
        new = _audit_fields(platform, after, at)
        platform.audit.add(actor.name, action, after.id, at, old, new, why)
    return after


def _audit_fields(platform: MutingPorts, episode: Episode, at: datetime) -> dict[str, str | None]:
    comments = [t.reason for t in episode.transitions if t.kind == "commented"]
    return {
        "state": isa_state(operator_state(platform, episode, at).flags),
        "assigned_to": episode.assigned_to,
        "comment": comments[-1] if comments else None,
    }


def _set_acknowledged(episode: Episode, actor: Actor, at: datetime) -> Episode:
    return replace(episode, acknowledged=episode.acknowledged or ActorStamp(actor.name, at))


BEGUN = template("muted")
PROLONGED = template("mute prolonged")
_START: Mapping[MuteKind, Action] = {
    "plain": "mute", "maintenance": "mute", "out_of_service": "take_out_of_service",
}  # fmt: skip
_END: Mapping[MuteKind, Action] = {
    "plain": "unmute", "maintenance": "unmute", "out_of_service": "return_to_service",
}  # fmt: skip
_MOST = 1_000


@dataclass(frozen=True)
class MuteList:
    """The mutes: present ones, planned ones (the next first), and ones that ended within a month
    (the last first)."""

    at: datetime
    present: tuple[Mute, ...]
    planned: tuple[Mute, ...]
    past: tuple[Mute, ...]


def start_mute(
    platform: MutingPorts,
    kind: MuteKind,
    matcher: Matcher,
    since: datetime | None,
    until: datetime | None,
    event: EndingEvent | None,
    reason: str,
    notified: Iterable[str],
    actor: Actor,
    now: datetime,
) -> Mute:
    """Mute alarms now, or from a later time on (`since`). `notified`: channels. If an equal mute
    begins at the same time, or the same definition on the same asset is muted already, that mute
    gets the new end and reason.

    Raises NotFound for an unknown asset, definition, event type or channel, Conflicting where too
    many are present or planned, UserError and NotAllowed as `new_mute`.
    """
    permit(_START[kind], actor.role)
    channels = set(notified)
    _require_known(platform, matcher, event, channels)
    made = new_mute(
        kind, matcher, since, until, event, reason, channels, actor.name, actor.role, now
    )
    while True:
        stored = [end_by_event(platform, mute) for mute in platform.mutes.not_ended()]
        running = [mute for mute in stored if mute.phase(now) != "over"]
        _require_possible(running, made, now)
        same = next((mute for mute in running if _is_same(mute, made, now)), None)
        longer = made if same is None else made.instead_of(same)
        if platform.mutes.insert(made) if same is None else platform.mutes.replace(longer):
            break
        if same is None:
            made = made.with_new_id()
    before = None if same is None else _audited_mute(same)
    platform.audit.add(
        actor.name, BEGUN, audit_subject(made), now, before, _audited_mute(longer), made.reason
    )
    others = [mute for mute in running if mute is not same]
    in_force = [*others, end_by_event(platform, longer)]
    still_open = platform.episodes.find(open_only=True)
    record_mutes(platform, still_open, {}, MutesInForce(in_force, platform.assets), now)
    return longer


def end_mute(platform: MutingPorts, id: str, actor: Actor, now: datetime, reason: str = "") -> Mute:
    """End a mute before its time, or cancel a planned one; an episode that is still open is
    announced once. Idempotent. Raises NotFound."""
    mute = find_mute(platform, id)
    permit(_END[mute.kind], actor.role)
    while mute.phase(now) != "over":
        why = " ".join(reason.split()) or translatable("ended by an operator")
        mute = record_end(platform, mute, now, actor.name, why) or find_mute(platform, id)
    tend_mutes(platform, now)
    return mute


def prolong_mute(
    platform: MutingPorts, id: str, until: datetime, actor: Actor, now: datetime
) -> Mute:
    """Move the end of a mute, for the same reason. Raises NotFound, UserError for a mute that is
    over, and as `require_length`."""
    while True:
        mute = find_mute(platform, id)
        permit(_START[mute.kind], actor.role)
        if mute.phase(now) == "over":
            raise UserError(translatable("it is over already: mute it again"))
        end = from_millis(to_millis(until))
        made_at = from_millis(to_millis(now))
        require_length(mute.kind, actor.role, max(mute.since, now), end, by_event=False)
        require_length(mute.kind, "admin", mute.since, end, mute.event is not None)
        longer = replace(mute, until=end, made_at=made_at, version=mute.version + 1)
        if platform.mutes.replace(longer):
            platform.audit.add(
                actor.name,
                PROLONGED,
                audit_subject(mute),
                now,
                _audited_mute(mute),
                _audited_mute(longer),
            )
            return longer


def find_mute(platform: MutingPorts, id: str) -> Mute:
    """Return the mute of this id, with the event that ended it. Raises NotFound."""
    mute = platform.mutes.get(id)
    if mute is None:
        raise NotFound(translatable("there is no mute “{id}”", id=id))
    return end_by_event(platform, mute)


def list_mutes(
    platform: MutingPorts, now: datetime, definition: str | None = None, asset: str | None = None
) -> MuteList:
    """Return the mutes that are present or planned, and mutes of the last month; only mutes that
    name a definition or cover alarms of an asset, if these are given."""
    month = now - timedelta(days=30)
    stored = [*platform.mutes.overlapping(month, now, _MOST), *platform.mutes.not_ended()]
    dated = {mute.id: end_by_event(platform, mute) for mute in stored}
    about = MutesInForce([*dated.values()], platform.assets).select_for(definition, asset)

    def those(phase: MutePhase) -> list[Mute]:
        return [mute for mute in about if mute.phase(now) == phase]

    return MuteList(
        now,
        tuple(sorted(those("present"), key=lambda mute: mute.end)),
        tuple(sorted(those("planned"), key=lambda mute: mute.since)),
        tuple(sorted(those("over"), key=lambda mute: mute.end, reverse=True)[:50]),
    )


def _is_same(mute: Mute, made: Mute, now: datetime) -> bool:
    """Return whether a new mute prolongs a mute: of the same alarms, and with the same begin, or
    both on a single target now."""
    matchers = [Matcher(m.part, m.asset, m.definition, m.up_to) for m in (mute, made)]
    begins = mute.since == made.since or (made.is_target and mute.since <= made.since <= now)
    return mute.kind == made.kind and matchers[0] == matchers[1] and begins


def _require_possible(running: Iterable[Mute], made: Mute, now: datetime) -> None:
    """Raise UserError if the target is out of service, Conflicting if there are too many mutes."""
    others = [mute for mute in running if not _is_same(mute, made, now)]
    if len(others) >= _MOST:
        raise Conflicting(
            translatable("{number} mutes are present or planned; end some of them", number=_MOST)
        )
    if made.is_target and any(
        mute.kind == "out_of_service"
        and (mute.definition, mute.asset) == (made.definition, made.asset)
        for mute in running
    ):
        move(Flags(out_of_service=True), _START[made.kind])


def _require_known(
    platform: MutingPorts, matcher: Matcher, event: EndingEvent | None, notified: set[str]
) -> None:
    """Raise NotFound with a name that is unknown, or for a definition that is not on the asset."""
    for name in (matcher.part, None if matcher.is_target else matcher.asset, event and event.asset):
        if name and platform.assets.get(name) is None:
            raise NotFound(translatable("there is no asset “{name}”", name=name))
    if matcher.definition:
        revision = newest_of_target(platform.definitions, matcher.definition) or require_revision(
            platform.definitions, matcher.definition
        )
        definition = revision.definition
        asset = matcher.asset and platform.assets.get(matcher.asset)
        if matcher.asset and not (asset and names_asset(definition, matcher.asset)):
            names = [a.name for a in matching_assets(definition, platform.assets.all())]
            raise NotFound(
                f"{matcher.definition!r} does not apply to {matcher.asset!r}; it applies to "
                f"{', '.join(names) or 'no known asset'}"
            )
    types = [] if event is None else [type_.name for type_ in platform.assets.event_types()]
    if event is not None and event.type not in types:
        raise NotFound(
            translatable(
                "there is no event type “{name}”; known: {known}",
                name=event.type,
                known=", ".join(close_names(event.type, types) or types[:10]) or "-",
            )
        )
    for name in sorted(notified - platform.channels.keys()):
        raise NotFound(translatable("there is no channel “{name}”", name=name))


_AUDITED = (
    "kind", "part", "asset", "definition", "up_to", "since", "until", "event", "event_asset",
    "notified",
)  # fmt: skip


def _audited_mute(mute: Mute) -> dict[str, Any]:
    return {name: value for name in _AUDITED if (value := getattr(mute, name))}


def give_feedback(platform: OperatorPorts, answer: Feedback, once: str | None = None) -> Episode:
    """Append the feedback of an operator to an episode and determine its outcome again.

    `answer.episode` may be the unique beginning of an id. Of several answers at once with the same
    text `once` only one is stored. Raises UserError for an empty answer, and NotFound for an
    unknown episode.
    """
    feedback = replace(answer, episode=find_episode(platform.episodes, answer.episode).id)
    if not (
        feedback.verdict or feedback.acted or feedback.comment or feedback.recommendation_taken
    ):
        raise UserError(
            translatable(
                "the feedback is empty: give a verdict, an action, a comment, or whether you "
                "followed the recommendation"
            )
        )
    if feedback.action and not feedback.acted:
        raise UserError(
            translatable("an action is given without the mark that you acted; set acted (--acted)")
        )
    if feedback.recommendation_taken in ("yes", "partly", "other") and not feedback.acted:
        raise UserError(
            f"recommendation_taken {feedback.recommendation_taken} says that you acted; set acted "
            "(--acted) too"
        )
    if feedback.acted_at is not None and feedback.acted_at > feedback.at:
        raise UserError(
            in_english("acted at {at} lies after now, {now}", at=feedback.acted_at, now=feedback.at)
        )
    stored = platform.feedback.append(feedback, once)
    earlier = [
        previous
        for previous in platform.feedback.for_episode(stored.episode)
        if previous.at < stored.at
    ]
    platform.audit.add(
        stored.actor,
        "feedback",
        stored.episode,
        stored.at,
        _audited_feedback(earlier[-1]) if earlier else None,
        _audited_feedback(stored),
        stored.comment or stored.action or "",
    )
    update(
        platform, feedback.episode, lambda e, _: _record_on_episode(platform.feedback, e, stored)
    )
    update_outcome(platform, feedback.episode, feedback.at, correct_if_known_late)
    determined = platform.episodes.get(feedback.episode)
    assert determined is not None  # noqa: S101 - episodes are never deleted
    return determined


def _audited_feedback(feedback: Feedback) -> dict[str, object]:
    fields = ("verdict", "acted", "action", "comment", "recommendation_taken")
    return {name: getattr(feedback, name) for name in fields}


def _record_on_episode(log: FeedbackLog, episode: Episode, feedback: Feedback) -> Episode:
    """Return the episode with the feedback of the log. After a crash between log and episode the
    next feedback completes it."""
    parts = [VERDICT_NAMES[feedback.verdict]] if feedback.verdict else []
    parts += [translatable("acted")] * feedback.acted + [translatable("commented")] * bool(
        feedback.comment
    )
    parts += [TAKEN_NAMES[feedback.recommendation_taken]] if feedback.recommendation_taken else []
    transition = Transition("feedback", feedback.at, feedback.actor, join_with_and(*parts))
    added = () if transition in episode.transitions else (transition,)
    return replace(
        episode,
        feedback=tuple(log.for_episode(episode.id)),
        transitions=(*episode.transitions, *added),
    )
