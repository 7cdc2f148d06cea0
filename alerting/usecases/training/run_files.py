"""The run of a training, and the files that it stores for the next step: dataset and candidates,
and the readings of a training without problems, read once for all steps."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import lru_cache, partial
from typing import Any

import numpy as np

from alerting.deferred import pa, pd, pq
from alerting.definitions.alert_definition import ModelDefinition, matching_assets
from alerting.definitions.asset_documents import Asset, VariableType, types_of
from alerting.definitions.faults import TrainingRefused, UserError
from alerting.definitions.wording.language import translatable
from alerting.episodes.lifecycle import consensus
from alerting.kinds.registry import estimation_of
from alerting.kinds.training_protocol import (
    LearningData,
    NormalTime,
    TrainingSource,
    VerdictInterval,
)
from alerting.learning.data.dataset import Dataset, dataset_from_files
from alerting.learning.data.findings import Finding, describe_findings, impossible_values
from alerting.learning.features.life_features import life_columns
from alerting.learning.features.plan import FeaturePlan
from alerting.learning.features.point_in_time import point_in_time_view
from alerting.learning.models.trained import TrainedModel
from alerting.learning.selection.decision import PROPOSAL, DatasetProfile, PartProfile, Proposal
from alerting.ports import (
    DecisionRecord,
    Definitions,
    Files,
    Models,
    Readings,
    TrainingPorts,
    TrainingRuns,
    WantedHistory,
)
from alerting.readings.history import (
    MOST_MEASURED,
    History,
    LongHistory,
    from_millis,
    millis,
    to_millis,
)
from alerting.readings.variable_series import Labels, longest_hold
from alerting.reporting.definition.decision_reason import explain_waiting, summarise_decision
from alerting.reporting.definition.decision_text import chance_lines, proposed_alert
from alerting.usecases.definitions.faults_and_platform_alerts import record_waiting
from alerting.usecases.definitions.versions import require_revision
from alerting.usecases.episodes.mutes_and_suppression import suppressed_intervals_by_asset
from alerting.usecases.time_labels import labelled_intervals, without_bad_values
from alerting.usecases.training.definition_dataset import require_model

# folders of a run, and of the run of a candidate
DATASET = "dataset"
CANDIDATE = "candidate"
PROFILE = "profile.json"
ACCOUNT = "account.json"


@dataclass(frozen=True)
class TrainingRun:
    """A training run, from its tags. `training`: the id under which it was started."""

    id: str
    name: str
    revision: int
    as_of: datetime
    dataset_hash: str
    question: str
    training: str


def read_run(runs: TrainingRuns, run_id: str) -> TrainingRun:
    """Return a training run."""
    tags = runs.tags(run_id)
    return TrainingRun(
        id=run_id,
        name=tags["definition"],
        revision=int(tags["revision"]),
        as_of=datetime.fromisoformat(tags["as_of"]),
        dataset_hash=tags["dataset_hash"],
        question=tags["question"],
        training=tags["training"],
    )


def load_model_definition(definitions: Definitions, run: TrainingRun) -> ModelDefinition:
    """Return the definition that the run trains, in the run's revision, as it is written."""
    return require_model(require_revision(definitions, run.name, run.revision))


def load_dataset(runs: TrainingRuns, run_id: str) -> Dataset:
    """Return the dataset of the run. Raises UserError if its files are lost."""
    files = runs.files(run_id, DATASET)
    if not files:
        raise UserError(
            translatable(
                "the dataset of run {run} is no longer in the registry; train again", run=run_id
            )
        )
    return dataset_from_files(files)


def profile(dataset: Dataset) -> DatasetProfile:
    """Return the composition of the dataset."""
    parts = {}
    for part in ("train", "validation", "test"):
        rows = dataset.part == "train" if part == "train" else dataset.measured_in(part)
        at = dataset.at[rows]
        label = dataset.label[rows]
        if len(at):
            parts[part] = PartProfile(
                rows=len(at),
                positives=int(label.sum()),
                start=from_millis(int(at.min())),
                end=from_millis(int(at.max())),
            )
    return DatasetProfile(
        hash=dataset.hash,
        parts=parts,
        assets=len(set(dataset.asset.tolist())),
        problems=len(dataset.problems),
        variables=len({dataset.plan.source_of(column) for column in dataset.plan.columns}),
        columns=len(dataset.plan.columns),
        dropped=dict(dataset.counts),
        notes=tuple(describe_findings(dataset.findings)),
    )


