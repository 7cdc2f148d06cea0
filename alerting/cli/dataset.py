"""`alerting dataset`: what a training would learn from, its quality report, and an export for other tools."""

from pathlib import Path
from typing import Annotated, Any

import typer

from alerting.cli.support import Json, command, console, instant, plain, platform, print_json, show
from alerting.definitions.faults import UserError


@command
def dataset(
    name: Annotated[str, typer.Argument(help="Name of a classifier definition.")],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="Write features, label, asset, ts, part and weight to this Parquet file.", metavar="FILE.parquet"
        ),
    ] = None,
    as_of: Annotated[str | None, typer.Option("--as-of", help="The pretended now, ISO 8601 with zone.", metavar="TIME")] = None,
    as_json: Json = False,
) -> None:
    """Show what a training would learn from: rows and positives by part, what is left out and why, and oddities of the data."""
    from alerting.usecases.training.dataset import dataset_of, profile

    pretended = instant(as_of, "--as-of")
    with platform() as p:
        built = dataset_of(p, name, pretended or p.clock.now())
    if out is not None:
        _export(built, out)
    told = profile(built)
    if as_json:
        print_json(told | ({"file": str(out)} if out else {}))
        return
    columns, problems = told["columns"], told["problems"]
    console.print(f"{name}, revision {told['revision']}: {columns} features, {problems} problems known", markup=False)
    show(told["parts"], ["part", "rows", "positive", "assets", "from", "to"], False, "")
    if told["dropped"]:
        dropped = [{"dropped because": reason, "rows": rows} for reason, rows in told["dropped"].items()]
        show(dropped, ["dropped because", "rows"], False, "")
    rows = [plain(finding) for finding in told["findings"]]
    show(rows, ["kind", "variable", "figure", "consequence", "words"], False, "nothing odd was found in the data")
    if out is not None:
        console.print(f"{len(built.rows)} rows written to {out}", markup=False)


def _export(built: Any, out: Path) -> None:
    from alerting.learning.data.export import export_table

    if not out.parent.is_dir():
        raise UserError(f"{out}: there is no folder {out.parent}; make it first")
    if out.is_dir():
        raise UserError(f"{out}: is a folder; name a file, for example {out / 'dataset.parquet'}")
    export_table(built).to_parquet(out, index=False)


def tell_findings(result: dict[str, Any]) -> None:
    """The quality report of a training's data, and what the operators' answers changed."""
    for finding in result["findings"]:
        console.print(f"data ({finding['consequence']}): {finding['words']}", markup=False)
    if result.get("answers_difference"):
        console.print(result["answers_difference"], markup=False)
