"""Checkpoints of a backtest: finished segments stored as files, from which an interrupted run continues."""

import io
import json
from dataclasses import dataclass

import numpy as np
from pydantic import TypeAdapter

from alerting.episodes.episode import Episode
from alerting.episodes.lifecycle import ConditionState
from alerting.ports import DecisionRecord, Document, Files, Platform
from alerting.readings.history import from_millis, to_millis
from alerting.reporting.backtest import SegmentMetrics
from alerting.usecases.backtest.sandbox import Sandbox
from alerting.usecases.registry.registration import file_hashes


@dataclass(frozen=True)
class Checkpoint:
    """The changes of a finished segment. With those of earlier segments an interrupted run continues without a difference."""

    registered: int
    decision: DecisionRecord | None
    states: dict[str, ConditionState]
    episodes: tuple[Episode, ...]


_CHECKPOINT = TypeAdapter(Checkpoint)


def checkpoint_files(sandbox: Sandbox, name: str, segment: SegmentMetrics) -> dict[str, bytes]:
    """Return the changes of this segment as files. From here on the memory records the changes of the next one."""
    changed = [e for e in sandbox.episodes.find() if e.id in sandbox.episodes.changed]
    decisions = [d for d in sandbox.decisions.of(name) if d.at == segment.start]
    point = Checkpoint(
        registered=sandbox.models.registered,
        decision=decisions[-1] if decisions else None,
        states={asset: state for (_, asset), state in sandbox.states.states.items()},
        episodes=tuple(changed),
    )
    files = {"checkpoint.json": _CHECKPOINT.dump_json(point), "scores.npz": _pack_documents(sandbox.scores.added)}
    if segment.promoted and segment.version is not None:
        tags = sandbox.models.version_tags(name, segment.version)
        files["tags.json"] = json.dumps(tags).encode()
        for family, candidate in sandbox.models.candidates(tags["training_run"]).items():
            files |= {f"candidate/{family}/{n}": data for n, data in candidate.items()}
        files |= {f"model/{n}": data for n, data in sandbox.models.model_files(name, segment.version).items()}
    sandbox.episodes.changed.clear()
    sandbox.scores.added.clear()
    return files


def _pack_documents(rows: list[Document]) -> bytes:
    """Return scores as compressed arrays, bit for bit."""
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        asset=np.array([r["asset"] for r in rows], np.str_),
        ts=np.array([to_millis(r["ts"]) for r in rows], np.int64),
        score=np.array([r["score"] for r in rows], np.float64),
        threshold=np.array([r["threshold"] for r in rows], np.float64),
        model_version=np.array([r["model_version"] for r in rows], np.int64),
    )
    return buffer.getvalue()


def _unpack_documents(data: bytes) -> list[Document]:
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        columns = {name: arrays[name].tolist() for name in ("asset", "ts", "score", "threshold", "model_version")}
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    return [{**row, "ts": from_millis(row["ts"])} for row in rows]


def restore(platform: Platform, sandbox: Sandbox, run: Document) -> int:
    """Restore the memory as of the end of the last finished segment. Return the number of finished segments."""
    name, done = run["definition"], len(run["segments"])
    for number in range(1, done + 1):
        files = platform.backtests.segment_files(run["id"], number)
        point = _CHECKPOINT.validate_json(files["checkpoint.json"])
        sandbox.models.registered = point.registered
        if point.decision is not None:
            sandbox.decisions.add(point.decision)
        sandbox.states.states = {(name, asset): state for asset, state in point.states.items()}
        sandbox.episodes.restore(point.episodes)
        sandbox.scores.restore(_unpack_documents(files["scores.npz"]))
        _restore_model(sandbox, point.decision, files)
    return done


def _restore_model(sandbox: Sandbox, decision: DecisionRecord | None, files: Files) -> None:
    if decision is None or not decision.promoted or decision.challenger_version is None:
        return
    model = {n.removeprefix("model/"): data for n, data in files.items() if n.startswith("model/")}
    tags = json.loads(files["tags.json"])
    sandbox.models.restore(decision.challenger_version, model, tags)
    run_id = tags["training_run"]
    sandbox.decisions.expect_files(decision.definition, run_id, file_hashes(decision.definition, model, b""))
    sandbox.decisions.bind_files(decision.definition, run_id, decision.challenger_version)
    for family in {n.split("/")[1] for n in files if n.startswith("candidate/")}:
        stem = f"candidate/{family}/"
        candidate = {n.removeprefix(stem): data for n, data in files.items() if n.startswith(stem)}
        sandbox.models.restore_candidate(tags["training_run"], family, candidate)
    sandbox.models.retain_only(decision.challenger_version)
