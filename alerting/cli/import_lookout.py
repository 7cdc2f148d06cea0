"""`alerting import lookout`: import a dataset of Amazon Lookout for Equipment, and write an anomaly
alert on it."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
import yaml

from alerting.cli.command import (
    Line,
    Output,
    platform,
    print_lines,
    progress,
    require_file,
    user,
    writes,
)
from alerting.cli.import_commands import (
    bad_cells,
    explain_interruption,
    import_group,
    lines_of_understood,
)
from alerting.cli.options import file_layout
from alerting.definitions.faults import UserError
from alerting.usecases.ingestion.imported_files import Understood
from alerting.usecases.ingestion.tables import CheckedFile, check_events, check_readings

if TYPE_CHECKING:
    from alerting.adapters.files.lookout_folder import LookoutFolder
    from alerting.adapters.files.rows import Layout
    from alerting.ports import Platform, Progress
    from alerting.usecases.ingestion.folder_import import CheckFile

_SHOWN = 6


@import_group.command()
@writes
def lookout(
    folder: Annotated[
        Path,
        typer.Argument(help="The folder with the CSV files of the sensors.", metavar="FOLDER"),
    ],
    asset: Annotated[
        str, typer.Option("--asset", help="The asset: its name or title, or a new one.")
    ],
    labels: Annotated[
        Path | None,
        typer.Option(
            "--labels",
            help="File of labels; labels.csv, or the file in label-data, when left out.",
            metavar="FILE",
        ),
    ] = None,
    tz: Annotated[
        str, typer.Option("--tz", help="Time zone of stamps that name none.", metavar="ZONE")
    ] = "UTC",
    time_format: Annotated[
        str | None,
        typer.Option(
            "--time-format",
            help="Format of stamps where a file does not show it, e.g. mm/dd/yyyy.",
            metavar="FORMAT",
        ),
    ] = None,
    write: Annotated[
        Path | None,
        typer.Option("--write", help="Write the anomaly alert to this file.", metavar="FILE"),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check all files, and write nothing.")
    ] = False,
) -> Output:
    """Import a dataset of Amazon Lookout for Equipment, and print an anomaly alert on it.

    All CSV files in and below the folder are read: one with all sensors, one
    for each, or the inputs of a scheduler. The first column holds the stamps.
    A sensor that several components have is named with its component, which is
    the folder of the file, or its name before the stamp of a scheduler.

    Labels become lasting events of the type anomaly_label: two stamps a line,
    perhaps equipment, fault code and notes, without a header.
    """
    from alerting.adapters.files.lookout_folder import LABEL_TYPE, find_lookout_files
    from alerting.usecases.ingestion import folder_import

    if write is not None:
        require_file(write, "anomaly.yaml")
    dataset = find_lookout_files(folder, labels)
    layout = file_layout(asset=asset, zone=tz)
    scheduled = {
        str(file.path): str(file.path.parent) for file in dataset.files if file.is_scheduled
    }
    with platform() as p:
        checks = _lookout_checks(dataset, layout, time_format, p)
        with progress() as report:
            files = folder_import.check_files(checks, scheduled, report)
        print_lines(_lines_of_files(files))
        [name] = {name for file in files for name in file.assets}
        spans = [(f.first, f.last) for f in files if f.first and f.last and not f.event_types]
        spans += [span] if (span := p.readings.span(name)) else []
        has_labels = dataset.labels or p.reading_writes.has_events(LABEL_TYPE)
        document = folder_import.anomaly_document(
            name,
            min(first for first, _ in spans),
            max(last for _, last in spans),
            LABEL_TYPE if has_labels else None,
        )
        value = {"files": len(files), "definition": document, "dry_run": dry_run}
        text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
        if dry_run:
            return Output(value, ["dry run: nothing was written"], text=text)
        with progress() as report, explain_interruption():
            results = folder_import.write_files(
                checks, now=p.clock.now(), actor=user(), progress=report
            )
    counts = {
        table: {
            "new": sum(result.new for result in results if result.what == table),
            "rows": sum(result.rows for result in results if result.what == table),
        }
        for table in ("readings", "events")
    }
    lines = [f"{n['new']:,} new of {n['rows']:,} {name}" for name, n in counts.items() if n["rows"]]
    if write is not None:
        write.write_text(text, encoding="utf-8")
        lines.append(f"check and apply the alert: alerting apply {write}")
    return Output(value | counts, lines, text="" if write else text)


def _lookout_checks(
    dataset: "LookoutFolder", layout: "Layout", time_format: str | None, p: "Platform"
) -> "dict[str, CheckFile]":
    """Return the check of each file of a dataset, by path."""
    from alerting.adapters.files.lookout_folder import label_layout, rename_sensors
    from alerting.adapters.files.readings_and_events import EventsFile, ReadingsFile

    matching = [asset for asset in p.assets.all() if layout.asset in (asset.name, asset.title)]
    names = rename_sensors(dataset.files, {v for asset in matching for v in asset.variables})

    def check(path: Path, layout: "Layout", report: "Progress") -> CheckedFile:
        if path == dataset.labels:
            labels = EventsFile(path, *label_layout(path, layout))
            return check_events(labels, p, duration="lasting", progress=report)
        source = ReadingsFile(path, layout)
        checked = check_readings(source, p, now=p.clock.now(), progress=report)
        if not checked.understood.plan.title_lines:
            raise UserError(
                f"{path}: no line names the sensors; if its lines are labels, give it with --labels"
            )
        return checked

    def check_twice(path: Path, layout: "Layout", report: "Progress") -> CheckedFile:
        try:
            return check(path, layout, report)
        except UserError:
            if time_format is None:
                raise
            return check(path, replace(layout, time_format=time_format), report)

    layouts = {
        file.path: replace(layout, time=file.titles[0], rename=names[file.path])
        for file in dataset.files
    }
    if dataset.labels:
        layouts[dataset.labels] = layout
    return {str(path): partial(check_twice, path, by_path) for path, by_path in layouts.items()}


def _lines_of_files(files: Sequence[Understood]) -> Iterator[Line]:
    """Yield the format of the first files and of the last one, and the bad cells and notes of the
    files between them."""
    for file in (*files[:_SHOWN], *files[_SHOWN:][-1:]):
        yield from lines_of_understood(file)
    for file in files[_SHOWN:-1]:
        yield from (f"{file.source}: {line}" for line in (*bad_cells(file.columns), *file.notes))
    yield f"files: {len(files):,}, rows: {sum(file.rows for file in files):,}"
