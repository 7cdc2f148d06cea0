"""The results of earlier trainings: the proposal, the decision, and the versions of a
definition."""

from collections.abc import Sequence
from typing import Any

from alerting.learning.selection.proposal import PROPOSAL, Proposal
from alerting.ports import DecisionRecord, Models, TrainingPorts, TrainingRuns
from alerting.reporting.definition.decisions import explain_waiting, summarise_decision
from alerting.reporting.page.decision_text import chance_lines
from alerting.usecases.definitions.platform_alerts import record_waiting


def read_proposal(runs: TrainingRuns, run_id: str) -> Proposal | None:
    """Return the proposal of a training; None before it has one. Raises UserError for a damaged
    one."""
    data = runs.files(run_id, "decision").get(PROPOSAL)
    return None if data is None else Proposal.from_json(data, run_id)


def decision_line(decision: DecisionRecord) -> dict[str, Any]:
    """Return a decision for people, without its evidence; JSON-able."""
    same = ("verdict", "promoted", "provisional", "revision", "actor", "reason", "run_id")
    return {
        "at": decision.acted_at.isoformat(),
        "as_of": decision.as_of and decision.as_of.isoformat(),
        "challenger": decision.challenger_version,
        "champion": decision.champion_version,
        "summary": summarise_decision(
            decision.verdict,
            decision.champion_version,
            decision.actor,
            decision.reason,
            decision.evidence,
        ),
        **{key: getattr(decision, key) for key in same},
    }


def registered_versions(models: Models, name: str) -> list[dict[str, Any]]:
    """Return the registered versions with their aliases and tags."""
    aliases: dict[int, list[str]] = {}
    for alias in ("champion", "previous", "challenger"):
        version = models.alias(name, alias)
        if version is not None:
            aliases.setdefault(version, []).append(alias)
    return [
        {"version": v, "alias": ", ".join(aliases.get(v, [])), **models.version_tags(name, v)}
        for v in models.versions(name)
    ]


def last_training(
    runs: TrainingRuns, models: Models, name: str, made: Sequence[DecisionRecord]
) -> dict[str, Any] | None:
    """Return the newest training with a proposal: by its registered challenger, or by its decision
    if it has no challenger."""
    decided = [d.run_id for d in made if d.run_id is not None]
    versions = models.versions(name)
    newest_tags = models.version_tags(name, versions[-1]) if versions else {}
    newest = newest_tags.get("refreshed_by", newest_tags.get("training_run"))
    latest = decided[-1] if decided else None
    run_id = newest if newest is not None and newest not in decided else latest
    if run_id is None:
        return None
    proposal = read_proposal(runs, run_id)
    if proposal is None:
        return None
    waiting = run_id not in decided and proposal.promote
    return {
        "run_id": run_id,
        "as_of": proposal.as_of,
        "leaderboard": proposal.leaderboard,
        "chance": chance_lines(proposal.evidence),
        "test": proposal.test,
        "waiting": waiting,
        "labels": proposal.evidence.get("labels"),
    }


def report_waiting(platform: TrainingPorts, proposal: Proposal) -> None:
    """Open an alert on a proposal that waits for a person, and say why; resolve that of another."""
    why = explain_waiting(proposal.objection) if proposal.waiting else None
    record_waiting(platform.platform_alerts, proposal.definition, why, platform.clock.now())


def newest_estimate(decisions: Sequence[DecisionRecord]) -> dict[str, Any] | None:
    """Return what the newest promoted model learned from readings alone; None without."""
    found = next(
        (d.evidence for d in reversed(decisions) if d.promoted and "notes" in d.evidence), None
    )
    return None if found is None else {"notes": found["notes"], "tables": found.get("tables", [])}
