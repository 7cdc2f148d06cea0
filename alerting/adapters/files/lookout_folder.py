"""A dataset of Amazon Lookout for Equipment in a folder: the component of each CSV file, the names
of its sensors, and the file of labels."""

import csv
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from alerting.adapters.files.readings_and_events import EventColumns
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

    @property
    def sensors(self) -> Sequence[str]:
        return self.titles[1:]

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
    paths = sorted(islice(_csv_files(folder), MOST_FILES + 1))
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


def _csv_files(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        is_hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.name.lower().endswith(_SUFFIXES) and path.is_file() and not is_hidden:
            yield path


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
        for title in file.sensors:
            components[derive_name(title)].add(file.component)
    return {
        file.path: {
            title: file.name_with_component(title)
            for title in file.sensors
            if len(components[derive_name(title)]) > 1 or file.name_with_component(title) in stored
        }
        for file in files
    }


def label_layout(path: Path, layout: Layout) -> tuple[Layout, EventColumns]:
    """Return how a file of labels is read: start and end on each line, perhaps equipment, fault
    code and notes; a header is not needed. Raises UserError if it has other columns."""
    try:
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            first = next(csv.reader(file), [])
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    if not 2 <= len(first) <= len(_LABEL_COLUMNS):
        raise UserError(
            f"{path}: a line of labels holds start and end, perhaps "
            f"{', '.join(_LABEL_COLUMNS[2:])}, separated by commas; its first line is "
            f"{shown(','.join(first))}"
        )
    has_header = not any(character.isdigit() for character in first[0])
    titles = tuple(first) if has_header else _LABEL_COLUMNS[: len(first)]
    layout = replace(layout, time=titles[0])
    if not has_header:
        layout = replace(layout, header_line=0, columns=titles)
    return layout, EventColumns(LABEL_TYPE, end_column=titles[1])
