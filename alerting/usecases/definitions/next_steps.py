"""Next steps after definitions are applied: when they are evaluated, and when their models are trained."""

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from croniter import croniter

from alerting.definitions.durations import format_duration
from alerting.definitions.matching import matching_assets
from alerting.definitions.model import Definition, TrainedDefinition
from alerting.definitions.revisions import Plan
from alerting.ports import Assets, Decisions
from alerting.reporting import messages
from alerting.usecases.definitions.versions import last_promotion


def next_steps(assets: Assets, decisions: Decisions, plans: Sequence[Plan], wall: datetime) -> list[str]:
    """Return a sentence for each definition that changes. `wall`: the real time, by which trainings are scheduled."""
    return [f"{plan.name}: {_sentence(assets, decisions, plan.definition, wall)}" for plan in plans if plan.action != "unchanged"]


def _sentence(stored: Assets, decisions: Decisions, definition: Definition, wall: datetime) -> str:
    if definition.state == "retired":
        return "is retired and no longer evaluated; its history stays"
    if definition.state == "draft":
        return (
            f"is a draft and not evaluated; show the alerts that it would raise with `alerting backtest {definition.name}`, "
            "then apply it with `state: active`"
        )
    assets = matching_assets(definition, stored.all())
    if not assets:
        return "no known asset matches it; it is evaluated as soon as one does"
    on = assets[0].name if len(assets) == 1 else f"{len(assets)} assets"
    every = format_duration(definition.schedule.every)
    if isinstance(definition, TrainedDefinition):
        return _training(decisions, definition, on, every, wall)
    return (
        f"evaluated every {every} on {on}, for the first time within {every}, from its present readings on; "
        f"for earlier readings: `alerting backtest {definition.name}`"
    )


def _training(decisions: Decisions, definition: TrainedDefinition, on: str, every: str, wall: datetime) -> str:
    by_hand = f"`alerting train {definition.name}`"
    cron, zone = definition.schedule.retrain, ZoneInfo(definition.schedule.timezone)
    if cron is None:
        trains = f"trains only by hand: {by_hand}"
    else:
        following: datetime = croniter(cron, wall.astimezone(zone)).get_next(datetime)
        trains = f"trains next at {messages.moment(following, zone)} by its schedule, or now with {by_hand}"
    serving = last_promotion(decisions.of(definition.name))
    if serving is None:
        return f"has no champion, so it is not evaluated yet; it {trains}; then it is evaluated every {every} on {on}"
    return f"evaluated every {every} on {on} by its champion, version {serving.challenger_version}; it {trains}"
