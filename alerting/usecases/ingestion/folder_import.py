"""Import of a folder: many files of one asset, all checked before any is written; and an anomaly
alert on what they hold."""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any

from alerting.definitions.faults import UserError
from alerting.ports import Progress
from alerting.usecases.ingestion.imported_files import Understood
from alerting.usecases.ingestion.tables import CheckedFile, ImportResult

CheckFile = Callable[[Progress], CheckedFile]
_LEARNED = 0.8
_NOTHING = "No file of the folder was written"


def check_files(
    checks: Mapping[str, CheckFile], scheduled: Mapping[str, str], progress: Progress
) -> list[Understood]:
    """Check every file of a folder, without a write. `checks`: by path; a checked file is not kept,
    so that memory does not grow with the files.

    `scheduled`: the folders of files that may overlap in time, by their path. Raises UserError for
    the first faulty file, with its name, and if files contradict each other.
    """
    files: dict[str, Understood] = {}
    for number, (path, check) in enumerate(checks.items(), 1):
        report = partial(_report, progress, f"{number} of {len(checks)}")
        try:
            files[path] = check(report).understood
        except UserError as error:
            text = str(error) if path in str(error) else f"{path}: {error}"
            of_options = (
                "Options named above are those of `alerting import readings`; --tz and "
                "--time-format are here, too. "
            )
            raise UserError(f"{text}\n{of_options if '--' in text else ''}{_NOTHING}") from error
    _refuse_conflicts(files, scheduled)
    return [*files.values()]


def write_files(
    checks: Mapping[str, CheckFile], *, now: datetime, actor: str, progress: Progress
) -> list[ImportResult]:
    """Check every file once more, since an earlier one may have declared its variables, and write
    it. Idempotent."""
    results = []
    for number, check in enumerate(checks.values(), 1):
        report = partial(_report, progress, f"{number} of {len(checks)}")
        results.append(check(report).write(now=now, actor=actor, progress=report))
    return results


def _report(progress: Progress, count: str, step: str, done: int, total: int | None) -> None:
    progress(f"{step} file {count}", done, total)


def _refuse_conflicts(files: Mapping[str, Understood], scheduled: Mapping[str, str]) -> None:
    """Raise UserError if two files hold one variable with different types, or at the same time.

    A file of a schedule may overlap others in its folder, and files of no schedule.
    """
    types: dict[str, tuple[str, str]] = {}
    ends: dict[tuple[str, bool], tuple[datetime, str]] = {}
    timed = [(f.first, f.last, path, f) for path, f in files.items() if f.first and f.last]
    for first, last, path, file in sorted(timed, key=lambda entry: entry[:3]):
        for column in () if file.event_types else file.columns:
            kind, earlier = types.setdefault(column.name, (column.type, path))
            if kind != column.type:
                raise UserError(
                    f"{path}: {column.title} is a {column.type}, but a {kind} in {earlier}; "
                    f"correct one of them. {_NOTHING}"
                )
            key = (column.name, path in scheduled)
            end, before = ends.get(key, (first, path))
            may_overlap = path in scheduled and scheduled[path] == scheduled.get(before)
            if first < end and not may_overlap:
                raise UserError(
                    f"{path}: holds {column.title} at times that {before} holds, too. If they are "
                    "of two components, give each a folder of its name; else remove one. "
                    f"{_NOTHING}"
                )
            ends[key] = max((end, before), (last, path))


def anomaly_document(
    asset: str, first: datetime, last: datetime, label_type: str | None
) -> dict[str, Any]:
    """Return the document of an anomaly alert on an asset: normal operation are the first four
    fifths of this interval, except for the events of `label_type`, which are the problem; in the
    last fifth a training counts false alarms."""
    until = (first + (last - first) * _LEARNED).replace(microsecond=0)
    problem = {"problem": {"event": label_type, "predict": "state"}} if label_type else {}
    return {
        "name": f"{asset}-unlike-normal",
        "kind": "anomaly",
        "assets": [asset],
        "title": f"{asset} runs unlike normal",
        **problem,
        "normal": {"from": first.isoformat(), "to": until.isoformat()},
    }
