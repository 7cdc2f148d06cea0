"""Run a trial: begin or continue it, walk its weeks, store each, and summarise. The same arguments
give the same result."""

import hashlib
import io
import json
from datetime import datetime
from typing import Protocol
from zipfile import BadZipFile

import numpy as np
from pydantic import TypeAdapter

from alerting.definitions.faults import UserError
from alerting.definitions.model import TrainedDefinition
from alerting.definitions.revisions import definition_hash
from alerting.ports import EventRow, Files, Progress, silent
from benchmarks.trial.findings import find
from benchmarks.trial.learner import NewPlatform
from benchmarks.trial.readings import LineReadings
from benchmarks.trial.records import Checkpoint, Findings, TrialArguments
from benchmarks.trial.walk import Lines, begin, walk_week

RULES = 1
"""Version of the trial's rules: weeks that were stored under others do not count."""
MOST_WEEKS = 520
MOST_SEED = (1 << 63) - 1
_DAMAGE = (ValueError, KeyError, AttributeError, EOFError, BadZipFile)
_START_AGAIN = "delete the folder, and run the trial again"
_ARGUMENTS = "trial.json"
_CHECKPOINT = TypeAdapter(Checkpoint)
_EVENTS = TypeAdapter(list[EventRow])


class TrialStore(Protocol):
    """Store of the files of one trial, by name."""

    def load(self, name: str) -> bytes | None: ...

    def save(self, name: str, content: bytes) -> None:
        """Write a file whole or not at all."""
        ...


def run_trial(
    arguments: TrialArguments,
    definition: TrainedDefinition,
    new_platform: NewPlatform,
    store: TrialStore,
    progress: Progress = silent,
) -> Findings:
    """Walk all weeks and compare both lines. Weeks that the store holds are restored, not walked
    again.

    Raises UserError for impossible arguments, a store of another trial or a damaged one, or if no
    model could be trained.
    """
    _check(arguments, definition)
    _claim(store, arguments, definition)
    progress("simulating the history", 0, arguments.weeks)
    lines = begin(arguments, definition)
    for number in range(1, arguments.weeks + 1):
        try:
            restored = _restore(lines, store, number)
        except _DAMAGE as damage:
            raise UserError(
                f"week {number} in the folder of this trial cannot be read: {_START_AGAIN}"
            ) from damage
        if not restored:
            start = lines.left.until
            models = len(lines.models.files)
            checkpoint = walk_week(lines, new_platform, progress)
            _store(lines, store, number, start, models, checkpoint)
    return find(lines, progress)


def _check(arguments: TrialArguments, definition: TrainedDefinition) -> None:
    faults = []
    if not 1 <= arguments.weeks <= MOST_WEEKS:
        faults.append(
            f"weeks is {arguments.weeks}; a trial takes at least 1 and at most {MOST_WEEKS}"
        )
    if not 0 <= arguments.seed <= MOST_SEED:
        faults.append(f"seed is {arguments.seed}; it is a whole number from 0 to {MOST_SEED}")
    if not 0 <= arguments.follow <= 1:
        faults.append(f"follow is {arguments.follow:g}; it is a share of the alerts, 0 to 1")
    if arguments.delay < 1:
        faults.append(f"delay is {arguments.delay} min; an operator needs at least 1m")
    if arguments.retrain < 0:
        faults.append(f"retrain is {arguments.retrain}; it is a number of weeks, or 0 for never")
    if definition.problem.variable != "moisture" or definition.problem.above is None:
        faults.append(
            f"{definition.name}: a trial knows the physics of too moist biscuits only; "
            "write problem: {variable: moisture, above: …}"
        )
    if faults:
        raise UserError("; ".join(faults))


def _claim(store: TrialStore, arguments: TrialArguments, definition: TrainedDefinition) -> None:
    """Mark the store with this trial, all of it but its length: more weeks continue a shorter
    trial."""
    identity = [
        RULES,
        arguments.seed,
        arguments.follow,
        arguments.delay,
        arguments.retrain,
        arguments.history,
    ]
    whole = json.dumps([*identity, definition_hash(definition)])
    stored = store.load(_ARGUMENTS)
    trial = hashlib.sha256(whole.encode()).hexdigest()[:16]
    if stored is None:
        return store.save(_ARGUMENTS, json.dumps({"trial": trial}).encode())
    try:
        found = json.loads(stored).get("trial")
    except _DAMAGE as damage:
        raise UserError(
            f"{_ARGUMENTS} in the folder of this trial cannot be read: {_START_AGAIN}"
        ) from damage
    if found != trial:
        raise UserError(
            "the folder of this trial holds one with other arguments or another definition: delete "
            "it first"
        )
    return None


def _store(
    lines: Lines,
    store: TrialStore,
    number: int,
    start: datetime,
    models: int,
    checkpoint: Checkpoint,
) -> None:
    """Write models and readings of a week first, and its checkpoint last: a week counts once its
    checkpoint exists."""
    for version, files in enumerate(lines.models.files[models:], start=models + 1):
        store.save(f"model-{version}.npz", _pack_files(files))
    store.save(f"week-{number:02}-left.npz", _pack_readings(lines.left_readings, start))
    store.save(f"week-{number:02}-acted.npz", _pack_readings(lines.acted_readings, start))
    store.save(f"week-{number:02}.json", _CHECKPOINT.dump_json(checkpoint))


def _restore(lines: Lines, store: TrialStore, number: int) -> bool:
    """Restore the trial as of the end of a stored week; return False if it is not stored."""
    stored = store.load(f"week-{number:02}.json")
    if stored is None:
        return False
    point = _CHECKPOINT.validate_json(stored)
    for version in range(len(lines.models.files) + 1, point.models + 1):
        lines.models.add(_unpack_files(_require(store, f"model-{version}.npz")))
    _unpack_readings(_require(store, f"week-{number:02}-left.npz"), lines.left_readings)
    _unpack_readings(_require(store, f"week-{number:02}-acted.npz"), lines.acted_readings)
    lines.left = point.left
    lines.acted = point.acted
    lines.conditions = point.conditions
    lines.pending = point.pending
    lines.serving = point.serving
    lines.serving_naively = point.serving_naively
    lines.snapshots += point.snapshots
    lines.episodes += point.episodes
    lines.weeks.append(point.week)
    return True


def _require(store: TrialStore, name: str) -> bytes:
    content = store.load(name)
    if content is None:
        raise UserError(f"the folder of this trial has lost {name}: {_START_AGAIN}")
    return content


def _pack_files(files: Files) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        **{name: np.frombuffer(data, np.uint8) for name, data in files.items()},  # type: ignore[arg-type]
    )
    return buffer.getvalue()


def _unpack_files(content: bytes) -> Files:
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return {name: arrays[name].tobytes() for name in arrays.files}


def _pack_readings(readings: LineReadings, start: datetime) -> bytes:
    at, values, events = readings.load_since(start)
    buffer = io.BytesIO()
    packed = np.frombuffer(_EVENTS.dump_json(events), np.uint8)
    np.savez_compressed(buffer, at=at, values=values, events=packed)
    return buffer.getvalue()


def _unpack_readings(content: bytes, readings: LineReadings) -> None:
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        readings.add_arrays(
            arrays["at"], arrays["values"], _EVENTS.validate_json(arrays["events"].tobytes())
        )
