"""Read whether the recommendation of an episode was followed, to propose it to the operator who
answers."""

from datetime import datetime, timedelta

from alerting.definitions.assets import Asset
from alerting.definitions.model import TrainedDefinition
from alerting.episodes.episode import Episode, RecommendationResult
from alerting.ports import Assets, Definitions, EpisodePorts
from alerting.recommendation.levers import narrow
from alerting.recommendation.recognition import Recognition, recognise

# in which a set-point that the model does not use must have been reported before the raise
_BEFORE = timedelta(hours=1)
_MOST_VARIABLES = 50


def recommendation_taken(
    platform: EpisodePorts, episode: Episode, now: datetime
) -> Recognition | None:
    """Return what the readings show from the raise to the end of the prediction, at most to now;
    None where nothing is known."""
    asset = _asset(platform.assets, platform.definitions, episode)
    if asset is None or not episode.is_prediction:
        return None
    advice = all_advice(episode)
    names = {c.variable for result in advice for c in result.changes}
    names |= {name for name, variable in asset.variables.items() if variable.controllable}
    chosen = sorted(names & asset.variables.keys())[:_MOST_VARIABLES]
    if not chosen:
        return None
    until = min(now, episode.ended_at or now)
    readings = platform.readings.load(asset, episode.raised_at - _BEFORE, until, chosen).readings
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
    """Return the asset of an episode, its variables within the narrower limits of the
    definition."""
    asset = assets.get(episode.asset)
    revision = next(
        (r for r in definitions.revisions(episode.definition) if r.number == episode.revision),
        None,
    )
    if asset is None or revision is None or not isinstance(revision.definition, TrainedDefinition):
        return asset
    limits = revision.definition.recommendation.variables
    variables = {
        name: narrow(variable, limits.get(name)) for name, variable in asset.variables.items()
    }
    return asset.model_copy(update={"variables": variables})


def all_advice(episode: Episode) -> list[RecommendationResult]:
    """Return the advice of the raise, that of now, and the settings of the advice between them."""
    present = episode.present
    found = [episode.recommendation, present.recommendation if present else None]
    found += [
        RecommendationResult(e.changes, e.risk, e.risk, helps=False, message=e.message)
        for e in (present.earlier if present else ())
    ]
    return [one for one in found if one is not None]
