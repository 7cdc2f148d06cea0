"""The sandbox of a backtest: it reads live data, and every write stays in memory; and checkpoints:
finished segments as files, to continue from.

The use cases that run live (train, evaluate, determine outcomes) run on it unchanged. It cannot
write to a live collection or the registry, or notify a person.
"""

from __future__ import annotations

import io
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from math import isnan
from typing import TYPE_CHECKING, Literal

from alerting.deferred import np, pd
from alerting.definitions.alert_definition import Definition, Revision, TrainedDefinition
from alerting.definitions.asset_documents import Asset
from alerting.definitions.faults import format_duration
from alerting.definitions.revisions import question_hash
from alerting.episodes.episode import Episode
from alerting.episodes.evaluation_plan import ConditionTable
from alerting.episodes.lifecycle import ConditionState
from alerting.episodes.remaining_life import RemainingLife
from alerting.kinds.registry import moving_kind_of
from alerting.ports import (
    BacktestPorts,
    DecisionRecord,
    Document,
    Files,
    FixedClock,
    Models,
    NewestReading,
    Predicted,
    ReadingColumns,
    Readings,
    RegistryPorts,
    SandboxPorts,
    Score,
    TargetScores,
    TrainingRuns,
    Wanted,
    WantedHistory,
)
from alerting.readings.history import FIRST_INSTANT, History, from_millis, to_millis
from alerting.stores.reports import Backtests, pack, unpack
from alerting.usecases.definitions.versions import champion_at, stored_features
from alerting.usecases.model_registry import register_model, search_run
from alerting.usecases.time_labels import without_bad_values

if TYPE_CHECKING:
    from alerting.reporting.episode_details import SegmentMetrics

Retrain = timedelta | Literal["scheduled", "never"]


@dataclass(frozen=True)
class Subject:
    """The tested definition: as of a revision, or as it would be if it were applied."""

    revision: Revision
    applied: bool

    @property
    def definition(self) -> Definition:
        """Return the definition as given."""
        return self.revision.definition


@dataclass(frozen=True)
class Backtest:
    """A finished backtest. `resumed`: number of restored segments; `is_stored`: the whole result
    was stored already."""

    id: str
    definition: str
    start: datetime
    end: datetime
    headline: str
    segments: tuple[Document, ...]
    metrics: Document
    events: Document | None
    load: Document | None
    cost: Document | None
    episodes: tuple[Episode, ...]
    page: str
    finished_at: datetime
    resumed: int = 0
    is_stored: bool = False


def cadence(retrain: Retrain) -> str:
    """Return the cadence as text: a duration, "scheduled" or "never"."""
    return format_duration(retrain) if isinstance(retrain, timedelta) else retrain


_MOST_DRAWN_BYTES = 64 << 20


class ReadingsUntil(Readings):
    """Port `Readings`. A request beyond the instant returns the readings up to it."""

    def __init__(self, live: Readings, until: datetime) -> None:
        self._live = live
        self._until = until

    def load(self, request: WantedHistory) -> History:
        end = self._until if request.end is None else min(request.end, self._until)
        return self._live.load(replace(request, end=end))

    def load_many(self, requests: Sequence[Wanted], end: datetime) -> dict[str, ReadingColumns]:
        return self._live.load_many(requests, min(end, self._until))

    def newest_values(
        self, asset: Asset, since: Mapping[str, datetime], until: datetime
    ) -> pd.DataFrame:
        return self._live.newest_values(asset, since, min(until, self._until))

    def newest_readings(
        self, until: datetime | None = None, assets: Collection[str] | None = None
    ) -> dict[str, NewestReading]:
        return self._live.newest_readings(
            self._until if until is None else min(until, self._until), assets
        )

    def span(self, asset: str, until: datetime | None = None) -> tuple[datetime, datetime] | None:
        return self._live.span(asset, self._until if until is None else min(until, self._until))


_EVER = datetime(9000, 1, 1, tzinfo=UTC)


