"""Outcomes of episodes, from the readings of the outcome window and from feedback; the current
state of a predicted problem that has come; and whether a recommendation was followed, which is
proposed to the operator who answers."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import compress
from typing import NamedTuple

from alerting.deferred import np, pd
from alerting.definitions.alert_definition import Definition, Problem, TrainedDefinition
from alerting.definitions.asset_documents import Asset
from alerting.definitions.faults import UserError
from alerting.definitions.fields.condition_fields import Combination, Condition
from alerting.definitions.wording.language import joined, translatable
from alerting.detection.combined_conditions import (
    combined_truth,
    conditions_at,
    conditions_that_count,
)
from alerting.detection.evaluation_results_and_texts import (
    combined_happening_message,
    current_value_message,
    unknown_message,
    unknown_since_message,
)
from alerting.detection.problem_occurrences import (
    NOT_YET,
    find_problems,
    problem_delay,
    problem_lookback,
    problem_samples,
)
from alerting.episodes.episode import Episode, OutcomeRecord, RecommendationResult
from alerting.episodes.lifecycle import (
    Observed,
    acted_within,
    consensus,
    determine_outcome,
    outcome_in_maintenance,
)
from alerting.episodes.touched_production import (
    LONGEST_BACK,
    MOST_SHOWN,
    TouchedProduction,
    known_samples,
    longest_pause,
    touched_production,
    touched_time,
)
from alerting.kinds.registry import kind_of
from alerting.learning.data.row_labels import label_modes, last_known_instant
from alerting.ports import (
    Assets,
    Definitions,
    DerivedFeatureStore,
    EpisodePorts,
    MaterialPorts,
    OutcomePorts,
    Readings,
    WantedHistory,
)
from alerting.readings.history import (
    FAR_FUTURE,
    History,
    Millis,
    from_millis,
    millis,
    to_millis,
    with_older,
)
from alerting.recommendation.levers import narrow
from alerting.recommendation.similar_episodes import Recognition, recognise
from alerting.usecases.definitions.versions import find_revision, with_stored_features
from alerting.usecases.episodes.stored_episodes import EpisodeChanges, update

_SOON = timedelta(hours=6)
_TRY_SOON = timedelta(minutes=5)
_BEYOND = timedelta(days=2)  # readings after the window show that recording continued
_TRY_AGAIN = timedelta(days=1)
_STOP_TRYING = timedelta(days=30)


class _OutcomeWindow(NamedTuple):
    """The interval in which the problem of an episode must occur: (start, end], in time to act only
    after `too_late_until`."""

    raised: datetime
    start: datetime
    too_late_until: datetime
    end: datetime


# Adds the correction of what the recipients of an episode were told, whose outcome has changed.
Correct = Callable[[EpisodeChanges, Definition, Episode, datetime], None]


def determine_due_outcomes(
    platform: OutcomePorts, as_of: datetime, correct: Correct | None = None
) -> int:
    """Determine the outcome of every episode that is due. Return how many outcomes changed."""
    due = platform.episodes.with_due_outcomes(as_of)
    return sum(update_outcome(platform, episode.id, as_of, correct) for episode in due)


def update_outcome(
    platform: OutcomePorts, episode_id: str, as_of: datetime, correct: Correct | None = None
) -> bool:
    """Determine the outcome of one episode in the point-in-time view of as_of. Return True if it
    changed."""
    changed = False

    def determine(episode: Episode, changes: EpisodeChanges) -> Episode:
        nonlocal changed
        revision = find_revision(platform.definitions, episode.definition, episode.revision)
        if revision is None:  # its document is faulty: determined once it is corrected
            return episode
        outcome_record, next_due = _outcome_record(platform, episode, revision.definition, as_of)
        changed = outcome_record != episode.outcome_record
        after = _with_outcome_record(episode, outcome_record, next_due, as_of)
        if changed and correct is not None:
            correct(changes, revision.definition, after, as_of)
        return after

    update(platform, episode_id, determine)
    return changed


def outcome_at(platform: OutcomePorts, episode: Episode, as_of: datetime) -> Episode:
    """Return an episode as it was known at `as_of`: without later feedback, with the outcome that
    was determined by then."""
    determined = [t.at for t in episode.transitions if t.kind == "outcome"]
    feedback = tuple(f for f in episode.feedback if f.at <= as_of)
    if len(feedback) == len(episode.feedback) and all(at <= as_of for at in determined):
        return episode
    before = replace(
        episode,
        feedback=feedback,
        closed_at=_by(episode.closed_at, as_of),
        prediction_ended_at=_by(episode.prediction_ended_at, as_of),
        transitions=tuple(t for t in episode.transitions if t.at <= as_of),
    )
    earlier = [at for at in determined if at <= as_of]
    revision = find_revision(platform.definitions, episode.definition, episode.revision)
    if not earlier or revision is None:
        return replace(before, outcome_record=None)
    outcome_record, _ = _outcome_record(platform, before, revision.definition, max(earlier))
    return replace(before, outcome_record=outcome_record)


def _by(at: datetime | None, as_of: datetime) -> datetime | None:
    return at if at is not None and at <= as_of else None


def _with_outcome_record(
    episode: Episode, outcome_record: OutcomeRecord, next_due: datetime | None, as_of: datetime
) -> Episode:
    if outcome_record == episode.outcome_record:
        return replace(episode, outcome_due_at=next_due)
    reason = translatable(
        "{outcome}: {reason}", outcome=outcome_record.outcome, reason=outcome_record.reason
    )
    return episode.with_transition(
        "outcome", as_of, reason, outcome_record=outcome_record, outcome_due_at=next_due
    )


def _outcome_record(
    platform: OutcomePorts, episode: Episode, definition: Definition, as_of: datetime
) -> tuple[OutcomeRecord, datetime | None]:
    if episode.maintenance is not None:
        return outcome_in_maintenance(episode.feedback), None
    verdict, _ = consensus(episode.feedback)
    problem = definition.problem
    if problem is None:
        return determine_outcome(False, Observed("unknown"), False, verdict), None
    asset = platform.assets.get(episode.asset)
    if asset is None:
        if any(document.name == episode.asset for document in platform.assets.read_all()[1]):
            reason = translatable("the document of the asset is faulty")
            record = determine_outcome(True, Observed("unknown", reason=reason), False, verdict)
            return episode.outcome_record or record, as_of + _TRY_AGAIN  # until it is corrected
        reason = translatable("the asset no longer exists")
        return determine_outcome(True, Observed("unknown", reason=reason), False, verdict), None
    definition = definition.for_assets([asset])
    window = _outcome_window(platform.derived_features, definition, episode)
    delay = problem_delay(problem, asset, platform.assets.event_types())
    latency = max(
        (asset.latency(variable, platform.latency) for variable in problem.variables),
        default=platform.latency,
    )
    mature_at = window.end + problem.hold + delay + latency
    start = window.start - problem.hold - problem_lookback(problem) - timedelta(days=1)
    history = platform.readings.load(WantedHistory(asset, start, min(as_of, mature_at + _BEYOND)))
    observed = _observe(definition, problem, history, window, mature_at, as_of)
    acted = acted_within(episode.feedback, episode.raised_at, window.end)
    record = determine_outcome(True, observed, acted, verdict)
    if observed.occurred == "unknown" and as_of < mature_at:
        record = replace(record, known_at=mature_at)
    modes = definition.mode_problems if isinstance(definition, TrainedDefinition) else {}
    if not modes or observed.problem_at is None:
        return record, _next_try(observed, mature_at, as_of)
    ends = np.array([to_millis(window.start), to_millis(window.end)])
    question = kind_of(definition).outcome(definition, asset)
    [came] = label_modes(modes, definition.is_of_unit, question, history, ends[:1], ends[1:])
    record = replace(record, modes=tuple(compress(modes, came)))
    # a further one may come in the rest of the window
    return record, mature_at if as_of < mature_at else None


def _outcome_window(
    derived_features: DerivedFeatureStore, definition: Definition, episode: Episode
) -> _OutcomeWindow:
    """Return the interval in which the problem must occur: from the raise to the end of the
    prediction window, which moves with the risk. If the alarm is about the unit just made, it is
    the stride that ends at the raise."""
    if isinstance(definition, TrainedDefinition):
        definition = with_stored_features(derived_features, definition)
    raised = episode.raised_at
    window = definition.window
    has_end = episode.is_prediction or not isinstance(definition, TrainedDefinition)
    end = (episode.valid_until if has_end else None) or raised + window.until
    start = raised + min(window.after, timedelta(0))
    return _OutcomeWindow(raised, start, raised + window.after, end)


def _next_try(observed: Observed, mature_at: datetime, as_of: datetime) -> datetime | None:
    if observed.occurred != "unknown":
        return None
    if as_of < mature_at:
        return mature_at
    if as_of < mature_at + _SOON:
        return as_of + _TRY_SOON
    return as_of + _TRY_AGAIN if as_of < mature_at + _STOP_TRYING else None


def _observe(
    definition: Definition,
    problem: Problem,
    history: History,
    window: _OutcomeWindow,
    mature_at: datetime,
    as_of: datetime,
) -> Observed:
    problems = find_problems(problem, history)
    problems_known = problems[(millis(problems["known_at"]) <= to_millis(as_of))]
    starts = millis(problems_known["start"])
    if not isinstance(definition, TrainedDefinition):
        begun = _going_on_at(problems_known, window.raised)
        if begun is not None:
            return Observed("during", begun)
    if kind_of(definition).outcome(definition, history.asset) == "state":
        starts = _states(problem, history, problems_known, window, as_of)
    inside = starts[(starts > to_millis(window.start)) & (starts <= to_millis(window.end))]
    if len(inside):
        at = from_millis(int(inside[0]))
        return Observed("too_late" if at <= window.too_late_until else "in_time", at)
    if as_of < mature_at:
        return Observed(
            "unknown", reason=translatable("the outcome is known at {when}", when=mature_at)
        )
    return _without_occurrence(problem, history, window, as_of)


def _going_on_at(problems: pd.DataFrame, raised: datetime) -> datetime | None:
    """Return when the problem began that goes on at the raise; None if there is none. One without
    an end yet goes on."""
    end = millis(problems["end"])
    ends = np.where(end == NOT_YET, FAR_FUTURE, end)
    begun = millis(problems["start"])
    going_on = begun[(begun <= to_millis(raised)) & (to_millis(raised) <= ends)]
    return from_millis(int(going_on[0])) if len(going_on) else None


def _states(
    problem: Problem,
    history: History,
    problems: pd.DataFrame,
    window: _OutcomeWindow,
    as_of: datetime,
) -> Millis:
    """Return the instants that show the problem, for predictions of a state: its known samples, or
    the instants of an event.

    An event shows it at its start, or at the first instant of the window if it began earlier.
    """
    if problem.event is not None:
        start = millis(problems["start"])
        end = millis(problems["end"])
        in_time = to_millis(window.too_late_until) + 1
        lasts = (end == NOT_YET) | (end > in_time)
        return np.where(lasts, np.maximum(start, in_time), start)
    ts, bad = problem_samples(problem, history)
    problems_known = ts <= to_millis(as_of - problem_delay(problem, history.asset, ()))
    return ts[bad & problems_known]


def _without_occurrence(
    problem: Problem, history: History, window: _OutcomeWindow, as_of: datetime
) -> Observed:
    """Return the observation when no problem was found: `no` if data cover the window, else
    unknown. Labels follow the same rule."""
    ts, _ = problem_samples(problem, history)
    samples = ts if problem.event is None else millis(pd.DatetimeIndex(history.readings.index))
    if not ((samples > to_millis(window.start)) & (samples <= to_millis(window.end))).any():
        return Observed("unknown", reason=translatable("no data within the outcome window"))
    if to_millis(window.end + problem.hold) > last_known_instant(
        problem, history, ts, to_millis(as_of)
    ):
        return Observed(
            "unknown",
            reason=translatable(
                "the data end at {when}, before the outcome window",
                when=from_millis(int(samples[-1])),
            ),
        )
    return Observed("no")


def touched_by(
    platform: OutcomePorts | MaterialPorts,
    episode: Episode,
    at: datetime,
    most_lots: int | None = MOST_SHOWN,
) -> TouchedProduction | None:
    """Return the production to block because of an episode, as known at an instant, of more lots
    the first ones (`most_lots` None: all); None if it was withdrawn, its definition blocks none,
    its asset is gone, or documents or readings have a fault, which must hold back neither a page
    nor a message."""
    try:
        return _find_touched(platform, episode, at, most_lots)
    except (UserError, ValueError, ArithmeticError, LookupError, TypeError):
        logging.getLogger(__name__).exception("no block of episode %s", episode.id)
        return None


def _find_touched(
    platform: OutcomePorts | MaterialPorts, episode: Episode, at: datetime, most_lots: int | None
) -> TouchedProduction | None:
    revision = find_revision(platform.definitions, episode.definition, episode.revision)
    asset = platform.assets.get(episode.asset)
    problem = revision.definition.quality_problem if revision else None
    if revision is None or asset is None or problem is None or episode.withdrawn:
        return None
    definition = revision.definition
    if isinstance(definition, TrainedDefinition):
        definition = with_stored_features(platform.derived_features, definition)
    first = episode.raised_at - LONGEST_BACK - problem_lookback(problem)
    last = min(at, (episode.closed_at or at) + LONGEST_BACK)
    sampled = platform.readings.load(WantedHistory(asset, first, last, problem.variables))
    samples = known_samples(problem, sampled, at)
    expected_from = episode.raised_at + min(definition.window.after, timedelta(0))
    time = touched_time(samples, episode, expected_from, at)
    start = time.start - longest_pause(asset)
    names = [name for name, v in asset.variables.items() if v.counts or v.names]
    since = dict.fromkeys(names, start - LONGEST_BACK)
    older = platform.readings.newest_values(asset, since, start)
    made = with_older(platform.readings.load(WantedHistory(asset, start, last, names)), older)
    return touched_production(episode, time, samples, made, at, most_lots)


_STALE_AFTER: timedelta = Condition.model_fields["stale_after"].default


@dataclass(frozen=True)
class ProblemProgress:
    """State of a current problem, as a sentence. `is_known`: its last value is not stale, or its
    event began within a day."""

    is_known: bool
    message: str


def current_progress(
    platform: EpisodePorts, episode: Episode, now: datetime
) -> ProblemProgress | None:
    """Return the current state of the problem of an episode; None if it is not happening, or its
    definition is gone."""
    asset = platform.assets.get(episode.asset)
    revision = find_revision(platform.definitions, episode.definition, episode.revision)
    problem = revision.definition.problem if revision else None
    if (
        episode.phase != "happening"
        or episode.happening_at is None
        or asset is None
        or problem is None
    ):
        return None
    if (combination := problem.combination) is not None:
        return _last_values(platform.readings, asset, problem, combination, now)
    if problem.variable is None:
        lasts = now - episode.happening_at < _LONGEST_EVENT
        return ProblemProgress(lasts, translatable("Its event has no end yet"))
    return _last_value(
        platform.readings, asset, problem, problem.variable, episode.happening_at, now
    )


def _last_values(
    readings: Readings, asset: Asset, problem: Problem, combination: Combination, now: datetime
) -> ProblemProgress:
    """Return the state of a problem of several variables, by the values in force."""
    at = now - problem_delay(problem, asset, ())
    evaluations = conditions_at(
        combination,
        readings.load(
            WantedHistory(asset, at - 2 * problem_lookback(problem), at, problem.variables)
        ),
        at,
    )
    truth = combined_truth(combination, evaluations)
    if truth == "unknown":
        return ProblemProgress(
            False, joined("; ", translatable("Not known now"), unknown_message(asset, evaluations))
        )
    if truth == "clear":
        return ProblemProgress(True, translatable("Its conditions do not hold any more"))
    return ProblemProgress(
        True,
        combined_happening_message(
            combination, asset, conditions_that_count(combination, evaluations)
        ),
    )


def _last_value(
    readings: Readings,
    asset: Asset,
    problem: Problem,
    variable: str,
    happening_at: datetime,
    now: datetime,
) -> ProblemProgress:
    declared = asset.variables.get(variable)
    delay = asset.delay(variable)
    newest = readings.newest_values(
        asset, {variable: happening_at - timedelta(days=400)}, now - delay
    )
    if newest.empty:
        return ProblemProgress(False, unknown_since_message(asset, variable, happening_at))
    at = newest.index[-1].to_pydatetime()
    value = newest[variable].dropna().iloc[-1]
    usual = declared.sampling if declared and declared.sampling else timedelta(0)
    if now - delay - at > max(_STALE_AFTER, 2 * usual):
        return ProblemProgress(False, unknown_since_message(asset, variable, at))
    return ProblemProgress(True, current_value_message(problem, asset, value, at))


# An event without an end for longer may have lost it.
_LONGEST_EVENT = timedelta(days=1)
# A set-point that the model does not use must have been reported so shortly before the raise.
_BEFORE = timedelta(hours=1)


def recommendation_taken(
    platform: EpisodePorts, episode: Episode, now: datetime
) -> Recognition | None:
    """Return whether readings show that the recommendation was followed, from the raise to the end
    of the prediction, at most to now; None where nothing is known."""
    asset = _asset(platform.assets, platform.definitions, episode)
    if asset is None or not episode.is_prediction:
        return None
    advice = all_advice(episode)
    names = {c.variable for result in advice for c in result.changes}
    names |= {name for name, variable in asset.variables.items() if variable.controllable}
    chosen = sorted(names & asset.variables.keys())[:50]
    if not chosen:
        return None
    until = min(now, episode.ended_at or now)
    readings = platform.readings.load(
        WantedHistory(asset, episode.raised_at - _BEFORE, until, chosen)
    ).readings
    before = readings.loc[: episode.raised_at]
    at_raise = {
        name: before[name].dropna().iloc[-1]
        for name in chosen
        if name in before and before[name].notna().any()
    }
    at_raise |= {
        name: episode.inputs[name] for name in chosen if episode.inputs.get(name) is not None
    }
    at_raise |= {
        change.variable: change.before
        for change in (episode.recommendation.changes if episode.recommendation else ())
    }
    return recognise(advice, asset, at_raise, readings.loc[readings.index > episode.raised_at])


def _asset(assets: Assets, definitions: Definitions, episode: Episode) -> Asset | None:
    """Return the asset of an episode, with the narrower limits of its definition on its
    variables."""
    asset = assets.get(episode.asset)
    revision = find_revision(definitions, episode.definition, episode.revision)
    if asset is None or revision is None or not isinstance(revision.definition, TrainedDefinition):
        return asset
    limits = revision.definition.recommendation.variables
    variables = {
        name: narrow(variable, limits.get(name)) for name, variable in asset.variables.items()
    }
    return asset.model_copy(update={"variables": variables})


def all_advice(episode: Episode) -> list[RecommendationResult]:
    """Return the advice of the raise, the present advice, and the settings of the advice between
    them."""
    present = episode.present
    advice = [episode.recommendation, present.recommendation if present else None]
    advice += [
        RecommendationResult(e.changes, e.risk, e.risk, helps=False, message=e.message)
        for e in (present.earlier if present else ())
    ]
    return [recommendation for recommendation in advice if recommendation is not None]