def column_types(plan: FeaturePlan, has_life: bool) -> dict[str, str]:
    """Return columns and their types, as MLflow shows them for the dataset and in the model's
    signature. `has_life`: whether the dataset has lives, or the model a remaining life."""
    names = (*plan.columns, *(life_columns(plan) if has_life else ()))
    return {name: "string" if name in plan.levels else "double" for name in names}


def read_proposal(runs: TrainingRuns, run_id: str) -> Proposal | None:
    """Return the proposal of a training; None if it has none yet. Raises UserError for a damaged
    proposal."""
    data = runs.files(run_id, "decision").get(PROPOSAL)
    return None if data is None else Proposal.from_json(data, run_id)


def decision_line(decision: DecisionRecord) -> dict[str, Any]:
    """Return a decision for people, without its evidence; JSON-able."""
    same = (
        "verdict",
        "promoted",
        "provisional",
        "revision",
        "actor",
        "reason",
        "details",
        "run_id",
    )
    return {
        "at": decision.acted_at.isoformat(),
        "as_of": decision.as_of and decision.as_of.isoformat(),
        "challenger": decision.challenger_version,
        "champion": decision.champion_version,
        "summary": summarise_decision(decision),
        **{key: getattr(decision, key) for key in same},
    }


def registered_versions(models: Models, name: str) -> list[dict[str, Any]]:
    """Return the registered versions with their aliases and tags."""
    named = models.aliases(name)
    aliases = [alias for alias in ("champion", "previous", "challenger") if alias in named]
    return [
        {"version": v, "alias": ", ".join(a for a in aliases if named[a] == v), **tags}
        for v, tags in models.versions(name).items()
    ]


def last_training(
    runs: TrainingRuns, models: Models, name: str, made: Sequence[DecisionRecord]
) -> dict[str, Any] | None:
    """Return the newest training with a proposal, described by its registered challenger, or by its
    decision if it has no challenger."""
    decided = [d.run_id for d in made if d.run_id is not None]
    versions = models.versions(name)
    newest_tags = versions[max(versions)] if versions else {}
    newest = newest_tags.get("refreshed_by", newest_tags.get("training_run"))
    latest = decided[-1] if decided else None
    run_id = newest if newest is not None and newest not in decided else latest
    if run_id is None:
        return None
    proposal = read_proposal(runs, run_id)
    if proposal is None:
        return None
    return {
        "run_id": run_id,
        "as_of": proposal.as_of,
        "leaderboard": proposal.leaderboard,
        "chance": chance_lines(proposal.evidence),
        "test": proposal.test,
        "waiting": run_id not in decided and proposal.promote,
        "alert": proposed_alert(proposal.evidence),
        "labels": proposal.evidence.get("labels"),
    }


def report_waiting(platform: TrainingPorts, proposal: Proposal) -> None:
    """Open an alert on a proposal that waits for a person, with the reason; resolve the alert if
    the proposal does not wait."""
    why = explain_waiting(proposal) if proposal.waiting else None
    record_waiting(platform.platform_alerts, proposal.definition, why, platform.clock.now())


def newest_estimate(decisions: Sequence[DecisionRecord]) -> dict[str, Any] | None:
    """Return what the newest promoted model learned from readings alone; None without such a
    model."""
    estimate = next(
        (d.evidence for d in reversed(decisions) if d.promoted and "notes" in d.evidence), None
    )
    return (
        None
        if estimate is None
        else {"notes": estimate["notes"], "tables": estimate.get("tables", [])}
    )


