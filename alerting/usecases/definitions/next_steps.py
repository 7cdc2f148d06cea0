"""Next steps after definitions are applied: when they are evaluated, and when their models are
trained."""

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from croniter import croniter

from alerting.definitions.faults import format_duration
from alerting.definitions.model import Definition, ModelDefinition, matching_assets
from alerting.definitions.revisions import question_after
from alerting.definitions.wording.language import translatable
from alerting.definitions.wording.weekly_hours import hours_text
from alerting.ports import Assets, Decisions, Definitions, Trainings
from alerting.reporting.base import messages
from alerting.usecases.definitions.versions import last_promotion, present_answer

_TRAINED = "is new: training starts within two minutes in Airflow"


def next_steps(
    assets: Assets,
    definitions: Definitions,
    decisions: Decisions,
    trainings: Trainings,
    changed: Sequence[Definition],
    wall: datetime,
) -> list[str]:
    """Return a sentence for each definition that changes. `wall`: the real time, by which trainings
    are scheduled.

    The changes need not be applied yet.
    """
    return [
        translatable(
            "{name}: {text}",
            name=d.name,
            text=_evaluation(assets, d)
            or _training(assets, definitions, decisions, trainings, d, wall),
        )
        for d in changed
    ]


def one_step(steps: Sequence[str]) -> str | None:
    """Return the one next step after several definitions: their own if it is one, else how to
    follow them; None without any."""
    if len(steps) < 2:
        return next(iter(steps), None)
    trained = sum(_TRAINED in step for step in steps)
    some = f"all {trained}" if trained == len(steps) else f"{trained} of the {len(steps)}"
    waiting = f"{some} alerts wait for their first training; " if trained else ""
    return f"{waiting}follow all {len(steps)} with `alerting list`"


def clock_times(definition: Definition) -> list[str]:
    """Return the hours and the schedule of a definition, each with its time zone."""
    found: list[str] = []
    if definition.suppression is not None and definition.suppression.windows:
        found.append(
            translatable(
                "suppressed: {hours} {zone}",
                hours=hours_text(definition.suppression.windows),
                zone=definition.suppression.timezone,
            )
        )
    if isinstance(definition, ModelDefinition) and (cron := definition.retrain_cron):
        zone = definition.schedule.timezone
        found.append(translatable("trained by cron {cron} {zone}", cron=cron, zone=zone))
    if isinstance(definition, ModelDefinition) and definition.question_fields().get("timezone"):
        found.append(translatable("hours of the day: {zone}", zone=definition.schedule.timezone))
    return found


def _evaluation(stored: Assets, definition: Definition) -> str | None:
    """Describe the evaluation of a definition that no training decides; None for one with a model
    that has assets."""
    if definition.state == "retired":
        return translatable("is retired and no longer evaluated; its history stays")
    if definition.state == "draft":
        return translatable(
            "is a draft and not evaluated; show the alerts that it would raise with `alerting "
            "backtest {name}`, then apply it with `state: active`",
            name=definition.name,
        )
    if not matching_assets(definition, stored.find_matching(definition.assets)):
        return translatable("no known asset matches it; it is evaluated as soon as one does")
    if isinstance(definition, ModelDefinition):
        return None
    every = format_duration(definition.schedule.every)
    return translatable(
        "evaluated {where}, for the first time within {duration}, from its present readings on; "
        "for earlier readings: `alerting backtest {name}`",
        where=_where(stored, definition),
        duration=every,
        name=definition.name,
    )


def _where(stored: Assets, definition: Definition) -> str:
    assets = matching_assets(definition, stored.find_matching(definition.assets))
    every = format_duration(definition.schedule.every)
    if len(assets) == 1:
        return translatable("every {duration} on {asset}", duration=every, asset=assets[0].name)
    return translatable("every {duration} on {count} assets", duration=every, count=len(assets))


def _training(
    stored: Assets,
    definitions: Definitions,
    decisions: Decisions,
    trainings: Trainings,
    definition: Definition,
    wall: datetime,
) -> str:
    name = definition.name
    cron = definition.retrain_cron
    zone = ZoneInfo(definition.schedule.timezone)
    revisions = definitions.revisions(name)
    made = decisions.for_definition(name)
    question = question_after(definition, revisions[-1] if revisions else None)
    serving = last_promotion(made, question)
    where = _where(stored, definition)
    if cron is None:
        trains: str = translatable(
            "trains for another question only, or by hand: `alerting train {name}`", name=name
        )
    else:
        following: datetime = croniter(cron, wall.astimezone(zone)).get_next(datetime)
        trains = translatable(
            "trains next at {when} by its schedule, or now with `alerting train {name}`",
            when=messages.moment(following, zone),
            name=name,
        )
    if serving is not None:
        return translatable(
            "evaluated {where} by its champion, version {version}; its question is the same; it "
            "{trains}",
            where=where,
            version=str(serving.challenger_version),
            trains=trains,
        )
    if any(t.question == question and t.failure is None for t in trainings.for_definitions([name])):
        return translatable(
            "its question has been trained without a champion, so it is not evaluated yet; it "
            "{trains}",
            trains=trains,
        )
    before = present_answer(revisions, made)
    goes_on = (
        before.revision is not None
        and before.version is not None
        and before.revision.definition.state == "active"
    )
    until = (
        translatable(
            "until then revision {number} goes on {where}",
            number=str(before.revision.number),
            where=where,
        )
        if goes_on and before.revision
        else translatable("then it is evaluated {where}", where=where)
    )
    return translatable(
        "is new: training starts within two minutes in Airflow (without Airflow: `alerting train "
        "--due`); {until}",
        until=until,
    )
