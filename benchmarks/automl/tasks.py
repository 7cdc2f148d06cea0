"""Tasks: public data as datasets of the platform, and as exported matrices for the peers, stored by
hash."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from alerting.kinds.classifier.definition import ClassifierDefinition
from alerting.learning.data.dataset import Dataset
from alerting.learning.data.files import BESIDE, dataset_files, dataset_from_files, export_table
from alerting.learning.features.encoding import Columns
from benchmarks.helpers.public_data import ai4i, azure, roasting, stratified

TASKS = ("azure", "roasting", "ai4i", "ai4i-folds")
FOLDS = 5
# of all rows: the table for the peers lacks those that no system is measured by
PARTS = "parts.parquet"


@dataclass(frozen=True)
class Task:
    """One dataset with its split. `folder`: its matrix (`table.parquet`) and files; `hash`: over
    matrix, labels and parts."""

    name: str
    part: int
    dataset: Dataset
    folder: Path
    hash: str

    @property
    def ordered(self) -> bool:
        """Return whether the rows have an order in time that the split preserves."""
        return self.name != "ai4i-folds"

    @property
    def dated(self) -> bool:
        """Return whether the rows have true time stamps, which false alarms a week need."""
        return not self.name.startswith("ai4i")


def load(data: Path, kept: Path, name: str) -> list[Task]:
    """Return a task, or one for each fold. Write its matrix to a folder below `kept` unless it
    exists. Idempotent."""
    loader: Callable[[Path], tuple[ClassifierDefinition, Dataset]]
    loader = azure if name == "azure" else roasting if name == "roasting" else ai4i
    definition, dataset = loader(data)
    parts = stratified(dataset, FOLDS) if name == "ai4i-folds" else [dataset]
    return [export_task(kept, name, number, definition, part) for number, part in enumerate(parts)]


def export_task(
    kept: Path, name: str, number: int, definition: ClassifierDefinition, dataset: Dataset
) -> Task:
    """Return the task with its matrix in a folder below `kept`, written unless it exists.
    Idempotent."""
    digest = _hash(dataset)
    folder = kept / f"{name}-{number}-{digest}"
    if not (folder / "table.parquet").exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "definition.json").write_text(definition.model_dump_json(by_alias=True))
        whole = replace(dataset, part=dataset.part_by_data) if name == "ai4i-folds" else dataset
        for file, content in dataset_files(whole).items():
            (folder / file).write_bytes(content)
        pd.DataFrame({"part": dataset.part}).to_parquet(folder / PARTS)
        table = export_table(dataset)
        features = table.drop(columns=list(BESIDE))
        features.columns = [f"f{i}" for i in range(features.shape[1])]
        pd.concat([table[["part", "label"]], features], axis=1).to_parquet(
            folder / "table.parquet", index=False
        )
    return Task(name, number, dataset, folder, digest)


def _hash(dataset: Dataset) -> str:
    """Return a hash of the input of a search: the matrix, and label and part of each row."""
    digest = hashlib.sha256(Columns.from_plan(dataset.plan).matrix(dataset.rows).tobytes())
    digest.update(np.ascontiguousarray(dataset.label).tobytes())
    digest.update(",".join(dataset.part).encode())
    return digest.hexdigest()[:10]


def reload(folder: Path) -> tuple[ClassifierDefinition, Dataset]:
    """Return definition and dataset of an exported task."""
    definition = ClassifierDefinition.model_validate(
        json.loads((folder / "definition.json").read_text())
    )
    dataset = dataset_from_files(
        {file.name: file.read_bytes() for file in folder.iterdir() if file.name != "table.parquet"}
    )
    return definition, replace(
        dataset, part=pd.read_parquet(folder / PARTS)["part"].to_numpy(object)
    )
