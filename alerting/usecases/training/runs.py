"""Training runs that people start and answer: named by an id, its beginning, or the definition
whose version waits."""

from collections.abc import Iterable, Sequence

from alerting.definitions.faults import UserError, shown
from alerting.definitions.model import ModelDefinition
from alerting.learning.selection.proposal import Proposal
from alerting.ports import Decisions, ModelUnavailable, PlatformAlerts, TrainingPorts, TrainingRuns
from alerting.reporting.base import messages
from alerting.usecases.definitions.missing_champion import waiting_proposal
from alerting.usecases.definitions.platform_alerts import WAITING
from alerting.usecases.definitions.sync import require_revision
from alerting.usecases.training.due import ABANDONED_AFTER
from alerting.usecases.training.history import last_training
from alerting.usecases.training.progress import describe_step
from alerting.usecases.training.promote import promote_run

_LEAST_BEGINNING = 4


def answer_run(
    platform: TrainingPorts, text: str, approved_by: str, rejected_reason: str | None = None
) -> Proposal:
    """Approve the promotion that a training proposed, or reject it with a reason, and carry it
    out."""
    return promote_run(platform, find_run(platform, text), approved_by, rejected_reason)


def find_run(platform: TrainingPorts, text: str) -> str:
    """Return the id of the run that a text names. Raises UserError, with the runs that wait for
    approval, if it names none."""
    waiting = _waiting(platform.platform_alerts, platform.decisions, platform.runs)
    named = [run for run, proposal in waiting.items() if text in (run, proposal.definition)]
    known = {*waiting, *(() if named else _decided_and_open(platform))}
    found = named or _beginning(known, text)
    if found:
        return _only(found, text)
    lines = [f"{one.definition}: `alerting model approve {run}`" for run, one in waiting.items()]
    raise UserError(
        f"no run begins with {shown(text)}; waiting for approval: {'; '.join(lines) or 'none'}"
    )


def known_run(platform: TrainingPorts, text: str) -> str:
    """Return the id of a run with a result, by its beginning, or of the last training of a
    definition. Raises UserError if there is none."""
    if platform.definitions.newest_revision(text) is not None:
        made = platform.decisions.for_definition(text)
        last = last_training(platform.runs, platform.models, text, made)
        if last is None:
            raise UserError(f"{text!r} has no training with a result yet: `alerting train {text}`")
        return str(last["run_id"])
    waiting = _waiting(platform.platform_alerts, platform.decisions, platform.runs)
    found = _beginning({*waiting, *_decided_and_open(platform)}, text)
    if found:
        return _only(found, text)
    raise UserError(
        f"no run begins with {shown(text)}; `alerting models NAME` names the last one of a "
        "definition"
    )


def _beginning(runs: Iterable[str], text: str) -> list[str]:
    """Return the run with this id, else those that begin with it."""
    begins = sorted(run for run in runs if len(text) >= _LEAST_BEGINNING and run.startswith(text))
    return [run for run in begins if run == text] or begins


def _only(found: Sequence[str], text: str) -> str:
    if len(found) == 1:
        return found[0]
    raise UserError(
        f"{len(found)} runs begin with {shown(text)}: {', '.join(found[:5])}; give more of the id"
    )


def require_idle(platform: TrainingPorts, name: str) -> None:
    """Check that no training of a definition is under way. Raises UserError with its start and step
    if one is."""
    revision = require_revision(platform.definitions, name)
    for training in platform.trainings.for_definitions([name]):
        if (
            training.ended_at is None
            and platform.clock.now() - training.started_at <= ABANDONED_AFTER
        ):
            since = messages.moment(training.started_at, platform.zone)
            step = describe_step(platform, revision) if training.revision == revision.number else ""
            raise UserError(
                f"a training of {name!r} is under way since {since}{step}; if it was interrupted, "
                "or to start another one beside "
                f"it: `alerting train {name} --again`"
            )


def _waiting(
    platform_alerts: PlatformAlerts, decisions: Decisions, runs: TrainingRuns
) -> dict[str, Proposal]:
    """Return the proposals that wait for a person, by run."""
    names = sorted(alert.subject for alert in platform_alerts.open() if alert.kind == WAITING)
    decided = decisions.histories(names) if names else {}
    found = [
        waiting_proposal(runs, name, {d.run_id for d in decided.get(name, ())}) for name in names
    ]
    return {proposal.run_id: proposal for proposal in found if proposal is not None}


def _decided_and_open(platform: TrainingPorts) -> list[str]:
    """Return the runs with a decision, and those without an end, of all definitions with a
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
