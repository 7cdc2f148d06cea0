"""Keep what judging found: episodes with their transitions, reasons and notifications, each in one write."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from alerting.definitions.assets import Asset
from alerting.definitions.durations import format_duration
from alerting.definitions.model import SEVERITIES, ClassifierDefinition, Definition, Revision, Severity, ThresholdDefinition
from alerting.detection.evaluation import Evaluation
from alerting.detection.messages import limit_words, risk_words
from alerting.episodes.episode import Contribution, Episode, RecommendationResult, Transition, episode_id
from alerting.episodes.lifecycle import ConditionState, Step
from alerting.ports import Platform
from alerting.readings.history import History
from alerting.recommendation.contributions import contributions
from alerting.recommendation.whatif import recommend
from alerting.usecases.definitions.versions import VersionInterval
from alerting.usecases.episodes.store import update
from alerting.usecases.evaluation.evaluate_target import Judgement, Raise
from alerting.usecases.notification.muting import as_muted, silence_at_raise
from alerting.usecases.notification.routes import end_notices, raise_notices, worse_notices
from alerting.usecases.registry.registration import first_line

_ACTOR = "platform"


@dataclass(frozen=True)
class Kept:
    """The state to keep, and how many episodes were raised, closed, or found no more."""

    state: ConditionState
    raised: int = 0
    closed: int = 0
    withdrawn: int = 0


def keep_live(platform: Platform, revision: Revision, asset: Asset, judged: Judgement, as_of: datetime) -> Kept:
    """Insert raised episodes and move open ones on. Of several raised at once after an outage only the last is announced."""
    for key, steps in _continuing(judged, revision, asset).items():  # first: only one may be open at a time
        _go_on(platform, revision, asset, judged, key, steps, as_of)
    fresh = [*new_episodes(judged, revision, asset, detected_at=as_of, backfilled=False).values()]
    state, raised = judged.state, 0
    for episode, (stored, new) in zip(fresh, insert_told(platform, revision, fresh, as_of), strict=True):
        raised += new
        if state.raised_at == episode.raised_at and stored.raised_at != episode.raised_at:
            state = replace(state, raised_at=stored.raised_at)
    return Kept(state, raised=raised, closed=sum(s.kind == "closed" for s, _ in judged.steps))


def insert_told(platform: Platform, revision: Revision, fresh: Sequence[Episode], as_of: datetime) -> list[tuple[Episode, bool]]:
    """Insert episodes, oldest first, with who is to be told: of what is over for long in a digest, else of the last alone.

    Each as it is stored, and whether it is new.
    """
    kept = []
    for episode in fresh:
        last = episode is fresh[-1]
        announced = _announce(platform, revision, episode, as_of, len(fresh) - 1 if last else 0, not last)
        stored = _insert(platform, revision, announced, as_of)
        kept.append((stored, stored == announced))
    return kept


def _continuing(judged: Judgement, revision: Revision, asset: Asset) -> dict[str, list[tuple[Step, VersionInterval]]]:
    """Steps of episodes that were raised before this run, by id."""
    found: dict[str, list[tuple[Step, VersionInterval]]] = {}
    for step, part in judged.steps:
        if step.kind != "raised" and step.raised_at not in judged.raises:
            found.setdefault(episode_id(revision.name, asset.name, step.raised_at), []).append((step, part))
    return found


def new_episodes(
    judged: Judgement, revision: Revision, asset: Asset, detected_at: datetime | None, backfilled: bool
) -> dict[str, Episode]:
    """Episodes raised in this run by id, oldest first, with what happened to them since."""
    found: dict[str, Episode] = {}
    for step, part in judged.steps:
        key = episode_id(revision.name, asset.name, step.raised_at)
        if step.kind == "raised" and part.revision is not None:
            raised = _raised(step, part.revision, asset, judged, detected_at or step.at)
            found[key] = replace(raised, backfilled=backfilled)
        elif key in found:
            found[key] = _stepped(found[key], step, part, asset, judged)
    return found


def _raised(step: Step, revision: Revision, asset: Asset, judged: Judgement, detected_at: datetime) -> Episode:
    definition, at_raise = revision.definition, judged.raises[step.at]
    promise = definition.gap + definition.horizon
    why, advice, fault = _explained(definition, asset, at_raise, judged.history, step.at)
    evaluation = _evaluation(definition, asset, step, at_raise)
    promised = definition.problem is not None
    return Episode(
        id=episode_id(revision.name, asset.name, step.at),
        definition=revision.name,
        revision=revision.number,
        kind=definition.kind,
        asset=asset.name,
        title=definition.title or definition.name,
        severity=step.severity or definition.severity,
        raised_at=step.at,
        detected_at=detected_at,
        condition="open",
        closed_at=None,
        evaluation=replace(evaluation, reason=evaluation.reason + fault),
        valid_until=step.at + promise if promised else None,
        continues=episode_id(revision.name, asset.name, step.follows) if step.follows else None,
        model_version=at_raise.model_version,
        inputs=_inputs(definition, judged.history, at_raise, step.at),
        guidance={k: v for k, v in definition.guidance.model_dump().items() if v},
        transitions=(Transition("raised", step.at, _ACTOR, step.reason),),
        outcome_due_at=step.at if promised else None,
        contributions=why,
        recommendation=advice,
    )


def _evaluation(definition: Definition, asset: Asset, step: Step, at_raise: Raise) -> Evaluation:
    if isinstance(definition, ThresholdDefinition):
        return _threshold_evaluation(definition, asset, step, at_raise)
    threshold = at_raise.model.threshold if at_raise.model else None
    reason = risk_words(definition, asset, at_raise.value or 0.0, threshold)
    return Evaluation(step.at, "triggered", reason, at_raise.value, threshold, at_raise.model_version)


def _threshold_evaluation(definition: ThresholdDefinition, asset: Asset, step: Step, at_raise: Raise) -> Evaluation:
    if at_raise.seen is None:
        return Evaluation(step.at, "triggered", step.reason)
    reason, limit = limit_words(definition, asset, at_raise.seen, step.severity)
    return Evaluation(step.at, "triggered", reason, at_raise.value, limit)


def _inputs(definition: Definition, history: History | None, at_raise: Raise, at: datetime) -> dict[str, float | str | None]:
    """The last value of every variable that the judgement may use, as it stood at the raise."""
    if isinstance(definition, ThresholdDefinition):
        return {definition.variable: at_raise.seen.value if at_raise.seen else None}
    if history is None or at_raise.model is None:
        return {}
    return {n: _last_known(history, n, at) for n in at_raise.model.plan.variables}


def _last_known(history: History, variable: str, at: datetime) -> float | str | None:
    if variable not in history.readings:
        return None
    known = history.readings[variable].dropna().loc[: at - history.delay(variable)]
    last: float | str | None = known.iloc[-1] if len(known) else None
    return last


def _explained(
    definition: Definition, asset: Asset, at_raise: Raise, history: History | None, at: datetime
) -> tuple[tuple[Contribution, ...], RecommendationResult | None, str]:
    """Contributions and advice; where the model fails in them the alarm is raised without, and says so."""
    try:
        model, row = at_raise.model, at_raise.row
        why = () if model is None or row is None else contributions(model, row, asset)
        return why, _advice(definition, at_raise, history, at), ""
    except Exception as fault:
        return (), None, f"; the model cannot explain it: {first_line(fault)}"


def _advice(definition: Definition, at_raise: Raise, history: History | None, at: datetime) -> RecommendationResult | None:
    if not isinstance(definition, ClassifierDefinition) or at_raise.model is None or history is None:
        return None
    return recommend(at_raise.model, history, at, definition.recommendation.max_changes)


def _stepped(episode: Episode, step: Step, part: VersionInterval, asset: Asset, judged: Judgement) -> Episode:
    """The episode after a step; one that it has taken before changes nothing. Reopened, it may end again where it did."""
    if step.kind != "closed" and any(t.kind == step.kind and t.at == step.at for t in episode.transitions):
        return episode
    if step.kind == "closed":
        other = part.revision is not None and part.revision.number != episode.revision
        return _closed(episode, step, f" (judged by revision {part.revision.number})" if other and part.revision else "")
    if step.kind == "severity" and step.severity is not None:
        return _with_severity(episode, step, step.severity, _severity_reason(step, part, asset, judged))
    return replace(episode, transitions=(*episode.transitions, Transition(step.kind, step.at, _ACTOR, step.reason)))


def _with_severity(episode: Episode, step: Step, severity: Severity, reason: str) -> Episode:
    peak = max(severity, episode.severity_peak or severity, key=SEVERITIES.index)
    transition = Transition("severity", step.at, _ACTOR, reason)
    return replace(episode, severity=severity, severity_peak=peak, transitions=(*episode.transitions, transition))


def _severity_reason(step: Step, part: VersionInterval, asset: Asset, judged: Judgement) -> str:
    seen, definition = judged.changes.get(step.at), part.revision.definition if part.revision else None
    if seen is None or not isinstance(definition, ThresholdDefinition):
        return step.reason
    return f"{step.reason}: {limit_words(definition, asset, seen, step.severity)[0]}"


def _closed(episode: Episode, step: Step, by: str = "") -> Episode:
    if episode.condition == "closed":
        return episode
    transition = Transition("closed", step.at, _ACTOR, step.reason + by)
    return replace(episode, condition="closed", closed_at=step.at, transitions=(*episode.transitions, transition))


def _announce(platform: Platform, revision: Revision, episode: Episode, as_of: datetime, more: int, digest_only: bool) -> Episode:
    reason = "continues" if episode.continues else "first notification"
    if episode.late_data_status:
        reason = f"known since {as_of.isoformat()}, from data that came late"
    if more:
        reason += f"; {more} more since {format_duration(as_of - episode.raised_at)} ago or earlier, found in the same catch-up"
    silence = silence_at_raise(platform, revision.definition, episode, as_of)
    if silence is not None:
        return as_muted(episode, silence, as_of)
    told = raise_notices(platform, revision.definition, episode, reason, as_of)
    told = tuple(n for n in told if n.held == "digest" or not digest_only)
    return replace(episode, outbox=(*episode.outbox, *told))


def _insert(platform: Platform, revision: Revision, episode: Episode, as_of: datetime) -> Episode:
    """Insert, or find the stored episode that this spell is: the same id, or the one open for the same pair."""
    if platform.episodes.insert(episode):
        return episode
    stored = platform.episodes.get(episode.id)
    if stored is None:
        open_ones = platform.episodes.find(definition=episode.definition, asset=episode.asset, open_only=True)
        if not open_ones:
            return _insert(platform, revision, episode, as_of)
        stored = open_ones[0]
    return update(platform, stored.id, lambda e: _taken_over(platform, revision, e, episode, as_of))


def _taken_over(platform: Platform, revision: Revision, stored: Episode, judged: Episode, as_of: datetime) -> Episode:
    """An episode whose evaluation died before it moved the watermark, brought up to what is judged by now, and told so."""
    taken = _taken(stored, judged)
    if taken == stored:
        return stored
    worst = replace(taken, condition="open", severity=taken.severity_peak or taken.severity)
    told = replace(taken, outbox=(*taken.outbox, *worse_notices(platform, revision.definition, worst, as_of)))
    if taken.condition != "closed":
        return told
    reason = taken.transitions[-1].reason
    return replace(told, outbox=(*told.outbox, *end_notices(platform, revision.definition, told, reason, as_of)))


def _taken(stored: Episode, judged: Episode) -> Episode:
    """The stored episode with the steps of the same spell that it has not taken yet."""
    if stored.condition == "closed":
        return stored
    known = {(t.kind, t.at) for t in stored.transitions}
    new = [t for t in judged.transitions if t.kind != "raised" and (t.kind, t.at) not in known]
    if not new:
        return stored
    return replace(
        stored,
        condition=judged.condition,
        closed_at=judged.closed_at,
        severity=judged.severity,
        severity_peak=judged.severity_peak,
        transitions=(*stored.transitions, *new),
    )


def _go_on(
    platform: Platform,
    revision: Revision,
    asset: Asset,
    judged: Judgement,
    id: str,
    steps: Sequence[tuple[Step, VersionInterval]],
    as_of: datetime,
) -> None:
    """Take the steps of an episode that was raised before, with the notifications that they cause, in one write."""

    def moved(episode: Episode) -> Episode:
        was_open = episode.condition == "open"
        for step, part in steps:
            episode = _stepped(episode, step, part, asset, judged)
            if was_open and step.kind == "severity":
                told = worse_notices(platform, revision.definition, episode, as_of)
                episode = replace(episode, outbox=(*episode.outbox, *told))
            if was_open and episode.condition == "closed":
                told = end_notices(platform, revision.definition, episode, episode.transitions[-1].reason, as_of)
                return replace(episode, outbox=(*episode.outbox, *told))
        return episode

    kept = kept_as(platform, revision, asset, id)
    if kept is not None:
        update(platform, kept, moved)


def kept_as(platform: Platform, revision: Revision, asset: Asset, id: str) -> str | None:
    """Under which id the episode of a spell is kept: late data may have moved its beginning, and only one is open at a time."""
    stored = platform.episodes.get(id)
    if stored is not None and not stored.withdrawn:
        return id
    open_ones = platform.episodes.find(revision.name, asset.name, open_only=True)
    return next((e.id for e in open_ones if not e.backfilled), None)


def keep_past(platform: Platform, revision: Revision, asset: Asset, judged: Judgement, start: datetime, end: datetime) -> Kept:
    """Keep the episodes of a past stretch. A spell that overlaps a kept episode is that episode.

    Kept backfilled ones that were not found again are marked. Nobody is told. What is open at the end of the stretch ends there.
    """
    existing = [e for e in platform.episodes.find(revision.name, asset.name, start, end) if not e.withdrawn]
    found = [_ended(e, end) for e in new_episodes(judged, revision, asset, detected_at=None, backfilled=True).values()]
    raised, matched = 0, set()
    for spell in found:
        same = next((e for e in existing if e.id not in matched and _overlap(e, spell)), None)
        if same is None:
            raised += _insert_past(platform, spell)
            matched.add(spell.id)
        else:
            matched.add(same.id)
            if same.backfilled:
                update(platform, same.id, partial(_corrected, judged=spell, at=end))
    gone = [e for e in existing if e.backfilled and e.id not in matched]
    for episode in gone:
        update(platform, episode.id, lambda e: _withdrawn(e, end))
    return Kept(judged.state, raised=raised, closed=len(found), withdrawn=len(gone))


def _ended(episode: Episode, end: datetime) -> Episode:
    if episode.condition == "closed":
        return episode
    return _closed(episode, Step("closed", end, episode.raised_at, "the judged stretch of the past ends here"))


def _insert_past(platform: Platform, spell: Episode) -> bool:
    if platform.episodes.insert(spell):
        return True
    update(platform, spell.id, lambda e: _corrected(e, spell, spell.closed_at or spell.raised_at))
    return False


def _overlap(one: Episode, other: Episode) -> bool:
    return one.raised_at < (other.closed_at or other.raised_at) and other.raised_at < (one.closed_at or one.raised_at)


def _corrected(stored: Episode, judged: Episode, at: datetime) -> Episode:
    """The stored episode with what judging anew found; identity, raise and feedback stay."""
    taken = replace(
        stored,
        revision=judged.revision,
        severity=judged.severity,
        severity_peak=judged.severity_peak,
        model_version=judged.model_version,
        evaluation=judged.evaluation,
        closed_at=judged.closed_at,
        contributions=judged.contributions,
        recommendation=judged.recommendation,
        inputs=judged.inputs,
        withdrawn=False,
    )
    if taken == stored:
        return stored
    transition = Transition("corrected", at, _ACTOR, "this past was judged anew")
    return replace(taken, transitions=(*stored.transitions, transition), outcome_due_at=judged.outcome_due_at)


def _withdrawn(stored: Episode, at: datetime) -> Episode:
    transition = Transition("corrected", at, _ACTOR, "not found again when this past was judged anew")
    return replace(stored, withdrawn=True, outcome_due_at=None, transitions=(*stored.transitions, transition))
