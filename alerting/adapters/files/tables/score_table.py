"""Tables of scores, written piece by piece as CSV or Parquet."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from alerting.deferred import arrow_csv, pa, pq
from alerting.definitions.faults import UserError
from alerting.kinds.protocol.evaluation import ScoredRows


def write_scores(path: Path, scored: Iterable[tuple[str, ScoredRows]]) -> Counter[str]:
    """Write one row for each instant, with the score or the reason without one. Count the instants
    by reason, "" for scores.

    The file appears when all is written, and replaces one of that name. Raises UserError for
    another ending than .csv or .parquet, and if the file cannot be written.
    """
    require_score_table(path)
    part = path.with_name(f"{path.name}.part")
    counts = Counter[str]()
    try:
        with (
            arrow_csv.CSVWriter(part, _schema())
            if path.suffix == ".csv"
            else pq.ParquetWriter(part, _schema()) as writer
        ):
            for asset, rows in scored:
                counts.update(rows.unknown.tolist())
                writer.write_table(_table(asset, rows))
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


def _table(asset: str, rows: ScoredRows) -> Any:
    size = len(rows.at)
    values = np.full((size, 3), np.nan) if rows.values is None else rows.values[:, 0]
    columns = {
        "time": pa.array(rows.at, pa.timestamp("ms", "UTC")),
        "asset": pa.repeat(asset, size),
        "score": pa.array(rows.score, pa.float64(), from_pandas=True),
        "threshold": pa.repeat(
            pa.scalar(rows.threshold if rows.has_alarm else None, pa.float64()), size
        ),
        "model_version": pa.repeat(pa.scalar(rows.model_version, pa.int64()), size),
        "reason": pa.array(rows.unknown, pa.string(), mask=rows.unknown == ""),
        **{
            name: pa.array(values[:, side], pa.float64(), from_pandas=True)
            for side, name in enumerate(("low", "median", "high"))
        },
    }
    return pa.table(columns, schema=_schema())


def _schema() -> Any:
    number = pa.float64()
    text = pa.string()
    return pa.schema([
        *(("time", pa.timestamp("ms", "UTC")), ("asset", text), ("score", number)),
        *(("threshold", number), ("model_version", pa.int64()), ("reason", text)),
        *((name, number) for name in ("low", "median", "high")),  # of the nearest predicted value
    ])  # fmt: skip
