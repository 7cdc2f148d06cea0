"""Readings of a training without problems: read once, and stored on its run for all steps."""

import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime

import pandas as pd

from alerting.definitions.assets import Asset
from alerting.definitions.matching import matching_assets
from alerting.definitions.model import ModelDefinition
from alerting.detection.categories import longest_hold
from alerting.episodes.outcome import consensus
from alerting.kinds.registry import estimation_of
from alerting.kinds.training import LearningData, NormalTime, TrainingSource, VerdictInterval
from alerting.learning.selection.proposal import DatasetProfile, PartProfile
from alerting.ports import Files, TrainingPorts
from alerting.readings.history import History
from alerting.usecases.episodes.suppression import suppressed_intervals_by_asset
from alerting.usecases.training.run import DATASET

_PERIOD = "period.json"


def read_histories(platform: TrainingPorts, definition: ModelDefinition, as_of: datetime) -> tuple[Files, DatasetProfile]:
    """Read what a training needs, one asset after the other, as files, and its composition. Raises UserError without readings."""
    assets = matching_assets(definition, platform.assets.all())
    period = estimation_of(definition).period(definition, TrainingSource(assets, platform.readings, as_of))
    files: dict[str, bytes] = {}
    rows, variables = {"train": 0, "unseen": 0}, set[str]()
    for number, asset in enumerate(assets):
        parts = _load(platform, definition, asset, period, as_of)
        for name, part in zip(rows, parts, strict=True):
            rows[name] += int(part.readings.notna().any(axis=1).sum())
        variables |= set(map(str, parts[0].readings))
        before = _categories_before(platform, definition, asset, period.start)
        files[f"readings-{number}.parquet"] = _to_parquet(pd.concat([*before, *(part.readings for part in parts)]))
        files[f"events-{number}.parquet"] = _to_parquet(parts[-1].events)
    profile = _profile(files, period, rows, len(assets), len(variables))
    document = {"assets": [asset.name for asset in assets], "period": asdict(period)}
    return {**files, _PERIOD: json.dumps(document, default=datetime.isoformat).encode()}, profile


def _load(
    platform: TrainingPorts, definition: ModelDefinition, asset: Asset, period: NormalTime, as_of: datetime
) -> list[History]:
    names, known = sorted(definition.variables_read(asset) & asset.variables.keys()), as_of - definition.delay(asset)
    intervals = [(period.start, period.cutoff), (period.unseen_from or period.cutoff, period.end)]
    return [platform.readings.load(asset, start, min(end, known), names) for start, end in intervals]


def _categories_before(
    platform: TrainingPorts, definition: ModelDefinition, asset: Asset, start: datetime
) -> Iterator[pd.DataFrame]:
    """Yield the values at the start of the period of the categories by which readings are grouped, if there are any."""
    since = {name: start - longest_hold(asset, name) for name in definition.groups_by if name in asset.variables}
    found = platform.readings.newest(asset, since, start) if since else pd.DataFrame()
    if len(found):
        yield found


def _profile(files: Files, period: NormalTime, rows: dict[str, int], assets: int, variables: int) -> DatasetProfile:
    digest = hashlib.sha256(b"".join(hashlib.sha256(files[name]).digest() for name in sorted(files)))
    times = {"train": (period.start, period.cutoff), "unseen": (period.unseen_from or period.cutoff, period.end)}
    return DatasetProfile(
        hash=digest.hexdigest(),
        parts={n: PartProfile(rows=rows[n], positives=0, start=times[n][0], end=times[n][1]) for n in rows if rows[n]},
        assets=assets,
        problems=0,
        variables=variables,
        columns=0,
        dropped={},
        notes=(),
    )


def load_learning_data(platform: TrainingPorts, run_id: str, definition: ModelDefinition, as_of: datetime) -> LearningData:
    """Return what the run has read."""
    files = platform.models.files(run_id, DATASET)
    document = json.loads(files[_PERIOD])
    times = {name: time and datetime.fromisoformat(time) for name, time in document["period"].items()}
    assets, event_types = {asset.name: asset for asset in platform.assets.all()}, tuple(platform.assets.event_types())
    histories = [
        History(assets[name], _read(files, f"readings-{number}.parquet"), _read(files, f"events-{number}.parquet"), event_types)
        for number, name in enumerate(document["assets"])
        if name in assets
    ]
    period = NormalTime(**times)
    suppressed = suppressed_intervals_by_asset(platform, definition, [h.asset for h in histories], period.start, as_of)
    return LearningData(histories, suppressed, period, verdicts_at(platform, definition, as_of))


def verdicts_at(platform: TrainingPorts, definition: ModelDefinition, as_of: datetime) -> list[VerdictInterval]:
    """Return the episodes that operators had called right or wrong by as_of, and the misses that they had reported."""
    found = []
    for episode in platform.episodes.find(definition.name):
        verdict, _ = consensus([one for one in episode.feedback if one.at <= as_of])
        if verdict in ("true_alarm", "false_alarm"):
            end = max(episode.raised_at, min(episode.closed_at or as_of, as_of))
            found.append(VerdictInterval(episode.asset, episode.raised_at, end, verdict))
    misses = [miss for miss in platform.misses.between(definition=definition.name) if miss.at <= as_of]
    return sorted([*found, *(VerdictInterval(miss.asset, miss.missed_at, miss.missed_at, "true_alarm") for miss in misses)])


def _to_parquet(frame: pd.DataFrame) -> bytes:
    stored = io.BytesIO()
    frame.to_parquet(stored)
    return stored.getvalue()


def _read(files: Files, name: str) -> pd.DataFrame:
    """Return a frame with the conventions of `History`: texts are objects, None where missing."""
    frame = pd.read_parquet(io.BytesIO(files[name]))
    for column in map(str, frame.select_dtypes("string").columns):
        frame[column] = frame[column].astype(object).where(frame[column].notna(), None)
    return frame
