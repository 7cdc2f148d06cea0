"""The files of predict jobs below a folder of this machine that only its owner may enter.

Of each job a folder with its id as name: `readings.parquet` and `scores.parquet`, which appear
whole, and beside them a folder of the try under way.
"""

import os
import re
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from alerting.adapters.predictions.addresses import NO_ADDRESSES, JobAddresses
from alerting.adapters.predictions.s3_objects import ObjectState
from alerting.ports import EvaluationPorts, PredictJob, Progress, ScoredFile

JOB_ID = "[0-9a-f]{12}"
_READINGS = "readings.parquet"
_SCORES = "scores.parquet"


@dataclass(frozen=True)
class JobFolder:
    """Port `JobFiles`. `addresses`: those in an object store that a job may name."""

    folder: Path
    addresses: JobAddresses = NO_ADDRESSES
    is_shared: bool = True

    def create(self, id: str) -> Path:
        """Return the path for the readings of a new job."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._job_folder(id).mkdir()
        return self.readings(id)

    def readings(self, id: str) -> Path:
        return self._job_folder(id) / _READINGS

    def scores(self, id: str) -> Path:
        """Return the path of the scores of a job."""
        return self._job_folder(id) / _SCORES

    def free(self) -> int:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return shutil.disk_usage(self.folder).free

    def size(self, id: str) -> int:
        found = 0
        for folder, _, files in os.walk(self._job_folder(id)):
            for file in files:
                with suppress(FileNotFoundError):  # removed meanwhile
                    found += Path(folder, file).stat().st_size
        return found

    def has_readings(self, id: str) -> bool:
        return self.readings(id).exists()

    def fetch(self, job: PredictJob, progress: Progress) -> str:
        assert job.address is not None  # noqa: S101 - the caller has asked
        part = self._try(job) / _READINGS
        sha256 = self.addresses.fetch(job.address, ObjectState(job.size, job.etag), part, progress)
        part.replace(self.readings(job.id))
        return sha256

    def score(self, platform: EvaluationPorts, job: PredictJob, progress: Progress) -> ScoredFile:
        from alerting.adapters.files.rows import Layout
        from alerting.adapters.predictions.file_scores import score_file

        part = self._try(job) / _SCORES
        layout = Layout(**job.layout)  # type: ignore[arg-type]
        found = score_file(platform, job.definition, self.readings(job.id), layout, part, progress)
        part.replace(self.scores(job.id))
        shutil.rmtree(part.parent)
        return found

    def copy(self, job: PredictJob) -> str:
        assert job.scores_to is not None  # noqa: S101 - the caller has asked
        return self.addresses.write(job.scores_to, job.id, self.scores(job.id))

    def drop_readings(self, id: str) -> None:
        self.readings(id).unlink(missing_ok=True)
        for left in self._job_folder(id).glob("try-*"):
            shutil.rmtree(left, ignore_errors=True)

    def drop(self, id: str) -> None:
        shutil.rmtree(self._job_folder(id), ignore_errors=True)

    def _job_folder(self, id: str) -> Path:
        if not re.fullmatch(JOB_ID, id):
            raise ValueError(f"not the id of a predict job: {id!r}")
        return self.folder / id

    def _try(self, job: PredictJob) -> Path:
        """Return the folder of the try under way, without those of earlier ones: a worker that was
        taken for dead may still write there."""
        folder = self._job_folder(job.id) / f"try-{job.tries}"
        for other in self._job_folder(job.id).glob("try-*"):
            if other != folder:
                shutil.rmtree(other, ignore_errors=True)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder
