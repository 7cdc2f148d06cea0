"""Train a kind that learns from readings alone: the same steps, runs, registry and decisions as with problems.

`train.py` and `compare.py` call these for definitions without the groups of fields of a dataset.
"""

import hashlib
import json
from datetime import datetime
from typing import Any

import pandas as pd

from alerting.definitions.faults import UserError
from alerting.definitions.matching import matching_assets
from alerting.definitions.model import ModelDefinition, Revision
from alerting.episodes.outcome import consensus
from alerting.kinds.registry import estimation_of, trained_kind_of
from alerting.kinds.training import Comparison, Estimated, NormalTime, VerdictInterval
from alerting.learning.selection.promotion import PromotionDecision
from alerting.learning.selection.proposal import PROPOSAL, DatasetProfile, EstimateSummary, PartProfile, Proposal
from alerting.ports import ModelUnavailable, TrainingPorts
from alerting.ports.logs import id_logger
from alerting.readings.history import History, millis, to_millis
from alerting.reporting.decision_text import decision_markdown
from alerting.usecases.definitions.platform_alerts import record_model_faults, record_waiting
from alerting.usecases.definitions.versions import champion_at
from alerting.usecases.registry.model_cache import ModelCache
from alerting.usecases.registry.registration import register_model
from alerting.usecases.training.dataset import suppressed_at
from alerting.usecases.training.due import end_run
from alerting.usecases.training.promote import description
from alerting.usecases.training.run import load_model_definition, revision_of

_log = id_logger(__name__)
PROFILE = "profile.json"
ACCOUNT = "account.json"
_MODEL, _ACCOUNT = "candidate", "account"


def profile_readings(platform: TrainingPorts, definition: ModelDefinition, as_of: datetime) -> DatasetProfile:
    """Return the readings that a training would learn from and compare on. Raises UserError without any."""
    histories = _histories(platform, definition, as_of)
    period = estimation_of(definition).period(definition, histories, as_of)
    parts = {"train": (period.start, period.cutoff), "unseen": (period.cutoff, period.end)}
    rows = {name: sum(_count(history, *interval) for history in histories) for name, interval in parts.items()}
    counts = {n: PartProfile(rows=rows[n], positives=0, start=parts[n][0], end=parts[n][1]) for n in parts if rows[n]}
    return DatasetProfile(
        hash=_hash_of(histories, period),
        parts=counts,
        assets=len(histories),
        problems=0,
        variables=len({str(name) for history in histories for name in history.readings}),
        columns=0,
        dropped={},
        notes=(),
    )


def _histories(platform: TrainingPorts, definition: ModelDefinition, as_of: datetime) -> list[History]:
    assets = matching_assets(definition, platform.assets.all())
    return [platform.readings.load(a, None, as_of, sorted(definition.variables_evaluated(a))) for a in assets]


def _count(history: History, start: datetime, end: datetime) -> int:
    ts = millis(pd.DatetimeIndex(history.readings.index))
    inside = (ts > to_millis(start)) & (ts <= to_millis(end))
    return int(history.readings.notna().to_numpy()[inside].any(axis=1).sum()) if len(ts) else 0


def _hash_of(histories: list[History], period: NormalTime) -> str:
    """Hash the readings of the whole period."""
    digest = hashlib.sha256()
    for history in histories:
        ts = millis(pd.DatetimeIndex(history.readings.index))
        inside = (ts > to_millis(period.start)) & (ts <= to_millis(period.end))
        digest.update(history.asset.name.encode() + b"\0" + ts[inside].tobytes())
        for name in sorted(map(str, history.readings)):
            digest.update(name.encode() + b"\0" + history.readings[name].to_numpy()[inside].tobytes())
    return digest.hexdigest()


def fit_estimate(platform: TrainingPorts, run_id: str, family: str) -> EstimateSummary:
    """Estimate the model of the run and store its files on a child run."""
    definition, revision = load_model_definition(platform, run_id), revision_of(platform, run_id)
    child = platform.models.start_run(definition.name, family, {"family": family}, parent=run_id)
    try:
        estimated = _estimate(platform, definition, revision, datetime.fromisoformat(platform.models.tags(run_id)["as_of"]))
    except BaseException:
        platform.models.finish(child, failed=True)
        raise
    account = {"notes": estimated.notes, "left_out": estimated.left_out}
    metrics = {**estimated.metrics, "used": float(estimated.used)}
    platform.models.log(child, params=estimated.params, metrics=metrics, tags=description("\n\n".join(estimated.notes)))
    platform.models.log(child, files=estimation_of(definition).save(estimated.model), folder=_MODEL)
    platform.models.log(child, files={ACCOUNT: json.dumps(account, indent=1).encode()}, folder=_ACCOUNT)
    platform.models.log(child, tags={"fitted": "true"})
    platform.models.finish(child)
    _log.info("estimated from %d readings", estimated.used, definition=definition.name, run=run_id)
    return EstimateSummary(family=family, used=estimated.used, notes=estimated.notes)


