"""Checkpoints of a backtest: finished segments as files, to continue from."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import isnan

from pydantic import TypeAdapter

from alerting.deferred import np
from alerting.episodes.episode import Episode
from alerting.episodes.evaluation_plan import ConditionTable
from alerting.episodes.lifecycle import ConditionState
from alerting.ports import (
    DecisionRecord,
    Document,
    Files,
    Predicted,
    RegistryPorts,
    Score,
)
from alerting.readings.history import from_millis, to_millis
from alerting.reporting.page.details import SegmentMetrics
from alerting.stores.reports import Backtests
from alerting.usecases.backtest.sandbox import Sandbox, fitted_candidates, store_candidates
from alerting.usecases.model_registry import register_model, search_run


@dataclass(frozen=True)
class BacktestCheckpoint:
    """A finished segment's changes; with the earlier ones an interrupted run continues."""

    registered: int
    decisions: tuple[DecisionRecord, ...]
    states: dict[str, ConditionState]
    episodes: tuple[Episode, ...]


_CHECKPOINT = TypeAdapter(BacktestCheckpoint)
_COLUMNS = ("asset", "ts", "score", "threshold", "model_version", "twin")
_INSTANT = timedelta(milliseconds=1)  # instants are whole milliseconds


def checkpoint_files(
    sandbox: Sandbox, name: str, segment: SegmentMetrics, since: datetime
) -> dict[str, bytes]:
    """Return a segment's changes as files. `since`: where its evaluation began."""
    memory = sandbox.memory
    view = sandbox.live_view(segment.end)
    changed = {e.id: e for e in memory.episodes.find() if e != sandbox.stored.get(e.id)}
    table = memory.states.load_many([(name, asset.name) for asset in view.assets.all()])
    point = BacktestCheckpoint(
        registered=len(memory.models.versions(name)),
        decisions=tuple(d for d in memory.decisions.for_definition(name) if d.at == segment.start),
        states={
            asset: state
            for row, (_, asset) in enumerate(table.keys)
            if (state := table.state(row)) is not None
        },
        episodes=tuple(changed.values()),
    )
    scores = memory.scores.for_interval(name, since + _INSTANT, segment.end + _INSTANT)
    rows = list(scores)
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        asset=np.array([r["asset"] for r in rows], np.str_),
        ts=np.array([to_millis(r["ts"]) for r in rows], np.int64),
        score=np.array([r["score"] for r in rows], np.float64),
        threshold=np.array([r["threshold"] for r in rows], np.float64),
        model_version=np.array([r["model_version"] for r in rows], np.int64),
        twin=np.array([r.get("twin", np.nan) for r in rows], np.float64),
        values=np.array([json.dumps(r.get("values", [])) for r in rows], np.str_),
    )
    files = {
        "checkpoint.json": _CHECKPOINT.dump_json(point),
        "scores.npz": buffer.getvalue(),
    }
    if segment.promoted and segment.version is not None:
        tags = memory.models.version_tags(name, segment.version)
        files["tags.json"] = json.dumps(tags).encode()
        for family, candidate in fitted_candidates(memory.runs, search_run(tags)).items():
            files |= {f"candidate/{family}/{n}": data for n, data in candidate.items()}
        files |= {
            f"model/{n}": data
            for n, data in memory.models.model_files(name, segment.version).items()
        }
    sandbox.stored |= changed
    return files


def _unpack_scores(data: bytes) -> list[tuple[str, Score]]:
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        columns = [arrays[name].tolist() for name in _COLUMNS]
        # a backtest that an earlier version began has none
        values = arrays["values"].tolist() if "values" in arrays.files else ["[]"] * len(columns[0])
    return [
        (
            asset,
            Score(
                from_millis(ts),
                _none_if_nan(score),
                _none_if_nan(threshold),
                version,
                _none_if_nan(twin),
                tuple(Predicted(timedelta(milliseconds=v[0]), *v[1:]) for v in json.loads(said)),
            ),
        )
        for asset, ts, score, threshold, version, twin, said in zip(*columns, values, strict=True)
    ]


def _none_if_nan(value: float) -> float | None:
    return None if isnan(value) else value


def restore(backtests: Backtests, sandbox: Sandbox, run: Document) -> int:
    """Restore the memory of the last finished segment; return how many are finished."""
    name = run["definition"]
    done = len(run["segments"])
    memory = sandbox.memory
    states: dict[str, ConditionState] = {}
    for number in range(1, done + 1):
        files = backtests.segment_files(run["id"], number)
        point = _CHECKPOINT.validate_json(files["checkpoint.json"])
        for decision in point.decisions:
            memory.decisions.add(decision)
        states = point.states
        sandbox.stored = sandbox.stored | {e.id: e for e in point.episodes}
        for asset, score in _unpack_scores(files["scores.npz"]):
            memory.scores.add(name, asset, [score])
        _restore_models(memory, name, point, files)
    for episode in sandbox.stored.values():
        memory.episodes.insert(episode)
    keys = [(name, asset) for asset in states]
    after = ConditionTable(keys)
    for position, state in enumerate(states.values()):
        after.write_state(position, state)
    memory.states.advance(ConditionTable(keys), after)
    if run["segments"]:
        sandbox.drop_models(run["segments"][-1]["end"])
    return done


def _restore_models(
    memory: RegistryPorts, name: str, point: BacktestCheckpoint, files: Files
) -> None:
    """Restore a segment's champion; of a version never promoted only its number."""
    promoted = {d.challenger_version for d in point.decisions if d.promoted}
    for version in range(len(memory.models.versions(name)) + 1, point.registered + 1):
        if version not in promoted:
            memory.models.register(
                name, f"not promoted {version}", {}, {"training_run": f"not promoted {version}"}
            )
            continue
        tags = json.loads(files["tags.json"])
        register_model(memory, name, tags["training_run"], _files_below("model/", files), tags, {})
        families = {n.split("/")[1] for n in files if n.startswith("candidate/")}
        candidates = {family: _files_below(f"candidate/{family}/", files) for family in families}
        store_candidates(memory.runs, name, search_run(tags), candidates)


def _files_below(stem: str, files: Files) -> Files:
    return {n.removeprefix(stem): data for n, data in files.items() if n.startswith(stem)}
