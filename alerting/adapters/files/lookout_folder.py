"""A dataset of Amazon Lookout for Equipment in a folder: the component of each CSV file, the names
of its sensors, and the file of labels."""

import re
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from alerting.adapters.files.readings_and_events import EventColumns
from alerting.adapters.files.recognition import sample
from alerting.adapters.files.rows import Layout, open_table
from alerting.definitions.asset_documents import variable_name
from alerting.definitions.faults import UserError, shown
from alerting.readings.foreign_columns import derive_name

MOST_FILES = 5_000
MOST_BYTES = 50 << 30
LABEL_TYPE = "anomaly_label"
_LABEL_COLUMNS = ("start", "end", "equipment", "fault_code", "notes")
_SUFFIXES = (".csv", ".csv.gz")
_SCHEDULED = re.compile(r"(.+?)[-_ ]?(?:\d{14}|\d{4}(?:-\d\d){5}|\d{13}|\d{10})")


@dataclass(frozen=True)
class SensorFile:
    """A file with sensors of a component; `titles` begin with that of the stamps. `is_scheduled`:
    it was the input of a scheduler, by the stamp in its name."""

    path: Path
    component: str
    titles: Sequence[str]
    is_scheduled: bool

    def name_with_component(self, title: str) -> str:
        """Return the name of the variable of a sensor that other components have, too."""
        return variable_name(f"{self.component}_{derive_name(title)}")


@dataclass(frozen=True)
class LookoutFolder:
    """The files of a dataset, and its file of labels."""

    files: Sequence[SensorFile]
    labels: Path | None


def find_lookout_files(folder: Path, labels: Path | None) -> LookoutFolder:
    """Return the CSV files in a folder and those below it, in order of their paths; hidden ones do
    not count. `labels` is not one of sensors; left out, it is labels.csv or lies in label-data.

    Raises UserError if there are none, too many, or a file without a header.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: is no folder; name the one with the CSV files of the sensors")
    csv_files = (
        path
        for path in folder.rglob("*")
        if path.name.lower().endswith(_SUFFIXES)
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    paths = sorted(islice(csv_files, MOST_FILES + 1))
    if len(paths) > MOST_FILES or sum(path.stat().st_size for path in paths) > MOST_BYTES:
        raise UserError(
            f"{folder}: holds more than {MOST_FILES:,} CSV files, or more than {MOST_BYTES >> 30} "
            "GiB; import its folders one after the other"
        )
    likely = [path for path in paths if path.stem == "labels" or path.parent.name == "label-data"]
    labelled = [labels] if labels else likely
    if len(labelled) > 1:
        names = ", ".join(map(str, labelled))
        raise UserError(f"{folder}: several files may hold labels: {names}; name one with --labels")
    excluded = {path.resolve() for path in labelled}
    files = [_sensor_file(path) for path in paths if path.resolve() not in excluded]
    if not files:
        raise UserError(f"{folder}: holds no CSV file of sensors")
    return LookoutFolder(files, next(iter(labelled), None))


def _sensor_file(path: Path) -> SensorFile:
    scheduled = _SCHEDULED.fullmatch(path.name.partition(".")[0])
    component = scheduled[1] if scheduled else path.resolve().parent.name
    titles = tuple(open_table(path, None, None).titles)
    return SensorFile(path, component, titles, scheduled is not None)


def rename_sensors(
    files: Sequence[SensorFile], stored: Collection[str]
) -> dict[Path, dict[str, str]]:
    """Return, by file and title, the names of sensors that several components have: with that of
    the component, as in an earlier import (`stored`: names of the asset's variables)."""
    components: dict[str, set[str]] = defaultdict(set)
    for file in files:
        for title in file.titles[1:]:
            components[derive_name(title)].add(file.component)
    return {
        file.path: {
            title: file.name_with_component(title)
            for title in file.titles[1:]
            if len(components[derive_name(title)]) > 1 or file.name_with_component(title) in stored
        }
        for file in files
    }


def label_layout(path: Path, layout: Layout) -> tuple[Layout, EventColumns]:
    """Return how a file of labels is read: start and end on each line, perhaps equipment, fault
    code and notes; a header is not needed. Raises UserError if it has other columns."""
    cells = sample(open_table(path, None, None, header_line=0))
    first = [column[0].as_py() or "" for column in cells.values()]
    if not 2 <= len(first) <= len(_LABEL_COLUMNS):
        raise UserError(
            f"{path}: a line of labels holds start and end, perhaps "
            f"{', '.join(_LABEL_COLUMNS[2:])}, separated by commas; its first line is "
            f"{shown(','.join(first))}"
        )
    if any(character.isdigit() for character in first[0]):
        titles = _LABEL_COLUMNS[: len(first)]
        layout = replace(layout, time="start", header_line=0, columns=titles)
        return layout, EventColumns(LABEL_TYPE, end_column="end")
    return replace(layout, time=first[0]), EventColumns(LABEL_TYPE, end_column=first[1])
