"""State of the training of each definition, in a sentence: its question, the revision that answers
meanwhile, a failure."""

from collections.abc import Sequence
from datetime import tzinfo

from alerting.definitions.model import ModelDefinition, Revision
from alerting.definitions.revisions import question_of
from alerting.definitions.wording.language import joined, translatable
from alerting.ports import Decisions, Definitions, Training, Trainings
from alerting.reporting.base import messages
from alerting.usecases.definitions.versions import describe_worse_forecasts, present_answer


def describe_trainings(
    definitions: Definitions,
    decisions: Decisions,
    trainings: Trainings,
    newest: Sequence[Revision],
    zone: tzinfo,
) -> dict[str, str]:
    """Return a sentence for each definition in service whose present question has no champion yet,
    or whose training failed.

    `newest`: the newest revision of each. `zone`: of the plant.
    """
    trained = [
        r
        for r in newest
        if isinstance(r.definition, ModelDefinition) and r.definition.state == "active"
    ]
    names = [r.name for r in trained]
    histories = definitions.histories(names) if names else {}
    made = decisions.histories(names) if names else {}
    by_question = {(t.definition, t.question): t for t in trainings.for_definitions(names)}
    found = dict[str, str]()
    for revision in trained:
        answer = present_answer(
            histories.get(revision.name, [revision]), made.get(revision.name, [])
        )
        training = by_question.get((revision.name, question_of(revision) or ""))
        serves = answer.version is not None and answer.awaited is None
        state = describe_training(training, serves, zone)
        worse = describe_worse_forecasts(made.get(revision.name, []), answer.version)
        sentences = [s for s in (answer.message, state, worse) if s]
        if sentences:
            found[revision.name] = joined("; ", *sentences)
    return found


def describe_training(training: Training | None, serves: bool, zone: tzinfo) -> str | None:
    """Describe the training of a question; None if it has ended and needs no word. `serves`: the
    question has a champion."""
    if training is None:
        return None if serves else translatable("its training is due")
    since = messages.moment(training.started_at, zone)
    if training.ended_at is None:
        return translatable("is being trained since {when}", when=since)
    if training.failure is not None:
        ended = messages.moment(training.ended_at, zone)
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
    """Return the registry version that evaluates each trained definition in service, by name; one
    without a model is absent."""
    names = [
        r.name
        for r in newest
        if isinstance(r.definition, ModelDefinition) and r.definition.state == "active"
    ]
    histories = definitions.histories(names) if names else {}
    made = decisions.histories(names) if names else {}
    answers = {name: present_answer(histories.get(name, []), made.get(name, [])) for name in names}
    return {name: a.version for name, a in answers.items() if a.version is not None}