class Sandbox:
    """The memory of a run, and views of it. `stored`: episodes of the last stored segment."""

    def __init__(self, live: BacktestPorts, revision: Revision) -> None:
        self._live = live
        self._revision = revision
        self.memory = replace(live.in_memory(backfilled=True), inhibiting=live)
        for mute in live.mutes.overlapping(None, _EVER):
            if not mute.is_target:  # of the load of an alert, not of its alarms on one asset
                self.memory.mutes.insert(mute)
        self.memory.definitions.add_revision(revision)
        revisions = (revision, *live.definitions.revisions(revision.name))
        self.memory.assets.store_assets(
            live.assets.find_matching(
                {pattern for r in revisions for pattern in r.definition.assets}
            )
        )
        self.memory.assets.put_event_types(live.assets.event_types())
        if isinstance(revision.definition, TrainedDefinition) and (
            fixed := stored_features(live.derived_features, revision.definition)
        ):
            self.memory.derived_features.fix(
                revision.name, question_hash(revision.definition), fixed
            )
        # a past training leaves out what was labelled since
        for label in live.labels.in_force([asset.name for asset in self.memory.assets.all()], None):
            self.memory.labels.insert(replace(label, made_at=FIRST_INSTANT))
        self.stored: dict[str, Episode] = {}

    def live_view(self, at: datetime) -> SandboxPorts:
        """Return the platform for an evaluation at an instant. No later data can be read."""
        live = self._live
        return replace(
            self.memory,
            readings=ReadingsUntil(without_bad_values(live).readings, at),
            clock=FixedClock(at),
            limits=live.limits,
            budget=live.budget,
            latency=live.latency,
        )

    def training(self, at: datetime) -> SandboxPorts:
        """Return the platform for a training at an instant, with earlier live episodes."""
        memory = self._live.in_memory()
        name = self._revision.name
        for revision in (self._revision, *self._live.definitions.revisions(name)):
            memory.definitions.add_revision(revision)
        for episode in self._live.episodes.find(name, end=at):
            memory.episodes.insert(episode)
        return replace(self.live_view(at), definitions=memory.definitions, episodes=memory.episodes)

    def drop_models(self, at: datetime) -> None:
        """Drop files and candidates of models that nothing after `at` reads.

        A replaced model still evaluates the time between the watermark and its replacement, because
        the watermark stays behind by the latency. The result draws limits that change: the newest
        of those models are kept, up to 64 MiB.
        """
        name = self._revision.name
        kept_models = self._live.in_memory()
        decisions = self.memory.decisions.for_definition(name)
        since = self.evaluated_until(at)
        needed = {champion_at(decisions, since, question=None)}
        needed |= {d.challenger_version for d in decisions if d.promoted and d.at > since}
        if moving_kind_of(self._revision.definition) is not None:
            needed |= self._newest_revisions(name)
        for number in self.memory.models.versions(name):
            copy_model(
                self.memory,
                kept_models.models,
                kept_models.runs,
                name,
                number,
                with_files=number in needed,
            )
        self.memory = replace(self.memory, models=kept_models.models, runs=kept_models.runs)

    def _newest_revisions(self, name: str) -> set[int]:
        newest = set[int]()
        size = 0
        for number in sorted(self.memory.models.versions(name), reverse=True):
            size += sum(len(data) for data in self.memory.models.model_files(name, number).values())
            if size > _MOST_DRAWN_BYTES:
                break
            newest.add(number)
        return newest

    def evaluated_until(self, at: datetime) -> datetime:
        """Return the earliest watermark before `at`."""
        table = self.memory.states.load_many(
            [(self._revision.name, asset.name) for asset in self._live.assets.all()]
        )
        return min(
            [
                at,
                *(
                    state.watermark
                    for row in range(len(table))
                    if (state := table.state(row)) is not None
                ),
            ]
        )


