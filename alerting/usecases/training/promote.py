"""Promote, reject and roll back models: records of decisions, which the aliases follow."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from alerting.definitions.alert_definition import (
    ModelDefinition,
    Revision,
    TrainedDefinition,
    matching_assets,
)
from alerting.definitions.faults import UserError
from alerting.definitions.revisions import question_of
from alerting.definitions.wording.language import (
    Translatable,
    Value,
    in_english,
    joined,
    template,
    translatable,
    with_command,
)
from alerting.learning.selection.decision import Proposal
from alerting.learning.selection.decision_rules import Outcome, explain
from alerting.ports import (
    Clock,
    DecisionRecord,
    Decisions,
    Definitions,
    Models,
    ModelUnavailable,
    TrainingPorts,
    TrainingRuns,
)
from alerting.ports.use_cases import id_logger
from alerting.reporting.definition.decision_text import MAIN_METRICS, decision_markdown
from alerting.reporting.definition.unseen_text import TEST_COUNTS
from alerting.usecases.definitions.faults_and_platform_alerts import record_waiting
from alerting.usecases.definitions.next_steps import describe_missing_champion
from alerting.usecases.definitions.versions import (
    last_promotion,
    line_of_champions,
    present_answer,
    promotions,
    require_revision,
    serves_twin,
)
from alerting.usecases.model_registry import ModelCache
from alerting.usecases.training.due import describe_step, unfinished_training
from alerting.usecases.training.run_files import (
    decision_line,
    last_training,
    newest_estimate,
    read_proposal,
    registered_versions,
    report_waiting,
)

_log = id_logger(__name__)
PLATFORM = "platform"
_LONGEST_TAG = 5000
_LEARNED = ("train", "validation")  # parts of a dataset
_AUDITED = {"rollback": template("rolled back"), "gave_way": template("refit gave way to its twin")}


def promote_run(
    platform: TrainingPorts,
    run_id: str,
    approved_by: str | None = None,
    rejected_reason: str | None = None,
) -> Proposal:
    """Carry out a run's proposal: record the decision, then move the aliases. Idempotent.

    A proposal that a person must approve returns with `waiting` until `approved_by` is given. A
    promotion over a champion that is no longer in service is recorded as `stale`, and not carried
    out. Raises UserError for a rejection without a reason, and for an answer to a training without
    a proposal.
    """
    proposal = read_proposal(platform.runs, run_id)
    if proposal is None:
        raise UserError(
            f"run {run_id} has no proposal; its training has not reached the comparison yet"
        )
    name = proposal.definition
    decided = _decision_of(platform.decisions.for_definition(name), run_id)
    if decided is None:
        _check_answer(proposal, approved_by, rejected_reason)
        if proposal.waiting and approved_by is None:
            report_waiting(platform, proposal)
            return proposal
        decided = _keep(
            platform.decisions, _make_record(platform.clock, proposal, approved_by, rejected_reason)
        )
    follow(platform, decided)
    record_waiting(platform.platform_alerts, name, None, platform.clock.now())
    actor = decided.actor if decided.promoted else PLATFORM
    final = proposal.model_copy(
        update={
            "verdict": decided.verdict,
            "promote": decided.promoted,
            "reason": decided.reason,
            "details": decided.details,
            "approved_by": None if actor == PLATFORM else actor,
            "waiting": False,
        }
    )
    _report_run(platform.runs, run_id, final)
    _log.info("decided: %s", decided.verdict, definition=name, run=run_id)
    return final


def _decision_of(made: Sequence[DecisionRecord], run_id: str | None) -> DecisionRecord | None:
    return next((d for d in made if run_id is not None and d.run_id == run_id), None)


def _check_answer(proposal: Proposal, approved_by: str | None, rejected_reason: str | None) -> None:
    if approved_by is None and rejected_reason is None:
        return
    if not proposal.promote:
        raise UserError(
            translatable(
                "this training proposes no promotion, so no approval or rejection is possible: "
                "{reason}",
                reason=proposal.reason,
            )
        )
    if rejected_reason is not None and not rejected_reason.strip():
        raise UserError("a rejection needs a reason, which is stored with the decision: write one")


def _make_record(
    clock: Clock, proposal: Proposal, approved_by: str | None, rejected_reason: str | None
) -> DecisionRecord:
    now = clock.now()
    verdict = proposal.verdict
    promote = proposal.promote
    reason = joined("", proposal.reason)
    details = proposal.details
    if rejected_reason is not None:
        verdict = "rejected"
        promote = False
        details = joined(" ", reason, details)
        reason = _explain_by_person("rejected", rejected_reason, actor=approved_by or PLATFORM)
    return DecisionRecord(
        definition=proposal.definition,
        at=now if approved_by else proposal.as_of,
        revision=proposal.revision,
        challenger_version=proposal.refreshed_version or proposal.challenger_version,
        champion_version=proposal.champion_version,
        promoted=promote,
        provisional=proposal.provisional,
        verdict=verdict,
        reason=reason,
        details=details,
        evidence={**proposal.evidence, **_collect_evidence(proposal)},
        run_id=proposal.run_id,
        actor=approved_by or PLATFORM,
        question=proposal.question,
        decided_at=now,
        as_of=proposal.as_of,
    )


def _collect_evidence(proposal: Proposal) -> dict[str, Any]:
    """Return the evidence that later reports compare with: test metrics with intervals, and the
    time learned."""
    parts = [part for name, part in proposal.dataset.parts.items() if name in _LEARNED]
    learned = {}
    if parts:
        start = min(part.start for part in parts)
        learned = {"start": start.isoformat(), "end": max(p.end for p in parts).isoformat()}
    names = () if proposal.verdict == "refreshed" else MAIN_METRICS
    expected = {name: proposal.test[name] for name in names if proposal.test.get(name) is not None}
    intervals = proposal.test.get("intervals", {})
    counts = {name: proposal.test[name] for name in TEST_COUNTS if name in proposal.test}
    metrics = {
        "expected": expected,
        "expected_intervals": {
            name: list(interval) for name, interval in intervals.items() if name in expected
        },
        "learned": learned,
    }
    metrics |= {"test": counts} if counts and names else {}
    if "threshold" in proposal.test:
        metrics["threshold"] = proposal.test["threshold"]
    return metrics


def _keep(decisions: Decisions, proposed: DecisionRecord) -> DecisionRecord:
    """Store a decision, as stale if the champion has changed. Return the run's existing decision if
    another process was first.

    Promotions are numbered, and each number is given once: if two processes saw the same champion
    in service, one stores its promotion, and the other compares again.
    """
    while True:
        made = decisions.for_definition(proposed.definition)
        earlier = _decision_of(made, proposed.run_id)
        if earlier is not None:
            return earlier
        record = _mark_stale(proposed, made)
        rank = 1 + sum(d.promoted for d in made) if record.promoted else None
        if decisions.add(record, rank):
            return record


def _mark_stale(proposed: DecisionRecord, made: Sequence[DecisionRecord]) -> DecisionRecord:
    """Return the decision; as stale if another champion, or a later promotion, is in service."""
    serving = last_promotion(made, proposed.question)
    version = serving.challenger_version if serving else None
    if not proposed.promoted or (
        version == proposed.champion_version and (serving is None or serving.at <= proposed.at)
    ):
        return proposed
    decision = translatable("The decision was: {reason}", reason=proposed.reason)
    return replace(
        proposed,
        promoted=False,
        verdict="stale",
        reason=_explain_stale(proposed, serving),
        details=joined(" ", decision, proposed.details),
    )


def _explain_stale(proposed: DecisionRecord, serving: DecisionRecord | None) -> Translatable:
    compared = proposed.champion_version or 0
    if serving is None:
        return explain("stale_alone", compared=compared)
    return explain(
        "stale" if compared else "stale_first",
        serving=serving.challenger_version or 0,
        since=serving.acted_at,
        compared=compared,
    )


def _explain_by_person(ground: Outcome, written: str, **values: Value) -> Translatable:
    """Return the text of a decision of a person, whose words stay as they were written, with a full
    stop behind them where they have none."""
    text = explain(ground, why=written.strip(), **values)
    return joined("", text, "" if text.endswith((".", "!", "?")) else ".")


def follow(platform: TrainingPorts, decision: DecisionRecord) -> None:
    """Write the audit entry, the aliases and the indexes of a record. Idempotent."""
    until = in_english("(Readings up to {at}.)", at=decision.as_of) if decision.as_of else ""
    platform.audit.add(
        actor=decision.actor,
        action=_AUDITED.get(decision.verdict, template("promotion decided")),
        subject=decision.definition,
        at=decision.acted_at,
        before=decision.champion_version,
        after=decision.challenger_version if decision.promoted else decision.champion_version,
        why=str(joined(" ", decision.reason, decision.details, until)),
    )
    move_aliases(platform.definitions, platform.decisions, platform.models, decision.definition)
    if decision.promoted and decision.challenger_version is not None:
        revision = require_revision(platform.definitions, decision.definition)
        if isinstance(revision.definition, ModelDefinition):
            _index_carried_forward(platform, revision.definition, decision.challenger_version)


def _index_carried_forward(
    platform: TrainingPorts, definition: ModelDefinition, version: int
) -> None:
    """Prepare the search for values that the new champion carries forward, and for the categories
    by which readings are grouped. Evaluations work without it, more slowly."""
    carried = {*definition.groups_by}
    if isinstance(definition, TrainedDefinition):
        try:
            carried |= {*ModelCache(platform).get(definition, version).plan.carried_longer}
        except ModelUnavailable as unavailable:
            _log.warning(
                "its values that are carried forward have no index: %s",
                unavailable,
                definition=definition.name,
            )
            return
    assets = matching_assets(definition, platform.assets.all())
    stored = {name for name in carried if not any(asset.is_computed(name) for asset in assets)}
    platform.readings.index_newest(sorted(stored))


def move_aliases(definitions: Definitions, decisions: Decisions, models: Models, name: str) -> None:
    """Set `champion` and `previous` by the decisions, and check again afterwards, so that the last
    process sets them right."""
    written: list[int] | None = None
    revisions = definitions.revisions(name)
    while True:
        made = decisions.for_definition(name)
        line = line_of_champions(made, _present_question(revisions, made))
        if line == written:
            return
        if line:
            models.set_alias(name, "champion", line[-1])
            models.set_alias(name, "previous", line[-2] if len(line) > 1 else None)
        written = line


def _report_run(runs: TrainingRuns, run_id: str, proposal: Proposal) -> None:
    """Write the decision to the run itself: as tags, as its description, and as a file."""
    text = decision_markdown(proposal)
    why = joined(" ", proposal.reason, proposal.details)
    decided = {"decision": proposal.verdict, "reason": why[:_LONGEST_TAG]}
    files = {"decision.md": text.encode()}
    runs.log(run_id, tags=decided | description(text), files=files, folder="decision")
    runs.finish(run_id)


def description(text: str) -> dict[str, str]:
    """Return the tag that MLflow shows as the description of a run.

    The title is a paragraph, because MLflow draws the lines of a wrapped heading over each other.
    """
    title, *details = text.split("\n", 1)
    if title.startswith("# "):
        text = "\n".join([f"**{title.removeprefix('# ')}**", *details])
    return {"mlflow.note.content": text[:_LONGEST_TAG]}


def rollback(
    platform: TrainingPorts, name: str, reason: str, actor: str, to: int | None = None
) -> DecisionRecord:
    """Put an earlier champion back into service: the previous one, or the version `to`.

    Evaluations use it from now on; evaluations of the present champion stay. Raises UserError
    without a reason, if there is no such earlier version, if it cannot be read, and if another
    promotion came in between.
    """
    if not reason.strip():
        raise UserError("a rollback needs a reason, which is stored with the decision: write one")
    revision = require_revision(platform.definitions, name)
    made = platform.decisions.for_definition(name)
    question = _present_question(platform.definitions.revisions(name), made)
    serving, target = _from_and_to(name, promotions(made, question), to)
    try:
        ModelCache(platform).get(revision.definition, target)
    except ModelUnavailable as unavailable:
        raise UserError(
            f"version {target} of {name!r} cannot be read, the champion stays: {unavailable}"
        ) from unavailable
    earlier = next(d for d in reversed(made) if d.promoted and d.challenger_version == target)
    now = platform.clock.now()
    record = DecisionRecord(
        definition=name,
        at=max(now, serving.at),
        revision=revision.number,
        challenger_version=target,
        champion_version=serving.challenger_version,
        promoted=True,
        provisional=earlier.provisional,
        verdict="rollback",
        reason=_explain_by_person(
            "rollback",
            reason,
            actor=actor,
            before=serving.challenger_version or 0,
            version=target,
        ),
        evidence={},
        run_id=None,
        actor=actor,
        question=earlier.question,
        decided_at=now,
    )
    if not platform.decisions.add(record, 1 + sum(d.promoted for d in made)):
        text = f"another promotion of {name!r} came in between; look at its models and decide again"
        raise UserError(with_command(text, f"alerting models {name}"))
    follow(platform, record)
    return record


def _present_question(revisions: Sequence[Revision], made: Sequence[DecisionRecord]) -> str | None:
    """Return the question that is answered at present; None if there is no definition any more."""
    revision = present_answer(revisions, made).revision
    return None if revision is None else question_of(revision)


def _from_and_to(
    name: str, made: Sequence[DecisionRecord], to: int | None
) -> tuple[DecisionRecord, int]:
    """Return the promotion in service, and the version to roll back to, of these promotions."""
    serving = last_promotion(made, None)
    line = line_of_champions(made, None)
    if serving is None:
        raise UserError(f"{name!r} has no champion yet; no rollback is possible")
    served = list(
        dict.fromkeys(
            d.challenger_version for d in made if d.promoted and d.challenger_version is not None
        )
    )
    if to is None and len(line) < 2:
        raise UserError(f"version {line[-1]} of {name!r} has no champion before it to go back to")
    target = line[-2] if to is None else to
    if target == serving.challenger_version:
        raise UserError(f"version {target} of {name!r} is in service already")
    if target not in served:
        text = (
            f"version {target} of {name!r} was never in service; versions that were: "
            f"{', '.join(map(str, served))}, all of the present question. The champion of an "
            "earlier question answers when its revision is restored"
        )
        raise UserError(with_command(text, f"alerting show {name} --revision N"))
    return serving, target


def model_history(platform: TrainingPorts, name: str) -> dict[str, Any]:
    """Return the champion, the leaderboard of the last training, registered versions, and every
    decision with its reason.

    If the registry cannot be read, its part is left out, and `unreadable` is the reason.
    """
    newest = require_revision(platform.definitions, name)
    made = platform.decisions.for_definition(name)
    answer = present_answer(platform.definitions.revisions(name), made)
    serving = last_promotion(
        made, None if answer.revision is None else question_of(answer.revision)
    )
    history: dict[str, Any] = {
        "definition": name,
        "champion": serving and serving.challenger_version,
        "provisional": serving is not None and serving.provisional,
        "since": serving and serving.acted_at.isoformat(),
        "answers": answer.message,
        "by_twin": serving is not None
        and serves_twin(made, serving.challenger_version, serving.at),
        "versions": [],
        "training": None,
        "unfinished": None,
        "unreadable": None,
        "decisions": [decision_line(d) for d in made],
        "estimate": newest_estimate(made),
        "missing_champion": None,
    }
    if serving is None:
        history["missing_champion"] = (
            describe_missing_champion(platform, newest, describe_step(platform, newest))
            if isinstance(newest.definition, ModelDefinition)
            else f"it is a {newest.definition.kind} definition, which has no model"
        )
    try:
        return history | {
            "versions": registered_versions(platform.models, name),
            "training": last_training(platform.runs, platform.models, name, made),
            "unfinished": unfinished_training(platform, name, {d.run_id for d in made}),
        }
    except (ModelUnavailable, UserError) as unavailable:
        return history | {"unreadable": str(unavailable)}
