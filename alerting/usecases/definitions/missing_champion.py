"""Why the question of a definition has no champion, in a sentence that ends with what to do."""

from collections.abc import Collection
from datetime import tzinfo
from typing import Protocol

from alerting.definitions.faults import UserError
from alerting.definitions.model import Revision
from alerting.definitions.question import question_of
from alerting.learning.selection.proposal import PROPOSAL, Proposal
from alerting.ports import Decisions, Models, ModelUnavailable, TrainingRuns, Trainings
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
        return f"it {describe_training(training, False, platform.zone)}{step}"
    if training is not None and training.failure is not None:
        return f"{describe_training(training, False, platform.zone)}"
    refused = next((d for d in reversed(made) if not d.promoted), None)
    if refused is not None:
        return f"the last training put no model into service: {refused.reason}"
    if training is not None:
        return f"it {describe_training(training, False, platform.zone)}"
    return (
        "its training is due and starts by itself while the platform runs, or at once with "
        f"`alerting train {name}`"
    )


def describe_waiting(proposal: Proposal) -> str:
    """Return which version waits for a person, and the commands that answer."""
    return (
        f"version {proposal.refreshed_version or proposal.challenger_version} waits for approval: "
        f"`alerting model approve {proposal.run_id}`, or `alerting model reject {proposal.run_id} "
        "--reason …`"
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
