"""`alerting test`: run scenarios against definitions; like `promtool test rules`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from alerting.cli.printing.output import console, print_json, zone
from alerting.cli.support import Json, command, platform
from alerting.definitions.faults import UserError

Scenarios = Annotated[
    list[Path], typer.Argument(help="YAML files, each with one definition and its scenarios.")
]


@command
def test(files: Scenarios, as_json: Json = False) -> None:
    """Run scenarios: readings over time and the transitions that must follow. Exit code 1 if one
    fails.

    A definition is a file beside the scenarios, or written in them, or the name of one that is in
    the database.
    """
    from alerting.definitions.revisions import in_plant_zone
    from alerting.kinds.validation import parse_definition
    from alerting.usecases.definitions.scenarios import read_scenarios, run_scenario

    rows: list[dict[str, Any]] = []
    for file in files:
        written = read_scenarios(_document(file), str(file))
        definition = in_plant_zone(
            parse_definition(_definition(written.definition, file)), str(zone())
        )
        for scenario in written.scenarios:
            result = run_scenario(definition, scenario)
            row = {
                "file": str(file),
                "title": result.title,
                "passed": result.passed,
                "difference": list(result.difference),
                "notes": list(result.notes),
            }
            rows.append({**row, "found": list(result.found)})
    if as_json:
        print_json(rows)
    else:
        _print(rows)
    if not all(row["passed"] for row in rows):
        raise typer.Exit(1)


def _print(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        console.print(f"{'passed' if row['passed'] else 'FAILED'}  {row['title']}  ({row['file']})")
        if not row["passed"]:
            console.print("        - expected and not found, + found and not expected")
        for line in row["difference"]:
            console.print(f"        {line}", style={"-": "red", "+": "green"}.get(line[0]))
        for note in row["notes"]:
            console.print(f"        {note}", style="yellow", markup=False)
    failed = sum(not row["passed"] for row in rows)
    console.print(f"{len(rows) - failed} of {len(rows)} scenarios passed")


def _document(file: Path) -> Any:
    from alerting.adapters.files.yaml_documents import read_yaml

    documents = read_yaml(file)
    if len(documents) > 1:
        raise UserError(f"{file}: holds {len(documents)} documents; write one")
    return documents[0] if documents else None


def _definition(written: str | dict[str, Any], file: Path) -> dict[str, Any]:
    from alerting.definitions.revisions import definition_document
    from alerting.usecases.definitions import lookup, sync

    if isinstance(written, dict):
        return written
    beside = file.parent / written
    if beside.suffix in {".yaml", ".yml", ".json"}:
        document = _document(beside)
        if not isinstance(document, dict):
            raise UserError(f"{beside}: must hold one definition")
        return document
    with platform() as p:
        sync.sync(p, p.clock.now())
        return definition_document(lookup.require_revision(p.definitions, written).definition)
