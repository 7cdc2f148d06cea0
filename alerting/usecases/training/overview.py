"""State of models and trainings for people: what is trained, what waits for a decision, what came
of the last training, and what to do about it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from alerting.definitions.model import ModelDefinition, Revision
from alerting.definitions.revisions import question_of
from alerting.definitions.wording.language import template, translatable
from alerting.learning.selection.proposal import CandidateSummary, Proposal
from alerting.ports import DecisionRecord, Training, TrainingPorts
from alerting.reporting.definition.decisions import summarise_decision
from alerting.reporting.page.decision_text import proposed_alert, ranked
from alerting.usecases.definitions.missing_champion import waiting_proposal
from alerting.usecases.definitions.platform_alerts import WAITING, why_waiting
from alerting.usecases.definitions.versions import describe_worse_forecasts, last_promotion
from alerting.usecases.registry.registration import ModelEvidence, load_evidence
from alerting.usecases.training.due import newest_trainings
from alerting.usecases.training.promote import model_history
from alerting.usecases.training.runs import require_trained, training_state

ModelState = Literal[
    "waiting", "training", "requested", "failed", "cancelled", "due", "refused", "serving"
]
STATES: tuple[ModelState, ...] = (
    *("waiting", "failed", "training", "requested", "due", "refused", "cancelled", "serving"),
)
"""The states in the order in which they concern a person."""
_ADVICE: Mapping[ModelState, str] = {
    "waiting": template("Look at its figures, then approve or reject it."),
    "training": template("Nothing to do: the result will stand here."),
    "requested": template("It begins within a minute or two, while the platform runs."),
    "due": template("It begins by itself within a minute or two, while the platform runs."),
    "failed": template(
        "Correct what the reason names, then train again. By itself it is tried again after 5 "
        "minutes, half an hour and 2 hours, and at the next scheduled training."
    ),
    "cancelled": template("Train again when you are ready; the schedule does so, too."),
    "serving": "",
}
_AFTER: Mapping[str, str] = {
    "no_challenger": template(
        "Add variables that change before the problem does, try a longer horizon, or wait until "
        "the problem has happened more often; then train again."
    ),
    "keep": template("Nothing to do: the model in service is the better one."),
    "cannot_tell": template(
        "Nothing to do: the model in service stays, and the next training compares again when the "
        "problem has happened more often."
    ),
    "stale": template("Train again, to compare with the model that is in service now."),
    "rejected": template(
        "The model in service stays. Train again when the reason of the rejection is gone."
    ),
}
_NO_ADVICE = template("Read the reason below, change the definition if needed, and train again.")
_PROPOSED = template("Use the proposed alert at the limit instead: it needs no model.")


@dataclass(frozen=True)
class ModelLine:
    """State of the model of one definition.

    `version`, `since`: in service, None without one. `reason`: why the last training failed or put
    nothing into service, or a version waits; empty otherwise. `advice`: what to do now, empty if
    nothing is. `training`: the newest of the present question. `refused`: its decision, if that put
    nothing into service. `warning`: what is wrong with the model in service, else empty.
    """

    name: str
    title: str
    kind: str
    revision: int
    state: ModelState
    version: int | None
    since: datetime | None
    provisional: bool
    reason: str
    advice: str
    training: Training | None
    refused: DecisionRecord | None
    warning: str = ""


def model_lines(platform: TrainingPorts) -> list[ModelLine]:
    """Return the state of every definition in service with a model: those that concern a person
    first, then by title."""
    newest = [
        revision
        for revision in platform.definitions.latest_revisions()
        if isinstance(revision.definition, ModelDefinition)
        and revision.definition.state == "active"
    ]
    names = [revision.name for revision in newest]
    decided = platform.decisions.histories(names) if names else {}
    trainings = newest_trainings(platform.trainings, newest) if newest else {}
    waiting = _waiting(platform)
    now = platform.clock.now()
    lines = [
        describe_model(r, decided.get(r.name, []), trainings.get(r.name), waiting.get(r.name), now)
        for r in newest
    ]
    return sorted(lines, key=lambda line: (STATES.index(line.state), line.title.casefold()))


def model_line(platform: TrainingPorts, name: str) -> ModelLine:
    """Return the state of one definition. Raises NotFound for one without a model."""
    revision = require_trained(platform, name)
    return describe_model(
        revision,
        platform.decisions.for_definition(name),
        newest_trainings(platform.trainings, [revision]).get(name),
        _waiting(platform).get(name),
        platform.clock.now(),
    )


def _waiting(platform: TrainingPorts) -> dict[str, str]:
    """Return why a version waits, by definition, without the commands that answer."""
    return {
        a.subject: why_waiting(a.reason)
        for a in platform.platform_alerts.open()
        if a.kind == WAITING
    }


def describe_model(
    revision: Revision,
    made: Sequence[DecisionRecord],
    training: Training | None,
    waiting: str | None,
    now: datetime,
) -> ModelLine:
    """Return the state of a definition's model. `made`: its decisions, oldest first; `training`:
    the newest of its present question; `waiting`: why a version waits for a person, None if none
    does."""
    question = question_of(revision)
    serving = last_promotion(made, question)
    last = next((d for d in reversed(made) if d.question in (None, question) and d.run_id), None)
    refused = last if last is not None and not last.promoted else None
    state = _state(training, serving, refused, waiting, now)
    reason = ""
    if state == "waiting":
        reason = waiting or ""
    elif state in ("failed", "cancelled") and training is not None:
        reason = training.failure or translatable("it has not ended within a day")
    elif refused is not None:
        reason = summarise_decision(
            refused.verdict,
            refused.champion_version,
            refused.actor,
            refused.reason,
            refused.evidence,
        )
    return ModelLine(
        revision.name,
        revision.definition.title or revision.name,
        revision.definition.kind,
        revision.number,
        state,
        None if serving is None else serving.challenger_version,
        None if serving is None else serving.acted_at,
        serving is not None and serving.provisional,
        reason,
        _advice(state, refused),
        training,
        refused,
        describe_worse_forecasts(made, None if serving is None else serving.challenger_version),
    )


def _state(
    training: Training | None,
    serving: DecisionRecord | None,
    refused: DecisionRecord | None,
    waiting: str | None,
    now: datetime,
) -> ModelState:
    state: ModelState = "serving" if serving is not None else "refused" if refused else "due"
    if training is not None and (of_training := training_state(training, now)) != "ended":
        state = "training" if of_training == "under way" else of_training
    return "waiting" if waiting is not None and state != "training" else state


def _advice(state: ModelState, refused: DecisionRecord | None) -> str:
    if refused is not None and state in ("refused", "serving"):
        if proposed_alert(refused.evidence):
            return _PROPOSED
        return _AFTER.get(refused.verdict, _NO_ADVICE)
    return _ADVICE[state]


@dataclass(frozen=True)
class ModelReport:
    """All that is known of the models of one definition.

    `history`: as `model_history` returns it. `waiting`: the proposal that a person must answer.
    `evidence`: of its version, else of the one in service, else of the newest.
    """

    line: ModelLine
    history: Mapping[str, Any]
    decisions: Sequence[DecisionRecord]
    waiting: Proposal | None
    evidence: ModelEvidence | None

    @property
    def leaderboard(self) -> Sequence[CandidateSummary]:
        """Return the candidates of the last training, the best first."""
        training = self.history["training"]
        return [] if training is None else ranked(training["leaderboard"])


def model_report(platform: TrainingPorts, name: str) -> ModelReport:
    """Return all that is known of the models of a definition. Raises NotFound for one without a
    model."""
    line = model_line(platform, name)
    made = platform.decisions.for_definition(name)
    history = model_history(platform, name)
    proposal = waiting_proposal(platform.runs, name, {d.run_id for d in made})
    waiting = proposal if proposal is not None and proposal.waiting else None
    versions = [row["version"] for row in history["versions"]]
    shown = [waiting and waiting.challenger_version, line.version, *reversed(versions[-1:])]
    version = next((v for v in shown if v is not None), None)
    evidence = (
        None if version is None else load_evidence(platform.models, platform.runs, name, version)
    )
    return ModelReport(line, history, made, waiting, evidence)
