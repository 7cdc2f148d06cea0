"""Training runs that people start and answer. A run is named by an id, the beginning of an id, or
the definition whose version waits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from alerting.definitions.alert_definition import ModelDefinition, Revision, fixed_threshold
from alerting.definitions.faults import Conflicting, NotFound, UserError, shown
from alerting.definitions.revisions import question_of
from alerting.definitions.wording.language import (
    Value,
    in_english,
    joined,
    template,
    translatable,
    with_command,
)
from alerting.learning.selection.decision import CandidateSummary, Proposal
from alerting.ports import (
    DecisionRecord,
    Decisions,
    ModelUnavailable,
    PlatformAlerts,
    Training,
    TrainingPorts,
    TrainingRuns,
)
from alerting.reporting.definition.decision_reason import summarise_decision
from alerting.reporting.definition.decision_text import proposed_alert, ranked
from alerting.usecases.definitions.faults_and_platform_alerts import WAITING, why_waiting
from alerting.usecases.definitions.next_steps import waiting_proposal
from alerting.usecases.definitions.versions import (
    describe_worse_forecasts,
    last_promotion,
    require_revision,
)
from alerting.usecases.model_registry import ModelEvidence, load_evidence
from alerting.usecases.training.due import ABANDONED_AFTER, describe_step, newest_trainings
from alerting.usecases.training.promote import model_history, promote_run

_LEAST_BEGINNING = 4


REQUESTED = template("training requested")
CANCELLED = template("training cancelled")


def answer_run(
    platform: TrainingPorts, text: str, approved_by: str, rejected_reason: str | None = None
) -> Proposal:
    """Approve the promotion that a training proposed, or reject it with a reason, and carry it out.
    Idempotent for the same person and answer.

    Raises Conflicting if another person was first, or gave another answer.
    """
    run = find_run(platform, text)
    proposal = promote_run(platform, run, approved_by, rejected_reason)
    made = platform.decisions.for_definition(proposal.definition)
    decided = next(d for d in made if d.run_id == run)
    is_rejected = decided.verdict == "rejected"
    if decided.actor != approved_by or is_rejected != (rejected_reason is not None):
        raise Conflicting(_who_decided(decided))
    return proposal


def answer_waiting(
    platform: TrainingPorts,
    name: str,
    actor: str,
    rejected_reason: str | None = None,
    run: str | None = None,
) -> Proposal:
    """Approve or reject the waiting version of a definition, as `answer_run`. `run`: the run of the
    proposal that the person has seen.

    Raises Conflicting if nothing waits, or another proposal than the seen one.
    """
    require_revision(platform.definitions, name)
    made = platform.decisions.for_definition(name)
    if run is not None and any(d.run_id == run for d in made):
        return answer_run(platform, run, actor, rejected_reason)
    waiting = waiting_proposal(platform.runs, name, {d.run_id for d in made})
    if waiting is None or not waiting.waiting:
        last = next((d for d in reversed(made) if d.run_id is not None), None)
        raise Conflicting(
            translatable("no version of {definition} waits for approval", definition=shown(name))
            if last is None
            else _who_decided(last)
        )
    if run not in (None, waiting.run_id):
        raise Conflicting(
            translatable(
                "a newer training of {definition} waits now, version {version}: open the page "
                "again and compare",
                definition=shown(name),
                version=str(waiting.refreshed_version or waiting.challenger_version),
            )
        )
    return answer_run(platform, waiting.run_id, actor, rejected_reason)


def is_decided(platform: TrainingPorts, run: str) -> bool:
    """Return whether the proposal of a run has a decision."""
    name = platform.runs.tags(run)["definition"]
    return any(d.run_id == run for d in platform.decisions.for_definition(name))


def _who_decided(decided: DecisionRecord) -> str:
    facts: dict[str, Value] = {
        "version": str(decided.challenger_version),
        "actor": decided.actor,
        "at": decided.acted_at,
    }
    if decided.verdict == "rejected":
        return translatable("{actor} rejected version {version} at {at} already", **facts)
    if decided.promoted:
        return translatable("{actor} put version {version} into service at {at} already", **facts)
    return translatable("version {version} was decided on by {actor} at {at} already", **facts)


def request_training(
    platform: TrainingPorts, name: str, actor: str, reason: str
) -> Training | None:
    """Ask for a training of the present question of a definition; the platform starts it within a
    minute or two. Return the previous training, None for the first one, which is due by itself.
    Idempotent.

    Raises NotFound for a definition without a model, UserError if it is not in service, Conflicting
    while a training is under way.
    """
    revision = require_trained(platform, name)
    if revision.definition.state != "active":
        raise UserError(
            translatable(
                "{definition} is not in service, so it is not trained: activate it first",
                definition=shown(name),
            )
        )
    newest = newest_training(platform, revision)
    if newest is None or newest.requested_by is not None:
        return newest
    now = platform.clock.now()
    if is_under_way(newest, now):
        raise Conflicting(
            translatable(
                "a training of {definition} is under way since {at}; cancel it to start another",
                definition=shown(name),
                at=newest.started_at,
            )
        )
    requested = replace(
        newest, ended_at=newest.ended_at or now, requested_by=actor, requested_at=now
    )
    if platform.trainings.end(requested):
        platform.audit.add(actor, REQUESTED, name, now, why=reason)
        return requested
    return newest_training(platform, revision)


def cancel_training(platform: TrainingPorts, name: str, actor: str, reason: str) -> Training:
    """End the running training of a definition at its next trial, or take back the request for one.
    It is not tried again by itself, only by its schedule, a request or an edit.

    Raises Conflicting if none is under way, UserError without a reason.
    """
    if not reason.strip():
        raise UserError(translatable("a cancelled training needs a reason: write one"))
    newest = newest_training(platform, require_trained(platform, name))
    now = platform.clock.now()
    if newest is None or not (newest.requested_by or is_under_way(newest, now)):
        raise Conflicting(
            translatable("no training of {definition} is under way", definition=shown(name))
        )
    if newest.requested_by is not None:
        ended = replace(newest, requested_by=None, requested_at=None)
    else:
        ended = replace(
            newest,
            ended_at=now,
            failure=translatable(
                "cancelled by {person}: {reason}", person=actor, reason=reason.strip()
            ),
            failures=newest.failures + 1,
            cancelled_by=actor,
        )
    if not platform.trainings.end(ended):
        raise Conflicting(
            translatable(
                "another training of {definition} began meanwhile; look again",
                definition=shown(name),
            )
        )
    for run in platform.runs.open_runs(name):
        if run.tags.get("training") == newest.run and ended.cancelled_by is not None:
            platform.runs.finish(run.id, failed=True)
    platform.audit.add(actor, CANCELLED, name, now, why=reason.strip())
    return ended


def require_trained(platform: TrainingPorts, name: str) -> Revision:
    """Return the newest revision of a definition with a model. Raises NotFound without one, or
    without a model."""
    revision = require_revision(platform.definitions, name)
    if not isinstance(revision.definition, ModelDefinition):
        raise NotFound(
            translatable("{definition} has fixed limits and needs no model", definition=shown(name))
        )
    return revision


def newest_training(platform: TrainingPorts, revision: Revision) -> Training | None:
    """Return the newest training of the question that a revision asks; None without one."""
    return newest_trainings(platform.trainings, [revision]).get(revision.name)


def is_under_way(training: Training, now: datetime) -> bool:
    """Return whether a training has begun within a day and not ended."""
    return training.ended_at is None and now - training.started_at <= ABANDONED_AFTER


def training_state(
    training: Training, now: datetime
) -> Literal["requested", "under way", "failed", "cancelled", "ended"]:
    """Return the state of a training; a training that has not ended within a day has failed."""
    if training.requested_by is not None:
        return "requested"
    if is_under_way(training, now):
        return "under way"
    if training.failure is None and training.ended_at is not None:
        return "ended"
    return "failed" if training.cancelled_by is None else "cancelled"


def find_run(platform: TrainingPorts, text: str) -> str:
    """Return the id of the run that a text names. Raises UserError, with the runs that wait for
    approval, if the text names none."""
    waiting = _find_waiting(platform.platform_alerts, platform.decisions, platform.runs)
    named = [run for run, proposal in waiting.items() if text in (run, proposal.definition)]
    runs = {*waiting, *(() if named else _decided_and_open(platform))}
    begins = sorted(run for run in runs if len(text) >= _LEAST_BEGINNING and run.startswith(text))
    matching = named or [run for run in begins if run == text] or begins
    if len(matching) == 1:
        return matching[0]
    if matching:
        raise UserError(
            f"{len(matching)} runs begin with {shown(text)}: {', '.join(matching[:5])}; give more "
            "of the id"
        )
    lines = [
        with_command(f"{waits.definition}: run {run}", f"alerting model approve {run}")
        for run, waits in waiting.items()
    ]
    begin = f"no run begins with {shown(text)}; waiting for approval: "
    raise UserError(joined("", begin, joined("; ", *lines) or "none"))


def require_none_under_way(platform: TrainingPorts, name: str) -> None:
    """Raise Conflicting while a training of the present question of a definition is under way."""
    revision = require_revision(platform.definitions, name)
    newest = newest_training(platform, revision)
    if newest is not None and is_under_way(newest, platform.clock.now()):
        text = in_english(
            "a training of {definition} is under way since {at}{step}; its result will stand with "
            "its models",
            definition=shown(name),
            at=newest.started_at,
            step=describe_step(platform, revision),
        )
        beside = with_command(text, f"alerting train {name} --again")
        raise Conflicting(with_command(beside, f"alerting models {name}"))


def same_result_before(platform: TrainingPorts, run_id: str) -> str | None:
    """Return the run of the decision in force, if it has learned from the very same data with the
    same revision; None otherwise."""
    tags = platform.runs.tags(run_id)
    last = next(reversed(platform.decisions.for_definition(tags["definition"])), None)
    if last is None or last.run_id is None:
        return None
    before = platform.runs.tags(last.run_id)
    same = all(before.get(tag) == tags[tag] for tag in ("question", "revision", "dataset_hash"))
    return last.run_id if same else None


def _find_waiting(
    platform_alerts: PlatformAlerts, decisions: Decisions, runs: TrainingRuns
) -> dict[str, Proposal]:
    """Return the proposals that wait for a person, by run."""
    names = sorted(alert.subject for alert in platform_alerts.open() if alert.kind == WAITING)
    decided = decisions.histories(names) if names else {}
    proposals = [
        waiting_proposal(runs, name, {d.run_id for d in decided.get(name, ())}) for name in names
    ]
    return {proposal.run_id: proposal for proposal in proposals if proposal is not None}


def _decided_and_open(platform: TrainingPorts) -> list[str]:
    """Return the runs with a decision, and the runs without an end, of all definitions with a
    model."""
    names = [
        r.name
        for r in platform.definitions.latest_revisions()
        if isinstance(r.definition, ModelDefinition)
    ]
    made = platform.decisions.histories(names) if names else {}
    runs = [d.run_id for of_name in made.values() for d in of_name if d.run_id is not None]
    try:
        return runs + [run.id for name in names for run in platform.runs.open_runs(name)]
    except ModelUnavailable:
        return runs


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
    nothing is to do. `training`: the newest training of the present question. `refused`: the
    decision of this training, if it put nothing into service. `warning`: what is wrong with the
    model in service, else empty.
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
    """Return the state of every definition in service with a model: first the definitions that need
    a person, then by title."""
    newest = [
        revision
        for revision in platform.definitions.latest_revisions()
        if isinstance(revision.definition, ModelDefinition)
        and revision.definition.state == "active"
    ]
    names = [revision.name for revision in newest]
    decided = platform.decisions.histories(names) if names else {}
    trainings = newest_trainings(platform.trainings, newest) if newest else {}
    waiting = _why_waiting(platform)
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
        _why_waiting(platform).get(name),
        platform.clock.now(),
    )


def _why_waiting(platform: TrainingPorts) -> dict[str, str]:
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
    the newest training of its present question; `waiting`: why a version waits for a person, None
    if none does."""
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
        reason = summarise_decision(refused)
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
    state: ModelState = "due"
    if serving is not None:
        state = "serving"
    elif refused is not None:
        state = "refused"
    of_training = "ended" if training is None else training_state(training, now)
    if of_training != "ended":
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
    `evidence`: of the waiting version, else of the one in service, else of the newest.
    """

    line: ModelLine
    history: Mapping[str, Any]
    decisions: Sequence[DecisionRecord]
    waiting: Proposal | None
    evidence: ModelEvidence | None

    @property
    def is_curve_in_force(self) -> bool:
        """Return whether the evidence is not of a version that waits beside another in service, for
        which its thresholds say nothing."""
        return self.waiting is None or self.line.version is None

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
    definition = require_trained(platform, name).definition
    in_force = evidence and evidence.at_threshold(fixed_threshold(definition))
    return ModelReport(line, history, made, waiting, in_force)
