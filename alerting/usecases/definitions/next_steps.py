"""The next steps of a definition, in sentences: when it is evaluated, how far the training of its
model is, and why its question has no champion, with advice."""

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol
from zoneinfo import ZoneInfo

from croniter import croniter

from alerting.definitions.alert_definition import (
    Definition,
    ModelDefinition,
    Revision,
    matching_assets,
)
from alerting.definitions.faults import UserError, format_duration
from alerting.definitions.fields.names_and_times import hours_text
from alerting.definitions.revisions import question_after, question_of
from alerting.definitions.wording.language import (
    commands_of,
    joined,
    template,
    translatable,
    with_command,
)
from alerting.learning.selection.decision import PROPOSAL, Proposal
from alerting.ports import (
    Assets,
    DecisionRecord,
    Decisions,
    Definitions,
    Models,
    ModelUnavailable,
    Training,
    TrainingRuns,
    Trainings,
)
from alerting.usecases.definitions.versions import (
    describe_worse_forecasts,
    last_promotion,
    present_answer,
)

_TRAIN_DUE = "alerting train --due"
_ONE_TIME = re.compile(r"(\d{1,2}) (\d{1,2}) \* \* ([0-7*])")
_DAYS = {
    "*": template("day"),
    "0": template("Sunday"),
    "1": template("Monday"),
    "2": template("Tuesday"),
    "3": template("Wednesday"),
    "4": template("Thursday"),
    "5": template("Friday"),
    "6": template("Saturday"),
    "7": template("Sunday"),
}


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
            or _training_sentence(assets, definitions, decisions, trainings, d, wall),
        )
        for d in changed
    ]


def one_step(steps: Sequence[str]) -> str | None:
    """Return the one next step after several definitions: their common step, else how to follow
    them; None without definitions."""
    if len(steps) < 2:
        return next(iter(steps), None)
    trained = sum(_TRAIN_DUE in commands_of(step) for step in steps)
    some = f"all {trained}" if trained == len(steps) else f"{trained} of the {len(steps)}"
    waiting = f"{some} alerts wait for their first training; " if trained else ""
    return with_command(f"{waiting}follow all {len(steps)} in their list", "alerting list")


def clock_times(definition: Definition) -> list[str]:
    """Return the hours and the schedule of a definition, each with its time zone."""
    times: list[str] = []
    if definition.suppression is not None and definition.suppression.windows:
        times.append(
            translatable(
                "suppressed: {hours} {zone}",
                hours=hours_text(definition.suppression.windows),
                zone=definition.suppression.timezone,
            )
        )
    if isinstance(definition, ModelDefinition) and (cron := definition.retrain_cron):
        times.append(_training_time(cron, definition.schedule.timezone))
    if isinstance(definition, ModelDefinition) and definition.question_fields().get("timezone"):
        times.append(translatable("hours of the day: {zone}", zone=definition.schedule.timezone))
    return times


def _training_time(cron: str, zone: str) -> str:
    match = _ONE_TIME.fullmatch(cron)
    if match is None:
        return translatable("trained by cron {cron} {zone}", cron=cron, zone=zone)
    minute, hour, day = match.groups()
    return translatable(
        "trained each {day} at {time} {zone}",
        day=translatable(_DAYS[day]),
        time=f"{int(hour):02}:{int(minute):02}",
        zone=zone,
    )


def _evaluation(stored: Assets, definition: Definition) -> str | None:
    """Describe when a definition without a training is evaluated; None for a definition with a
    model that has assets."""
    if definition.state == "retired":
        return translatable("is retired and no longer evaluated; its history stays")
    if definition.state == "draft":
        return with_command(
            translatable(
                "is a draft and not evaluated; its preview shows the alerts that it would raise"
            ),
            f"alerting backtest {definition.name}",
        )
    if not matching_assets(definition, stored.find_matching(definition.assets)):
        return translatable("no known asset matches it; it is evaluated as soon as one does")
    if isinstance(definition, ModelDefinition):
        return None
    text = translatable(
        "evaluated {where}, for the first time within {duration}, from its present readings on; "
        "its preview shows earlier readings",
        where=_where(stored, definition),
        duration=format_duration(definition.schedule.every),
    )
    return with_command(text, f"alerting backtest {definition.name}")


def _where(stored: Assets, definition: Definition) -> str:
    assets = matching_assets(definition, stored.find_matching(definition.assets))
    every = format_duration(definition.schedule.every)
    if len(assets) == 1:
        return translatable("every {duration} on {asset}", duration=every, asset=assets[0].name)
    return translatable("every {duration} on {count} assets", duration=every, count=len(assets))


def _training_sentence(
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
            "trains for another question only, or with “Train now” on the page of its models"
        )
    else:
        following: datetime = croniter(cron, wall.astimezone(zone)).get_next(datetime)
        trains = translatable(
            "trains next at {when} by its schedule, or with “Train now” on the page of its models",
            when=following,
        )
    trains = with_command(trains, f"alerting train {name}")
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
    text = translatable("is new: training starts within two minutes; {until}", until=until)
    return with_command(text, _TRAIN_DUE)


class ChampionPorts(Protocol):
    """The ports that the sentence is made from."""

    @property
    def runs(self) -> TrainingRuns: ...

    @property
    def models(self) -> Models: ...

    @property
    def decisions(self) -> Decisions: ...

    @property
    def trainings(self) -> Trainings: ...