def copy_model(
    source: RegistryPorts,
    models: Models,
    runs: TrainingRuns,
    name: str,
    version: int,
    with_files: bool,
) -> None:
    """Register a version as the next one of another registry; `with_files`: with its files and
    fitted candidates."""
    tags = source.models.version_tags(name, version)
    models.register(
        name,
        tags["training_run"],
        source.models.model_files(name, version) if with_files else {},
        tags,
    )
    if with_files:
        store_candidates(
            runs, name, search_run(tags), fitted_candidates(source.runs, search_run(tags))
        )


def fitted_candidates(runs: TrainingRuns, run_id: str) -> dict[str, Files]:
    """Return the files of the fitted candidates of a training, by family."""
    fitted = [run for run in runs.searches(run_id) if run.tags.get("fitted") == "true"]
    return {run.tags["family"]: runs.files(run.id, "candidate") for run in fitted}


def store_candidates(
    runs: TrainingRuns, name: str, run_id: str, candidates: Mapping[str, Files]
) -> None:
    """Store fitted candidates of a training. The next search may begin with their parameters."""
    for family, files in candidates.items():
        id = runs.start_run(name, family, {"family": family, "fitted": "true"}, parent=run_id)
        runs.log(id, files=files, folder="candidate")


@dataclass(frozen=True)
class BacktestCheckpoint:
    """A finished segment's changes. Together with the earlier checkpoints they let an interrupted
    run continue."""

    registered: int
    decisions: tuple[DecisionRecord, ...]
    states: dict[str, ConditionState]
    episodes: tuple[Episode, ...]


_CHECKPOINT = "checkpoint.bson"
_COLUMNS = ("asset", "ts", "score", "threshold", "model_version", "twin", "values", "lives")
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
    rows = list(memory.scores.for_interval(name, since + _INSTANT, segment.end + _INSTANT))
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
        lives=np.array([json.dumps(r.get("life")) for r in rows], np.str_),
    )
    files = {
        _CHECKPOINT: pack(point),
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
    return [
        (
            asset,
            Score(
                from_millis(ts),
                _none_if_nan(score),
                _none_if_nan(threshold),
                version,
                _none_if_nan(twin),
                tuple(
                    Predicted(timedelta(milliseconds=v[0]), *v[1:]) for v in json.loads(values_json)
                ),
                RemainingLife.from_times(from_millis(ts), json.loads(life_json)),
            ),
        )
        for asset, ts, score, threshold, version, twin, values_json, life_json in zip(
            *columns, strict=True
        )
    ]


def _none_if_nan(value: float) -> float | None:
    return None if isnan(value) else value


def restore(backtests: Backtests, sandbox: Sandbox, run: Document) -> int:
    """Restore the memory of the last finished segment; return how many are finished: none of those
    that an earlier version stored."""
    name = run["definition"]
    done = 0
    memory = sandbox.memory
    states: dict[str, ConditionState] = {}
    for number in range(1, len(run["segments"]) + 1):
        files = backtests.segment_files(run["id"], number)
        if _CHECKPOINT not in files:
            break
        done = number
        point = unpack(BacktestCheckpoint, files[_CHECKPOINT])
        for decision in point.decisions:
            memory.decisions.add(decision)
        states = point.states
        sandbox.stored = sandbox.stored | {e.id: e for e in point.episodes}
        memory.scores.add_many(
            [
                TargetScores(name, asset, [score])
                for asset, score in _unpack_scores(files["scores.npz"])
            ]
        )
        _restore_models(memory, name, point, files)
    for episode in sandbox.stored.values():
        memory.episodes.insert(episode)
    keys = [(name, asset) for asset in states]
    after = ConditionTable(keys)
    for position, state in enumerate(states.values()):
        after.write_state(position, state)
    memory.states.advance(ConditionTable(keys), after)
    if done:
        sandbox.drop_models(run["segments"][done - 1]["end"])
    return done


def _restore_models(
    memory: RegistryPorts, name: str, point: BacktestCheckpoint, files: Files
) -> None:
    """Restore a segment's champion; of a version that was never promoted restore only its
    number."""
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