BYTES_PER_VALUE = 20
"""Memory of a training for each value, of kinds that have all readings in memory."""
BYTES_PER_READING = 70
"""Memory of a training for each reading of an asset, beside the stored file, of kinds that read
pieces and single columns: measured at the peak of an anomaly's, of 15.8 million readings of 20
variables (at most 69)."""
_PERIOD = "period.json"
_AT_ONCE = timedelta(days=28)
_LEAST = timedelta(hours=1)
_MOMENT = timedelta(milliseconds=1)
_VALUES_AT_ONCE = 3_000_000
_ROW_GROUP = 100_000
_VALUES_OF_GROUP = 3_000_000


def read_histories(
    platform: TrainingPorts, definition: ModelDefinition, as_of: datetime
) -> tuple[Files, DatasetProfile]:
    """Read the readings that a training needs, one asset after the other, and return them as files,
    with their composition. Raises UserError without readings."""
    assets = matching_assets(definition, platform.assets.all())
    readings = without_bad_values(platform, as_of).readings
    period = estimation_of(definition).period(definition, TrainingSource(assets, readings, as_of))
    files: dict[str, bytes] = {}
    rows = {"train": 0, "unseen": 0}
    variables = set[str]()
    impossible: dict[str, tuple[int, float]] = {}
    read = 0
    in_pieces = estimation_of(definition).in_pieces
    for number, asset in enumerate(assets):
        types = types_of(asset, sorted(definition.variables_read(asset) & asset.variables.keys()))
        variables |= types.keys()
        file = ReadingsWriter(types)
        length = 0
        for before in _categories_before(readings, definition, asset, period.start):
            file.write(before.reindex(columns=list(types)))
        for name, part in _load(readings, definition, asset, period, as_of, list(types)):
            rows[name] += int(part.readings.notna().any(axis=1).sum())
            for column in map(str, part.readings.select_dtypes(np.float64)):
                values = part.readings[column].to_numpy()
                wrong = values[np.abs(values) > MOST_MEASURED]
                if len(wrong):
                    count, _ = impossible.get(column, (0, 0.0))
                    impossible[column] = (count + len(wrong), float(wrong[0]))
            read += part.readings.size
            length += len(part.readings)
            file.write(part.readings)
            stored = file.size + sum(map(len, files.values()))
            needed = stored + length * BYTES_PER_READING if in_pieces else read * BYTES_PER_VALUE
            _require_memory(definition, read, needed, platform.limits.memory_bytes)
            events = part.events
        files[f"readings-{number}.parquet"] = file.content()
        files[f"events-{number}.parquet"] = events.to_parquet()
    findings = [
        impossible_values(name, count, example)
        for name, (count, example) in sorted(impossible.items())
    ]
    profile = _profile(files, period, rows, len(assets), len(variables), findings)
    document = {"assets": [asset.name for asset in assets], "period": asdict(period)}
    return {**files, _PERIOD: json.dumps(document, default=datetime.isoformat).encode()}, profile