def describe_missing_champion(platform: ChampionPorts, revision: Revision, step: str = "") -> str:
    """Return why the question of a revision has no champion, with advice. `step`: the step of its
    training, if a training is under way."""
    name = revision.name
    question = question_of(revision)
    made = [d for d in platform.decisions.for_definition(name) if d.question in (None, question)]
    waiting = waiting_proposal(platform.runs, name, {d.run_id for d in made})
    if waiting is not None and waiting.question in (None, question):
        return describe_waiting(waiting)
    training = next(
        (t for t in platform.trainings.for_definitions([name]) if t.question == question), None
    )
    if training is not None and training.ended_at is None:
        return joined("", _it(training), step)
    if training is not None and training.failure is not None:
        return describe_training(training, False) or ""
    refused = next((d for d in reversed(made) if not d.promoted), None)
    if refused is not None:
        return translatable(
            "the last training put no model into service: {reason}", reason=refused.reason
        )
    if training is not None:
        return _it(training)
    return with_command(
        translatable("training starts within two minutes"), f"alerting train {name}"
    )


def _it(training: Training) -> str:
    return translatable("it {state}", state=describe_training(training, False) or "")


def describe_waiting(proposal: Proposal) -> str:
    """Return which version waits for a person."""
    text = translatable(
        "version {version} waits for approval: compare and decide on its page",
        version=str(proposal.refreshed_version or proposal.challenger_version),
    )
    return with_command(text, f"alerting model approve {proposal.run_id}")


def waiting_proposal(
    runs: TrainingRuns, name: str, decided: Collection[str | None]
) -> Proposal | None:
    """Return the newest proposal of a definition that waits for a person; None without one, or if
    the registry is away."""
    try:
        for run in runs.open_runs(name)[:5]:  # the newest; killed trainings stay open
            data = runs.files(run.id, "decision").get(PROPOSAL) if run.id not in decided else None
            proposal = None if data is None else Proposal.from_json(data, run.id)
            if proposal is not None and proposal.promote:
                return proposal
    except (ModelUnavailable, UserError):  # the registry is away, or a proposal is damaged
        return None
    return None


def describe_trainings(
    definitions: Definitions,
    decisions: Decisions,
    trainings: Trainings,
    newest: Sequence[Revision],
) -> dict[str, str]:
    """Return a sentence for each definition in service whose present question has no champion yet,
    or whose training failed.

    `newest`: the newest revision of each.
    """
    trained = trained_in_service(newest)
    names = [r.name for r in trained]
    histories = definitions.histories(names) if names else {}
    made = decisions.histories(names) if names else {}
    return training_sentences(trained, histories, made, trainings.for_definitions(names))


def trained_in_service(newest: Sequence[Revision]) -> list[Revision]:
    """Return the revisions in service of definitions with a model."""
    return [
        r
        for r in newest
        if isinstance(r.definition, ModelDefinition) and r.definition.state == "active"
    ]


def training_sentences(
    trained: Sequence[Revision],
    histories: Mapping[str, Sequence[Revision]],
    made: Mapping[str, Sequence[DecisionRecord]],
    trainings: Sequence[Training],
) -> dict[str, str]:
    """Return the sentences of `describe_trainings`. `histories`: all revisions of each definition;
    `made`: its decisions."""
    by_question = {(t.definition, t.question): t for t in trainings}
    descriptions = dict[str, str]()
    for revision in trained:
        answer = present_answer(
            histories.get(revision.name, [revision]), made.get(revision.name, [])
        )
        training = by_question.get((revision.name, question_of(revision) or ""))
        serves = answer.version is not None and answer.awaited is None
        state = describe_training(training, serves)
        worse = describe_worse_forecasts(made.get(revision.name, []), answer.version)
        sentences = [s for s in (answer.message, state, worse) if s]
        if sentences:
            descriptions[revision.name] = joined("; ", *sentences)
    return descriptions


def describe_training(training: Training | None, serves: bool) -> str | None:
    """Describe the training of a question; None if it has ended and there is nothing to say.
    `serves`: whether the question has a champion."""
    if training is None:
        return None if serves else translatable("training starts within two minutes")
    since = training.started_at
    if training.ended_at is None:
        return translatable("is being trained since {when}", when=since)
    if training.failure is not None:
        ended = training.ended_at
        if training.failures > 1:
            return translatable(
                "its training failed {number} times, last at {when}: {reason}",
                number=training.failures,
                when=ended,
                reason=training.failure,
            )
        return translatable(
            "its training failed at {when}: {reason}", when=ended, reason=training.failure
        )
    if serves:
        return None
    return translatable("was trained at {when} without a champion", when=since)


def champion_versions(
    definitions: Definitions, decisions: Decisions, newest: Sequence[Revision]
) -> dict[str, int]:
    """Return, by name, the registry version that evaluates each trained definition in service;
    definitions without a model are absent."""
    names = [r.name for r in trained_in_service(newest)]
    histories = definitions.histories(names) if names else {}
    made = decisions.histories(names) if names else {}
    answers = {name: present_answer(histories.get(name, []), made.get(name, [])) for name in names}
    return {name: a.version for name, a in answers.items() if a.version is not None}
