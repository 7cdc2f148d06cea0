"""Scores of a file of readings, which the command or a predict job writes piece by piece to a CSV
or Parquet file; and readings in Parquet files, one folder per asset.

The name of a file of readings says which times it holds, so a search opens only the files that it
needs. Columns are `time (UTC)`, `quality (JSON)` (of samples that are not good, by variable), and
one per variable: number double, boolean double of 0 and 1, category string.

A predict job is a folder of the home, named by its id. It holds `job.json`, `readings.parquet`
until the job is over, then `scores.parquet`. Airflow carries jobs out; an interrupted job begins
again.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
import uuid
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter

from alerting.adapters.files.readings_and_events import ReadingsFile
from alerting.deferred import arrow_csv, ds, pa, pc, pd, pq
from alerting.definitions.asset_documents import Asset, VariableType, types_of
from alerting.definitions.faults import NotFound, UserError, first_line
from alerting.definitions.file_form import FileForm
from alerting.kinds.protocol import ScoredRows
from alerting.ports import (
    EvaluationPorts,
    NewestReading,
    Progress,
    ReadingBatch,
    ReadingColumns,
    Readings,
    SampleColumn,
    Wanted,
    WantedHistory,
    silent,
)
from alerting.readings.history import (
    Doubts,
    History,
    from_millis,
    no_events,
    read_computed,
    to_millis,
)
from alerting.readings.variable_series import LEAST_FAR, usual_instants
from alerting.stores.readings.columns import frame_of, newest_frame, without_bad
from alerting.usecases.scoring.past_scores import plan_file

JOB_ID = "[0-9a-f]{12}"
MOST_WAITING = 20
MOST_BYTES = 8 << 30  # of all jobs that are not over, with their scores
MOST_JOBS = 200
_SCRATCH = 3  # bytes of disk for each byte of readings: themselves, ordered by time, and scores
_SPARE = 1 << 30
_LONGEST_ARRIVAL = timedelta(hours=1)  # an upload that takes longer has ended without a trace
JobState = Literal["arriving", "waiting", "running", "done", "failed"]
MOST_ROWS = 200_000  # of all assets together that wait to be written
# no names of variables
_TIME = "time (UTC)"
_QUALITY = "quality (JSON)"


@dataclass(frozen=True)
class ScoredFile:
    """Result of scoring a file: the version that scored, rows read, scores written, instants
    without one by reason, notes."""

    version: int
    rows: int
    scores: int
    unknown: Mapping[str, int]
    notes: tuple[str, ...] = ()


def score_file(
    platform: EvaluationPorts,
    name: str,
    file: Path,
    form: FileForm,
    out: Path,
    progress: Progress = silent,
) -> ScoredFile:
    """Write the scores of the readings in a file. Meanwhile its rows are stored by time beside
    `out`.

    Raises UserError if the file is faulty, the definition gives no scores, or `out` cannot be
    written; nothing is left then.
    """
    require_score_table(out)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as folder:
        planned = plan_file(
            platform, name, ReadingsFile(file, form), ParquetStore(Path(folder)), progress
        )
        counts = write_scores(out, planned.scores(progress))
    scores = counts.pop("", 0)
    rows = planned.checked.profile.rows
    unknown = dict(counts.most_common())
    return ScoredFile(planned.plan.version, rows, scores, unknown, tuple(planned.notes))


class JobsFull(UserError):
    """Refusal of a job because there are too many, or too large ones."""


@dataclass(frozen=True)
class PredictJob:
    """A predict job and its result. `bytes`: size of its readings. `layout`: options of their
    columns, like the options of an import. `fault`: why it failed."""

    id: str
    definition: str
    actor: str
    created_at: datetime
    bytes: int
    layout: Mapping[str, str] = field(default_factory=dict)
    state: JobState = "arriving"
    fault: str | None = None
    result: ScoredFile | None = None
    ended_at: datetime | None = None


_JOB = TypeAdapter(PredictJob)


@dataclass(frozen=True)
class PredictFolder:
    """The jobs below a folder of this machine that only its owner may enter."""

    folder: Path

    def file(self, id: str, name: str) -> Path:
        """Return the path of a file of a job. Raises NotFound for a text that is no id."""
        if not re.fullmatch(JOB_ID, id):
            raise NotFound(f"there is no predict job {id!r}")
        return self.folder / id / name

    def readings(self, id: str) -> Path:
        """Return the path of the readings of a job."""
        return self.file(id, "readings.parquet")

    def jobs(self) -> list[PredictJob]:
        """Return all jobs, newest first."""
        unsorted = [_JOB.validate_json(p.read_bytes()) for p in self.folder.glob("*/job.json")]
        return sorted(unsorted, key=lambda job: job.created_at, reverse=True)

    def get(self, id: str) -> PredictJob:
        """Return a job whose readings have arrived. Raises NotFound."""
        path = self.file(id, "job.json")
        job = _JOB.validate_json(path.read_bytes()) if path.exists() else None
        if job is None or job.state == "arriving":
            raise NotFound(
                f"there is no predict job {id!r}; jobs and their scores are deleted after a time"
            )
        return job

    def store(self, job: PredictJob) -> PredictJob:
        """Store a job, which appears whole, and return it."""
        part = self.file(job.id, f".{uuid.uuid4().hex}")
        part.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part.write_bytes(_JOB.dump_json(job))
        part.replace(self.file(job.id, "job.json"))
        return job

    def order(
        self, definition: str, actor: str, size: int, layout: Mapping[str, str], lasts: timedelta
    ) -> PredictJob:
        """Delete jobs that are too old, and return a new job whose readings will arrive.

        Raises JobsFull. The job is stored first and then counted, so that two orders at once never
        exceed the limit.
        """
        job = PredictJob(uuid.uuid4().hex[:12], definition, actor, datetime.now(UTC), size, layout)
        self.clean(job.created_at, lasts)
        self.store(job)
        open_jobs = [stored for stored in self.jobs() if stored.ended_at is None]
        needed = _SCRATCH * sum(stored.bytes for stored in open_jobs)
        room = min(MOST_BYTES, shutil.disk_usage(self.folder).free - _SPARE)
        if len(open_jobs) > MOST_WAITING or needed > room:
            self.drop(job.id)
            raise JobsFull(
                f"{len(open_jobs) - 1} predict jobs are waiting, and {max(room, 0) >> 20} MiB of "
                f"disk are for {needed >> 20}: send this one when some are done"
            )
        return job

    def submit(self, job: PredictJob) -> PredictJob:
        """Let a job wait for its turn after its readings have arrived."""
        return self.store(replace(job, state="waiting"))

    def clean(self, now: datetime, lasts: timedelta) -> None:
        """Delete jobs that ended this long ago, or have 200 newer ones, and lost uploads."""
        for number, job in enumerate(self.jobs()):
            is_lost = job.state == "arriving" and job.created_at < now - _LONGEST_ARRIVAL
            is_over = job.ended_at is not None
            if is_lost or (is_over and (number >= MOST_JOBS or job.created_at < now - lasts)):
                self.drop(job.id)

    def drop(self, id: str) -> None:
        """Delete a job with its files. Idempotent."""
        shutil.rmtree(self.file(id, ""), ignore_errors=True)

    def run(
        self,
        platform: EvaluationPorts,
        id: str,
        is_outage: Callable[[Exception], bool],
        is_last_try: bool,
    ) -> PredictJob:
        """Score the readings of a job, and return the ended job. Idempotent. Raises temporary
        errors and every outage of the database, except at the last try."""
        job = self.get(id)
        if job.ended_at is not None:
            return job
        self.store(replace(job, state="running"))
        try:
            with tempfile.TemporaryDirectory(prefix="try-", dir=self.file(id, "")) as folder:
                out = Path(folder) / "scores.parquet"
                form = FileForm(**job.layout)  # type: ignore[arg-type]
                result = score_file(platform, job.definition, self.readings(id), form, out)
                out.replace(self.file(id, out.name))
        except Exception as fault:
            is_refused = isinstance(fault, UserError) and not is_outage(fault)
            if not is_refused and not is_last_try:
                raise
            why = str(fault) if is_refused else first_line(fault)
            return self.fail(id, why.replace(str(self.readings(id)), "the file"))
        return self._end(replace(job, state="done", result=result))

    def fail(self, id: str, why: str) -> PredictJob:
        """End a job that is not over, with a fault. Return the job."""
        job = self.get(id)
        return job if job.ended_at else self._end(replace(job, state="failed", fault=why))

    def _end(self, job: PredictJob) -> PredictJob:
        ended = self.store(replace(job, ended_at=datetime.now(UTC)))
        self.readings(job.id).unlink(missing_ok=True)
        for draft in self.file(job.id, "").glob("try-*"):  # of a worker that was killed
            shutil.rmtree(draft, ignore_errors=True)
        return ended


class ParquetStore(Readings):
    """Write readings into a folder, and read them as the port `Readings`. For one process."""

    def __init__(self, folder: Path, most_rows: int | None = None) -> None:
        self._folder = folder
        self._most_rows = most_rows or MOST_ROWS
        self._waiting: dict[str, list[pa.Table]] = {}
        self._rows = self._number = 0

    def write(self, batches: Iterable[ReadingBatch]) -> int:
        """Write all batches; return the number of rows. Raises UserError if the disk refuses."""
        written = 0
        for batch in batches:
            for asset, table in _split_by_asset(batch):
                self._waiting.setdefault(asset, []).append(table)
            written += len(batch)
            self._rows += len(batch)
            if self._rows >= self._most_rows:
                self._flush()
        self._flush()
        return written

    def _flush(self) -> None:
        try:
            for asset, tables in self._waiting.items():
                table = pa.concat_tables(tables, promote_options="default").sort_by(_TIME)
                first = to_millis(table[_TIME][0].as_py())
                last = to_millis(table[_TIME][-1].as_py())
                (self._folder / asset).mkdir(parents=True, exist_ok=True)
                path = self._folder / asset / f"{first}_{last}_{self._number}.parquet"
                pq.write_table(table, path, row_group_size=20_000, compression="zstd")
                self._number += 1
        except OSError as error:
            raise UserError(
                f"{self._folder}: cannot be written ({error.strerror or error})"
            ) from error
        self._waiting = {}
        self._rows = 0

    def load(self, request: WantedHistory) -> History:
        asset = request.asset

        def read(names: Sequence[str], since: datetime | None) -> tuple[pd.DataFrame, Doubts]:
            columns = self._columns(asset.name, since, request.end, types_of(asset, names))
            return frame_of(columns), columns.doubts

        readings, doubts = read_computed(asset, request.names, request.start, read)
        return History(asset, readings, no_events(), (), doubts)  # there are no events

    def load_many(self, requests: Sequence[Wanted], end: datetime) -> dict[str, ReadingColumns]:
        return {
            request.asset: self._columns(request.asset, request.start, end, request.types)
            for request in requests
        }

    def newest_values(
        self, asset: Asset, since: Mapping[str, datetime], until: datetime
    ) -> pd.DataFrame:
        return newest_frame(self.load, asset, since, until)

    def newest_readings(
        self, until: datetime | None = None, assets: Collection[str] | None = None
    ) -> dict[str, NewestReading]:
        """Return the last instant of each asset. Arrivals are unknown, so the same instant stands
        for them."""
        folders = [path.name for path in self._folder.iterdir()] if self._folder.is_dir() else []
        newest = {
            asset: self._last(asset, until)
            for asset in folders
            if assets is None or asset in assets
        }
        return {
            asset: NewestReading(last, last) for asset, last in newest.items() if last is not None
        }

    def _last(self, asset: str, until: datetime | None) -> datetime | None:
        ts = self._columns(asset, None, until, {}).ts
        return from_millis(int(ts[-1])) if len(ts) else None

    def span(self, asset: str, until: datetime | None = None) -> tuple[datetime, datetime] | None:
        times = [times for times, _ in self._files(asset)]
        if not times:
            return None
        first = min(t[0] for t in times)
        last = max(t[1] for t in times)
        if until is None and last - first < LEAST_FAR:
            return from_millis(first), from_millis(last)
        ts = self._columns(asset, None, until, {}).ts
        if not len(ts):
            return None
        return from_millis(int(ts[usual_instants(ts).start])), from_millis(int(ts[-1]))

    def _files(self, asset: str) -> Iterator[tuple[tuple[int, int], Path]]:
        for path in sorted((self._folder / asset).glob("*.parquet")):
            first, last, _ = path.stem.split("_")
            yield (int(first), int(last)), path

    def _columns(
        self,
        asset: str,
        start: datetime | None,
        end: datetime | None,
        types: Mapping[str, VariableType],
    ) -> ReadingColumns:
        """Return readings, start < ts <= end. A later row of an instant completes the earlier
        row."""
        after = None if start is None else to_millis(start)
        until = None if end is None else to_millis(end)
        files = [
            str(path)
            for (first, last), path in self._files(asset)
            if (after is None or last > after) and (until is None or first <= until)
        ]
        arrow = {
            name: pa.string() if type_ == "category" else pa.float64()
            for name, type_ in types.items()
        }
        schema = pa.schema([(_TIME, _stamp()), (_QUALITY, pa.string()), *arrow.items()])
        table = (
            ds.dataset(files, schema=schema, format="parquet").to_table(
                filter=_interval_filter(start, end)
            )
            if files
            else None
        )
        table = (schema.empty_table() if table is None else table).sort_by(_TIME)
        ts = np.asarray(table[_TIME].cast(pa.int64()))
        if len(ts) and (ts[1:] == ts[:-1]).any():
            table = table.group_by(_TIME, use_threads=False).aggregate(
                [(name, "last") for name in schema.names[1:]]
            )
            table = table.rename_columns(
                [name.removesuffix("_last") for name in table.column_names]
            ).sort_by(_TIME)
            ts = np.asarray(table[_TIME].cast(pa.int64()))
        columns = {name: _column(table[name], type_) for name, type_ in types.items()}
        graded = np.flatnonzero(np.asarray(table[_QUALITY].is_valid()))
        doubted = [
            {"ts": from_millis(int(ts[i])), "q": json.loads(table[_QUALITY][int(i)].as_py())}
            for i in graded
        ]
        return without_bad(ts, columns, {}, doubted)


def _interval_filter(start: datetime | None, end: datetime | None) -> Any:
    after = None if start is None else pc.field(_TIME) > pa.scalar(start, _stamp())
    until = None if end is None else pc.field(_TIME) <= pa.scalar(end, _stamp())
    if after is None or until is None:
        return until if after is None else after
    return after & until


def _column(column: Any, type_: VariableType) -> npt.NDArray[Any]:
    if type_ == "category":
        return np.array(column.to_pylist(), dtype=object)
    return np.array(column.to_numpy(), dtype=np.float64)


def _split_by_asset(batch: ReadingBatch) -> Iterator[tuple[str, pa.Table]]:
    for asset in dict.fromkeys(batch.assets.tolist()):
        rows = np.flatnonzero(batch.assets == asset)
        columns = {
            name: column.take(rows)
            for name, column in batch.columns.items()
            if column.present[rows].any()
        }
        arrays = {name: _array(column) for name, column in columns.items()}
        quality = [
            json.dumps(batch.quality[row]) if row in batch.quality else None
            for row in rows.tolist()
        ]
        yield (
            asset,
            pa.table(
                {
                    _TIME: pa.array(batch.at[rows], _stamp()),
                    _QUALITY: pa.array(quality, pa.string()),
                    **arrays,
                }
            ),
        )


def _array(column: SampleColumn) -> Any:
    is_text = column.values.dtype == object
    values = column.values if is_text else column.values.astype(np.float64)
    return pa.array(values, pa.string() if is_text else pa.float64(), mask=~column.present)


def _stamp() -> Any:
    return pa.timestamp("ms", "UTC")


def write_scores(path: Path, scored: Iterable[tuple[str, ScoredRows]]) -> Counter[str]:
    """Write one row for each instant, with the score or the reason why there is none: a long one,
    such as the names of many silent variables, once, and then `AS_BEFORE`. Return the number of
    instants by reason, "" for scores.

    The file appears when all is written, and replaces an existing file of that name. Raises
    UserError for another ending than .csv or .parquet, and if the file cannot be written.
    """
    require_score_table(path)
    part = path.with_name(f"{path.name}.part")
    counts = Counter[str]()
    last = ("", "")
    try:
        with (
            arrow_csv.CSVWriter(part, _score_schema())
            if path.suffix == ".csv"
            else pq.ParquetWriter(part, _score_schema()) as writer
        ):
            for asset, rows in scored:
                counts.update(rows.unknown.tolist())
                writer.write_table(_score_table(asset, rows, last[1] if last[0] == asset else ""))
                last = (asset, rows.unknown[-1])
        part.replace(path)
    except OSError as error:
        raise UserError(
            f"{path}: cannot be written ({error.strerror or error}); name another file with --out"
        ) from error
    finally:
        part.unlink(missing_ok=True)
    return counts


def require_score_table(path: Path) -> None:
    """Raise UserError if scores cannot be written to a file of this name."""
    if path.suffix not in (".csv", ".parquet"):
        raise UserError(f"--out {path}: name a file that ends in .csv or .parquet")
    if not path.parent.is_dir():
        raise UserError(
            f"{path}: cannot be written (there is no such folder); name another file with --out"
        )


AS_BEFORE = "as before"
_LONG = 60  # characters of a reason, from which it is written once


def _score_table(asset: str, rows: ScoredRows, before: str) -> Any:
    size = len(rows.at)
    reasons = rows.unknown.copy()
    for row, reason in enumerate(rows.unknown.tolist()):
        if reason == before and len(reason) > _LONG:
            reasons[row] = AS_BEFORE
        before = reason
    interval = rows.interval
    values = np.full((size, 3), np.nan) if interval is None else interval
    columns = {
        "time": pa.array(rows.at, pa.timestamp("ms", "UTC")),
        "asset": pa.repeat(asset, size),
        "score": pa.array(rows.score, pa.float64(), from_pandas=True),
        "threshold": pa.repeat(
            pa.scalar(rows.threshold if rows.has_alarm else None, pa.float64()), size
        ),
        "model_version": pa.repeat(pa.scalar(rows.model_version, pa.int64()), size),
        "reason": pa.array(reasons, pa.string(), mask=reasons == ""),
        **{
            name: pa.array(values[:, side], pa.float64(), from_pandas=True)
            for side, name in enumerate(("low", "median", "high"))
        },
    }
    return pa.table(columns, schema=_score_schema())


def _score_schema() -> Any:
    number = pa.float64()
    text = pa.string()
    return pa.schema([
        *(("time", pa.timestamp("ms", "UTC")), ("asset", text), ("score", number)),
        *(("threshold", number), ("model_version", pa.int64()), ("reason", text)),
        *((name, number) for name in ("low", "median", "high")),  # as `ScoredRows.interval`
    ])  # fmt: skip
