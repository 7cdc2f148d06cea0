"""`alerting asset`: relations of an asset's variables, estimated from its history."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from alerting.cli.printing.output import console, print_json, short
from alerting.cli.support import Json, command, command_group, platform
from alerting.definitions.durations import parse_duration
from alerting.definitions.faults import UserError
from alerting.definitions.wording.spoken import spoken_share

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alerting.definitions.assets import Asset
    from alerting.ports import Readings
    from alerting.readings.history import History
    from alerting.recommendation.relations import SuggestedRelation

SHORTEST = timedelta(hours=1)

asset_group = command_group("Assets: which variables follow which set-points.")


@asset_group.command("relations")
@command
def relations(
    name: Annotated[str, typer.Argument(help="Name of the asset.")],
    last: Annotated[
        str,
        typer.Option(
            help="Estimate from the last so many days, e.g. 30d, of at most 50,000 instants."
        ),
    ] = "30d",
    as_json: Json = False,
) -> None:
    """Suggest which variables follow which set-points, estimated from history, as YAML to confirm.

    Nothing is changed: check the suggestions, copy those that are right into the file of the asset
    under `relations`, and import it with `alerting import assets`. Advice then moves these
    variables together with their set-points.
    """
    from alerting.recommendation.relations import MOST_ROWS, suggest_relations
    from alerting.usecases.episodes.store import require_asset

    try:
        length = parse_duration(last)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--last") from error
    with platform() as p:
        asset = require_asset(p.assets, name)
        span = p.readings.span(name, p.clock.now())
        if span is None:
            raise UserError(f"{name} has no readings yet: relations are estimated from history")
        history = load_newest(p.readings, asset, span[1], max(length, SHORTEST), MOST_ROWS)
    found = suggest_relations(history)
    if as_json:
        print_json(
            [
                {
                    **s.to_document(),
                    "explained": s.explained,
                    "described": s.described,
                    "changes": s.changes,
                }
                for s in found
            ]
        )
        return
    if not found:
        console.print(
            f"# no variable of {name} follows one of its set-points clearly {_period(history)}"
        )
        return
    console.print(
        f"# estimated for {name} {_period(history)}; confirm each before use. R²: share of the "
        "variance explained"
    )
    console.print("relations:")
    _show_relations(found)


def _show_relations(found: "Sequence[SuggestedRelation]") -> None:
    import yaml

    for s in found:
        entry = yaml.safe_dump(
            s.to_document(), default_flow_style=True, sort_keys=False, width=200
        ).strip()
        console.print(
            f"  - {entry}  # R² {s.explained:.2f} over {spoken_share(s.described)} of readings, "
            f"{s.changes} changes of {s.of}",
            soft_wrap=True,
            markup=False,
            highlight=False,
        )


def load_newest(
    readings: "Readings", asset: "Asset", until: datetime, length: timedelta, rows: int
) -> "History":
    """Return the last `rows` instants of an asset's numbers, of at most `length` before `until`.

    They are read in lengths that grow fourfold, so that a fast line is not read for a month of
    which seconds are used.
    """
    numbers = [name for name, variable in asset.variables.items() if variable.type == "number"]
    period = min(length, SHORTEST)
    while True:
        history = readings.load(asset, until - period, until, numbers, events_since=until)
        if len(history.readings) >= rows or period >= length:
            return replace(history, readings=history.readings.iloc[-rows:])
        period = min(length, 4 * period)


def _period(history: "History") -> str:
    at = history.readings.index
    return (
        f"from {len(at)} instants, {short(at[0])} to {short(at[-1])}"
        if len(at)
        else "without readings of numbers"
    )