def _load(
    readings: Readings,
    definition: ModelDefinition,
    asset: Asset,
    period: NormalTime,
    as_of: datetime,
    names: Sequence[str],
) -> Iterator[tuple[str, History]]:
    """Yield consecutive pieces of readings with the part of the dataset that each belongs to; the
    last pieces have all events.

    A piece spans at most four weeks, and a time that holds about 3 million values; the first piece
    assumes one reading a second.
    """
    last_known = as_of - definition.delay(asset)
    # a problem may be known later than the values
    known_by = partial(point_in_time_view, until=to_millis(as_of))
    at_once = max(_LEAST, min(_AT_ONCE, timedelta(seconds=_VALUES_AT_ONCE // max(len(names), 1))))
    intervals = {
        "train": (period.start, period.cutoff),
        "unseen": (period.cutoff, period.end),
    }
    for name, (start, end) in intervals.items():
        begin = start
        until = min(end, last_known)
        while until - begin > at_once:
            history = known_by(readings.load(WantedHistory(asset, begin, begin + at_once, names)))
            yield name, history
            begin += at_once
            at_once = max(
                _LEAST, min(_AT_ONCE, at_once * (_VALUES_AT_ONCE / max(history.readings.size, 1)))
            )
        yield name, known_by(readings.load(WantedHistory(asset, begin, until, names)))


def _require_memory(
    definition: ModelDefinition, values: int, needed: int, memory_bytes: int | None
) -> None:
    """Raise UserError if a training with so many values of readings takes more than half of the
    machine's memory."""
    if memory_bytes is not None and needed > memory_bytes // 2:
        raise TrainingRefused(
            definition.name,
            translatable(
                "it would learn from more than {millions} million values, for which half of this "
                "machine's memory ({memory} MiB) is not enough: choose a shorter normal period, or "
                "fewer variables",
                millions=values // 1_000_000,
                memory=memory_bytes >> 20,
            ),
        )


def _categories_before(
    readings: Readings, definition: ModelDefinition, asset: Asset, start: datetime
) -> Iterator[pd.DataFrame]:
    """Yield the values, at the start of a period, of the categories by which readings are grouped.

    A value of exactly the greatest permitted age is in force, although `newest` leaves out the
    instant at which its search begins.
    """
    since = {
        name: start - longest_hold(asset, name) - _MOMENT
        for name in definition.groups_by
        if name in asset.variables
    }
    newest = readings.newest_values(asset, since, start) if since else pd.DataFrame()
    if len(newest):
        yield newest


def _profile(
    files: Files,
    period: NormalTime,
    rows: dict[str, int],
    assets: int,
    variables: int,
    findings: Sequence[Finding],
) -> DatasetProfile:
    digests = (hashlib.sha256(files[name]).digest() for name in sorted(files))
    times = {
        "train": (period.start, period.cutoff),
        "unseen": (period.cutoff, period.end),
    }
    return DatasetProfile(
        hash=hashlib.sha256(b"".join(digests)).hexdigest(),
        parts={
            n: PartProfile(rows=rows[n], positives=0, start=times[n][0], end=times[n][1])
            for n in rows
            if rows[n]
        },
        assets=assets,
        problems=0,
        variables=variables,
        columns=0,
        dropped={},
        notes=tuple(describe_findings(findings)),
    )


def load_learning_data(
    platform: TrainingPorts, run_id: str, definition: ModelDefinition, as_of: datetime
) -> LearningData:
    """Return the readings that the run has read."""
    files = platform.runs.files(run_id, DATASET)
    document = json.loads(files[_PERIOD])
    times = {
        name: time and datetime.fromisoformat(time) for name, time in document["period"].items()
    }
    assets = {asset.name: asset for asset in platform.assets.all()}
    event_types = tuple(platform.assets.event_types())
    histories = [
        stored_history(
            History(
                assets[name],
                events=_read_events(files[f"events-{number}.parquet"]),
                event_types=event_types,
                known_until=to_millis(as_of),
            ),
            files[f"readings-{number}.parquet"],
        )
        for number, name in enumerate(document["assets"])
        if name in assets
    ]
    period = NormalTime(**times)
    names = [history.asset for history in histories]
    suppressed = suppressed_intervals_by_asset(platform, definition, names, period.start, as_of)
    for name, marked in labelled_intervals(platform, definition, names, as_of).items():
        suppressed[name] = [*suppressed.get(name, ()), *marked]
    return LearningData(histories, suppressed, period, verdicts_at(platform, definition, as_of))


def verdicts_at(
    platform: TrainingPorts, definition: ModelDefinition, as_of: datetime
) -> list[VerdictInterval]:
    """Return the episodes that operators had called right or wrong by as_of, and the misses that
    operators had reported."""
    verdicts = []
    for episode in platform.episodes.find(definition.name):
        verdict, _ = consensus([feedback for feedback in episode.feedback if feedback.at <= as_of])
        if verdict in ("true_alarm", "false_alarm") and episode.maintenance is None:
            end = max(episode.raised_at, min(episode.closed_at or as_of, as_of))
            verdicts.append(VerdictInterval(episode.asset, episode.raised_at, end, verdict))
    misses = [
        miss
        for miss in platform.misses.for_interval(definition=definition.name)
        if miss.at <= as_of
    ]
    return sorted(
        [
            *verdicts,
            *(
                VerdictInterval(miss.asset, miss.missed_at, miss.missed_at, "true_alarm")
                for miss in misses
            ),
        ]
    )


class ReadingsWriter:
    """A file of readings that is written piece by piece. `types`: its columns."""

    def __init__(self, types: Mapping[str, VariableType]) -> None:
        arrow = [
            (name, pa.string() if type_ == "category" else pa.float64())
            for name, type_ in types.items()
        ]
        self._schema = pa.schema([*arrow, ("ts", pa.timestamp("ms", "UTC"))])
        self._stored = io.BytesIO()
        self._writer: Any = None

    def write(self, frame: pd.DataFrame) -> None:
        """Add readings, as a frame of a history."""
        table = pa.Table.from_pandas(frame, self._schema)
        self._writer = self._writer or pq.ParquetWriter(self._stored, table.schema)
        self._writer.write_table(
            table, min(_ROW_GROUP, max(1000, _VALUES_OF_GROUP // len(self._schema)))
        )

    @property
    def size(self) -> int:
        """Return the bytes written so far."""
        return self._stored.tell()

    def content(self) -> bytes:
        """Return the file, which is complete then."""
        self._writer.close()
        return self._stored.getvalue()


def _read_events(content: bytes) -> pd.DataFrame:
    frame = pd.read_parquet(io.BytesIO(content))
    return frame.astype(dict.fromkeys(map(str, frame.select_dtypes("string").columns), object))


def stored_history(head: History, content: bytes) -> LongHistory:
    """Return a history whose readings stay in a file until they are needed. Texts are objects, None
    where missing. Columns of the last read row group are held for the next short interval."""
    file = pq.ParquetFile(pa.BufferReader(content))
    names = [name for name in file.schema_arrow.names if name != "ts"]
    groups = [file.metadata.row_group(number) for number in range(file.num_row_groups)]
    times = [group.column(len(names)).statistics for group in groups]
    filled = [number for number, group in enumerate(groups) if group.num_rows]
    ends = {number: to_millis(times[number].max) for number in filled}
    starts = {number: to_millis(times[number].min) for number in filled}

    @lru_cache(maxsize=len(names) + 1)  # as many as one row group has
    def column_of_group(number: int, name: str) -> Any:
        return file.read_row_group(number, [name])[name]

    def column(chosen: Sequence[int], name: str) -> Any:
        if len(chosen) == 1:
            return column_of_group(chosen[0], name)
        return file.read_row_groups(chosen, [name])[name]

    def read(names: Sequence[str], start: int, end: int) -> pd.DataFrame:
        chosen = [number for number in filled if ends[number] > start and starts[number] <= end]
        index = pd.DatetimeIndex(column(chosen, "ts").to_pandas(), name="ts")
        first, last = np.searchsorted(millis(index), [start, end], side="right")
        columns = dict[str, Any]()
        for name in names:
            part = column(chosen, name).slice(first, last - first)
            values = (
                part.to_numpy()
                if part.type == pa.float64()
                else _texts(part.combine_chunks().dictionary_encode())
            )
            columns[name] = pd.Series(values, index[first:last], values.dtype, copy=False)
        return pd.DataFrame(columns, index[first:last], copy=False)

    return LongHistory(head, tuple(names), list(ends.values()), read)


def _texts(encoded: Any) -> Labels:
    """Return the texts of a dictionary array, each distinct text once in memory; None where
    missing."""
    levels = np.array([*encoded.dictionary.to_pylist(), None], object)
    texts: Labels = levels[encoded.indices.fill_null(len(levels) - 1).to_numpy()]
    return texts


def refit_tags(model: TrainedModel) -> dict[str, str]:
    """Return the tags of a registered version on its refit; empty without one."""
    if model.refit is None:
        return {}
    return {"refit_cutoff": model.refit.training_cutoff.isoformat(), "refit_hash": model.refit.hash}


def version_tags(kind: str, model: TrainedModel, run: TrainingRun) -> dict[str, str]:
    """Return the tags of a registered version."""
    return {
        "kind": kind,
        "family": model.family,
        "revision": str(run.revision),
        "training_cutoff": model.training_cutoff.isoformat(),
        "model_hash": model.hash,
        "dataset_hash": run.dataset_hash,
        "training_run": run.id,
        "question": run.question,
        **refit_tags(model),
    }