def _estimate(platform: TrainingPorts, definition: ModelDefinition, revision: Revision, as_of: datetime) -> Estimated:
    histories, estimation = _histories(platform, definition, as_of), estimation_of(definition)
    period = estimation.period(definition, histories, as_of)
    suppressed, verdicts = suppressed_at(platform, definition, as_of), verdicts_at(platform, definition, as_of)
    return estimation.estimate(definition, revision.number, histories, suppressed, verdicts, period)


def verdicts_at(platform: TrainingPorts, definition: ModelDefinition, as_of: datetime) -> list[VerdictInterval]:
    """Return the episodes that operators had called right or wrong by as_of, and the misses that they had reported."""
    found = []
    for episode in platform.episodes.find(definition.name):
        verdict, _ = consensus([one for one in episode.feedback if one.at <= as_of])
        if verdict in ("true_alarm", "false_alarm"):
            end = max(episode.raised_at, min(episode.closed_at or as_of, as_of))
            found.append(VerdictInterval(episode.asset, episode.raised_at, end, verdict))
    misses = [miss for miss in platform.misses.between(definition=definition.name) if miss.at <= as_of]
    found += [VerdictInterval(miss.asset, miss.missed_at, miss.missed_at, "true_alarm") for miss in misses]
    return sorted(found)


def compare_estimate(platform: TrainingPorts, run_id: str) -> Proposal:
    """Compare the run's model with the champion on unseen time, register it, and store the proposal."""
    tags = platform.models.tags(run_id)
    as_of, name = datetime.fromisoformat(tags["as_of"]), tags["definition"]
    definition = load_model_definition(platform, run_id)
    child = next((s.id for s in platform.models.searches(run_id) if s.tags.get("fitted") == "true"), None)
    if child is None:
        raise UserError(f"not fitted yet: {', '.join(definition.families)}; run this candidate of the training again")
    files, account = platform.models.files(child, _MODEL), json.loads(platform.models.files(child, _ACCOUNT)[ACCOUNT])
    challenger = trained_kind_of(definition).load(files)
    champion_version = champion_at(platform.decisions.of(name), as_of, tags.get("question"))
    compared = _compare(platform, definition, challenger, champion_version, as_of)
    decision = compared.decision
    version = register_model(platform, name, run_id, files, _version_tags(challenger, run_id, tags, decision), {})
    profile = DatasetProfile.model_validate_json(platform.models.files(run_id, "dataset")[PROFILE])
    proposal = Proposal(
        definition=name,
        revision=int(tags["revision"]),
        question=tags.get("question"),
        run_id=run_id,
        as_of=as_of,
        verdict=decision.verdict,
        promote=decision.promote,
        waiting=decision.promote and (compared.by_person or definition.promotion.mode == "approval"),
        provisional=decision.provisional,
        reason=decision.reason,
        challenger_version=version,
        champion_version=champion_version,
        refreshed_version=None,
        leaderboard=(),
        test={},
        evidence=decision.evidence | {"notes": account["notes"]},
        importance={},
        dataset=profile.model_copy(update={"notes": tuple(account["notes"]), "dropped": account["left_out"]}),
        findings=(),
        answers="",
        answers_difference="",
    )
    text = decision_markdown(proposal)
    files_of_decision = {PROPOSAL: proposal.to_json(), "decision.md": text.encode()}
    platform.models.log(run_id, metrics=compared.metrics, tags=description(text), files=files_of_decision, folder="decision")
    end_run(platform, name, tags.get("training"))
    record_waiting(platform.platform_alerts, name, proposal.reason if proposal.waiting else None, platform.clock.now())
    _log.info("compared: %s", proposal.verdict, definition=name, run=run_id)
    return proposal


def _compare(
    platform: TrainingPorts, definition: ModelDefinition, challenger: Any, champion_version: int | None, as_of: datetime
) -> Comparison:
    """Compare with the champion. If that cannot be read, the challenger is proposed to a person."""
    try:
        champion = None if champion_version is None else ModelCache(platform).get(definition, champion_version)
    except ModelUnavailable as unavailable:
        faults = {definition.name: f"the model cannot be read: {unavailable}"}
        record_model_faults(platform.platform_alerts, [definition.name], faults, as_of)
        reason = f"The champion, version {champion_version}, cannot be read, so the comparison is impossible ({unavailable})."
        return Comparison(PromotionDecision("provisional", True, True, f"{reason} A person decides."), True, {})
    histories, estimation = _histories(platform, definition, as_of), estimation_of(definition)
    return estimation.compare(
        definition=definition,
        challenger=challenger,
        champion=champion,
        histories=histories,
        suppressed=suppressed_at(platform, definition, as_of),
        verdicts=verdicts_at(platform, definition, as_of),
        period=estimation.period(definition, histories, as_of),
    )


def _version_tags(model: Any, run_id: str, tags: Any, decision: PromotionDecision) -> dict[str, str]:
    return {
        "family": model.family,
        "revision": tags["revision"],
        "training_cutoff": model.training_cutoff.isoformat(),
        "model_hash": model.hash,
        "dataset_hash": tags["dataset_hash"],
        "training_run": run_id,
        "metrics_text": decision.reason,
        **({"question": tags["question"]} if "question" in tags else {}),
    }
