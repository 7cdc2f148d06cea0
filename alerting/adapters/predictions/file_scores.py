"""Scores of a file, written to a file: what the command and a predict job have in common."""

import tempfile
from pathlib import Path

from alerting.adapters.archive.parquet import ParquetStore
from alerting.adapters.files.readings import ReadingsFile
from alerting.adapters.files.rows import Layout
from alerting.adapters.files.tables.score_table import require_score_table, write_scores
from alerting.ports import EvaluationPorts, Progress, ScoredFile, silent
from alerting.usecases.scoring.file_scores import plan_file


def score_file(
    platform: EvaluationPorts,
    name: str,
    file: Path,
    layout: Layout,
    out: Path,
    progress: Progress = silent,
) -> ScoredFile:
    """Write the scores of the readings in a file. Its rows are put beside `out` by time for as long
    as that takes.

    Raises UserError if the file is faulty, the definition gives no scores, or `out` cannot be
    written; nothing is left then.
    """
    require_score_table(out)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as folder:
        planned = plan_file(
            platform, name, ReadingsFile(file, layout), ParquetStore(Path(folder)), progress
        )
        counts = write_scores(out, planned.scores(progress))
    known = counts.pop("", 0)
    rows = planned.checked.profile.rows
    unknown = dict(counts.most_common())
    return ScoredFile(planned.plan.version, rows, known, unknown, tuple(planned.notes))
