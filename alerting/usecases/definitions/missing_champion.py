"""Why the question of a definition has no champion, in a sentence that ends with what to do."""

from collections.abc import Collection
from datetime import tzinfo
from typing import Protocol

from alerting.definitions.faults import UserError
from alerting.definitions.model import Revision
from alerting.definitions.revisions import question_of
from alerting.definitions.wording.language import joined, translatable
from alerting.learning.selection.proposal import PROPOSAL, Proposal
from alerting.ports import Decisions, Models, ModelUnavailable, Training, TrainingRuns, Trainings
from alerting.usecases.definitions.training_state import describe_training

_SEARCHED = 5  # open runs, the newest; killed trainings stay open


class ChampionPorts(Protocol):
    """The ports that the sentence is made from. `zone`: time zone of the plant."""

    @property
    def runs(self) -> TrainingRuns: ...

    @property
    def models(self) -> Models: ...

    @property
    def decisions(self) -> Decisions: ...

    @property
    def trainings(self) -> Trainings: ...

    @property
    def zone(self) -> tzinfo: ...


def describe_missing_champion(platform: ChampionPorts, revision: Revision, step: str = "") -> str:
    """Return why the question of a revision has no champion, and what to do. `step`: of its
    training, if that is under way."""
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
        return joined("", _it(training, platform.zone), step)
    if training is not None and training.failure is not None:
        return describe_training(training, False, platform.zone) or ""
    refused = next((d for d in reversed(made) if not d.promoted), None)
    if refused is not None:
        return translatable(
            "the last training put no model into service: {reason}", reason=refused.reason
        )
    if training is not None:
        return _it(training, platform.zone)
    return translatable(
        "its training is due and starts by itself while the platform runs, or at once with "
        "`alerting train {name}`",
        name=name,
    )


def _it(training: Training, zone: tzinfo) -> str:
    state = describe_training(training, False, zone) or ""
    return translatable("it {state}", state=state)


def describe_waiting(proposal: Proposal) -> str:
    """Return which version waits for a person, and the commands that answer."""
    return translatable(
        "version {version} waits for approval: `alerting model approve {run}`, or with `--reject "
        "REASON`",
        version=str(proposal.refreshed_version or proposal.challenger_version),
        run=proposal.run_id,
    )


def waiting_proposal(
    runs: TrainingRuns, name: str, decided: Collection[str | None]
) -> Proposal | None:
    """Return the newest proposal of a definition that waits for a person; None without one, or if
    the registry is away."""
    try:
        for run in runs.open_runs(name)[:_SEARCHED]:
            data = runs.files(run.id, "decision").get(PROPOSAL) if run.id not in decided else None
            found = None if data is None else Proposal.from_json(data, run.id)
            if found is not None and found.promote:
                return found
    except (ModelUnavailable, UserError):  # the registry is away, or a proposal is damaged
        return None
    return None
