"""Output of `alerting import`: its results."""

from typing import TYPE_CHECKING

from alerting.cli.printing.import_summary import count_text, first_names
from alerting.cli.printing.output import console, print_json, short

if TYPE_CHECKING:
    from alerting.usecases.ingestion.assets import AssetsResult
    from alerting.usecases.ingestion.sources import Reject
    from alerting.usecases.ingestion.tables import ImportResult


def print_result(result: "ImportResult", reject: "Reject | None", as_json: bool) -> None:
    """Print what an import changed, as JSON or as a few lines."""
    rejects = str(getattr(reject, "path", "")) if result.rejected else None
    if as_json:
        print_json(vars(result) | {"rejects": rejects})
        return
    span = f", {short(result.first)} to {short(result.last)}" if result.first else ""
    lines = [f"{result.new:,} new of {result.rows:,} {result.what} of {count_text(result.assets, 'asset')}{span}"]
    if result.created:
        lines.append(f"new assets: {first_names(result.created)}")
    if result.event_types:
        lines.append("event types: " + ", ".join(f"{name} ({kind})" for name, kind in result.event_types.items()))
    if result.late:
        lines.append(
            f"{result.late:,} came after their time was evaluated: the next evaluation evaluates it again as far as the "
            "definitions' allowed lateness reaches (see: alerting late-data)"
        )
    if rejects:
        lines.append(f"{result.rejected:,} bad lines were written to {rejects}")
    for line in lines:
        console.print(line)


def print_assets(result: "AssetsResult") -> None:
    """Print each field that an import of assets changes."""
    for change in result.changes:
        before = "" if change.before is None else f"{change.before} → "
        console.print(f"{change.asset}: {change.field}: {before}{change.after}")
    changed = len({*result.created, *(c.asset for c in result.changes)})
    outcome = "dry run: would change" if result.dry_run else "changed"
    console.print(f"{outcome} {changed} of {count_text(result.assets, 'asset')}, {len(result.created)} new")
