"""Determine the outcomes of episodes from the readings of their outcome window and from feedback."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pandas as pd

from alerting.definitions.assets import Asset
from alerting.definitions.model import Definition, Problem
from alerting.detection.problems import find_problems, problem_samples
from alerting.episodes.episode import Episode, OutcomeRecord, Transition
from alerting.episodes.outcome import Observed, acted_within, consensus, determine_outcome
from alerting.kinds.registry import kind_of
from alerting.learning.data.labels import last_known_instant
from alerting.ports import Platform
from alerting.readings.history import History, Millis, from_millis, millis, to_millis
from alerting.usecases.episodes.changes import EpisodeChanges, update_and_notify

_SOON, _TRY_SOON = timedelta(hours=6), timedelta(minutes=5)
_BEYOND = timedelta(days=2)  # readings after the window show that recording continued
_TRY_AGAIN = timedelta(days=1)
_STOP_TRYING = timedelta(days=30)


# Adds the correction of what the recipients of an episode were told, whose outcome has changed.
Correct = Callable[[EpisodeChanges, Definition, Episode, datetime], None]


def determine_due_outcomes(platform: Platform, as_of: datetime, correct: Correct | None = None) -> int:
    """Determine the outcome of every episode that is due. Return how many outcomes changed."""
    due = platform.episodes.with_due_outcomes(as_of)
    return sum(update_outcome(platform, episode.id, as_of, correct) for episode in due)


def update_outcome(platform: Platform, episode_id: str, as_of: datetime, correct: Correct | None = None) -> bool:
    """Determine the outcome of one episode in the point-in-time view of as_of. Return True if it changed."""
    changed = False

    def determine(episode: Episode, changes: EpisodeChanges) -> Episode:
        nonlocal changed
        revisions = platform.definitions.revisions(episode.definition)
        revision = next((r for r in revisions if r.number == episode.revision), None)
        if revision is None:  # its document is faulty: determined once it is corrected
            return episode
        outcome_record, next_due = _outcome_record(platform, episode, revision.definition, as_of)
        changed = outcome_record != episode.outcome_record
        after = _with_outcome_record(episode, outcome_record, next_due, as_of)
        if changed and correct is not None:
            correct(changes, revision.definition, after, as_of)
        return after

    update_and_notify(platform, episode_id, determine)
    return changed


def _with_outcome_record(episode: Episode, outcome_record: OutcomeRecord, next_due: datetime | None, as_of: datetime) -> Episode:
    if outcome_record == episode.outcome_record:
        return replace(episode, outcome_due_at=next_due)
    transition = Transition("outcome", as_of, "platform", f"{outcome_record.outcome}: {outcome_record.reason}")
    return replace(
        episode, outcome_record=outcome_record, outcome_due_at=next_due, transitions=(*episode.transitions, transition)
    )


def _outcome_record(
    platform: Platform, episode: Episode, definition: Definition, as_of: datetime
) -> tuple[OutcomeRecord, datetime | None]:
    verdict, _ = consensus(episode.feedback)
    if definition.problem is None:
        return determine_outcome(False, Observed("unknown"), False, verdict), None
    window_end = episode.raised_at + definition.gap + definition.horizon
    asset = platform.assets.get(episode.asset)
    if asset is None and episode.asset in platform.assets.faulty():  # determined once it is corrected
        unknown = Observed("unknown", reason="the document of the asset is faulty")
        return episode.outcome_record or determine_outcome(True, unknown, False, verdict), as_of + _TRY_AGAIN
    if asset is None:
        return determine_outcome(True, Observed("unknown", reason="the asset no longer exists"), False, verdict), None
    observed = _observe(platform, asset, episode, definition, definition.problem, window_end, as_of)
    acted = acted_within(episode.feedback, episode.raised_at, window_end)
    next_due = _next_try(observed, _mature_at(definition.problem, asset, window_end, platform.latency), as_of)
    return determine_outcome(True, observed, acted, verdict), next_due


def _mature_at(problem: Problem, asset: Asset, window_end: datetime, latency: timedelta) -> datetime:
    """Return the instant from which the outcome window is fully known. `latency`: the platform's."""
    variable = asset.variables.get(problem.variable or "")
    delay = variable.delay if variable else timedelta(0)
    return window_end + problem.hold + delay + asset.latency(problem.variable or "", latency)


def _next_try(observed: Observed, mature_at: datetime, as_of: datetime) -> datetime | None:
    if observed.occurred != "unknown":
        return None
    if as_of < mature_at:
        return mature_at
    if as_of < mature_at + _SOON:
        return as_of + _TRY_SOON
    return as_of + _TRY_AGAIN if as_of < mature_at + _STOP_TRYING else None


def _observe(
    platform: Platform,
    asset: Asset,
    episode: Episode,
    definition: Definition,
    problem: Problem,
    window_end: datetime,
    as_of: datetime,
) -> Observed:
    mature_at = _mature_at(problem, asset, window_end, platform.latency)
    start = episode.raised_at - problem.hold - timedelta(days=1)
    history = platform.readings.load(asset, start, min(as_of, mature_at + _BEYOND))
    found = find_problems(problem, history)
    problems_known = found[(millis(found["known_at"]) <= to_millis(as_of))]
    starts = millis(problems_known["start"])
    if kind_of(definition).outcome(definition, asset) == "state":
        starts = _bad_samples(problem, history, as_of)
    inside = starts[(starts > to_millis(episode.raised_at)) & (starts <= to_millis(window_end))]
    if len(inside):
        at = from_millis(int(inside[0]))
        return Observed("too_late" if at < episode.raised_at + definition.gap else "in_time", at)
    if as_of < mature_at:
        return Observed("unknown", reason=f"the outcome is known at {mature_at.isoformat()}")
    return _without_occurrence(problem, history, episode.raised_at, window_end, as_of)


def _bad_samples(problem: Problem, history: History, as_of: datetime) -> Millis:
    """Return the instants of all samples that show the problem and are known: for predictions of a state."""
    ts, bad = problem_samples(problem, history)
    problems_known = ts <= to_millis(as_of - history.delay(problem.variable or ""))
    return ts[bad & problems_known]


def _without_occurrence(problem: Problem, history: History, start: datetime, end: datetime, as_of: datetime) -> Observed:
    """Return the observation when no problem was found: `no` if data cover the window, else unknown. The rule of labels."""
    ts, _ = problem_samples(problem, history)
    samples = ts if problem.variable else millis(pd.DatetimeIndex(history.readings.index))
    if not ((samples > to_millis(start)) & (samples <= to_millis(end))).any():
        return Observed("unknown", reason="no data within the outcome window")
    if to_millis(end + problem.hold) > last_known_instant(problem, history, ts, to_millis(as_of)):
        return Observed(
            "unknown", reason=f"the data end at {from_millis(int(samples[-1])).isoformat()}, before the outcome window"
        )
    return Observed("no")
