"""Current state of a predicted problem that has come."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from alerting.definitions.assets import Asset
from alerting.definitions.fields.condition import Condition
from alerting.definitions.fields.conditions import Combination
from alerting.definitions.model import Problem
from alerting.definitions.wording.language import joined, translatable
from alerting.detection.conditions import combined_truth, conditions_at, conditions_that_count
from alerting.detection.messages.condition_messages import unknown_message
from alerting.detection.messages.problem_messages import (
    combined_happening_message,
    current_value_message,
    unknown_since_message,
)
from alerting.detection.problems import problem_delay, problem_lookback
from alerting.episodes.episode import Episode
from alerting.ports import EpisodePorts, Readings

_STALE_AFTER: timedelta = Condition.model_fields["stale_after"].default
_LONGEST = timedelta(days=400)


@dataclass(frozen=True)
class ProblemProgress:
    """State of a current problem, as a sentence. `is_known`: its last value is not stale."""

    is_known: bool
    message: str


def current_progress(
    platform: EpisodePorts, episode: Episode, now: datetime
) -> ProblemProgress | None:
    """Return the current state of the problem of an episode; None if it is not happening, or its
    definition is gone."""
    asset = platform.assets.get(episode.asset)
    revision = next(
        (
            r
            for r in platform.definitions.revisions(episode.definition)
            if r.number == episode.revision
        ),
        None,
    )
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
        return ProblemProgress(True, translatable("Its event has no end yet."))
    return _last_value(
        platform.readings, asset, problem, problem.variable, episode.happening_at, now
    )


def _last_values(
    readings: Readings, asset: Asset, problem: Problem, combination: Combination, now: datetime
) -> ProblemProgress:
    """Return the state of a problem of several variables, by the values that are in force."""
    at = now - problem_delay(problem, asset, ())
    found = conditions_at(
        combination,
        readings.load(asset, at - 2 * problem_lookback(problem), at, problem.variables),
        at,
    )
    truth = combined_truth(combination, found)
    if truth == "unknown":
        return ProblemProgress(
            False, joined("; ", translatable("Not known now"), unknown_message(asset, found))
        )
    if truth == "clear":
        return ProblemProgress(True, translatable("Its conditions do not hold any more."))
    return ProblemProgress(
        True,
        combined_happening_message(combination, asset, conditions_that_count(combination, found)),
    )


def _last_value(
    readings: Readings,
    asset: Asset,
    problem: Problem,
    variable: str,
    happening_at: datetime,
    now: datetime,
) -> ProblemProgress:
    known = asset.variables.get(variable)
    delay = asset.delay(variable)
    newest = readings.newest_values(asset, {variable: happening_at - _LONGEST}, now - delay)
    if newest.empty:
        return ProblemProgress(False, unknown_since_message(asset, variable, happening_at))
    at = newest.index[-1].to_pydatetime()
    value = newest[variable].dropna().iloc[-1]
    usual = known.sampling if known and known.sampling else timedelta(0)
    if now - delay - at > max(_STALE_AFTER, 2 * usual):
        return ProblemProgress(False, unknown_since_message(asset, variable, at))
    return ProblemProgress(True, current_value_message(problem, asset, value, at))
