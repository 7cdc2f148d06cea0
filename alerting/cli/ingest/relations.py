"""`alerting asset`: relations of an asset's variables, estimated from its history."""

from datetime import timedelta
from typing import Annotated

import typer

from alerting.cli.printing.output import console, print_json
from alerting.cli.support import Json, command, command_group, platform
from alerting.definitions.durations import parse_duration
from alerting.definitions.faults import UserError
from alerting.definitions.wording.spoken import spoken_share

asset_group = command_group("Assets: which variables follow which set-points.")


@asset_group.command("relations")
@command
def relations(
    name: Annotated[str, typer.Argument(help="Name of the asset.")],
    last: Annotated[str, typer.Option(help="Estimate from the last so many days, e.g. 30d.")] = "30d",
    as_json: Json = False,
) -> None:
    """Suggest which variables follow which set-points, estimated from history, as YAML to confirm.

    Nothing is changed: check the suggestions, copy those that are right into the file of the asset under `relations`, and import
    it with `alerting import assets`. Advice then moves these variables together with their set-points.
    """
    import yaml

    from alerting.recommendation.relations import suggest_relations

    try:
        length = parse_duration(last)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--last") from error
    with platform() as p:
        asset = next((a for a in p.assets.all() if a.name == name), None)
        if asset is None:
            raise UserError(f"there is no asset {name!r}; import it with `alerting import assets`")
        span = p.readings.span(name)
        if span is None:
            raise UserError(f"{name} has no readings yet: relations are estimated from history")
        history = p.readings.load(asset, span[1] - max(length, timedelta(hours=1)), span[1])
    found = suggest_relations(history)
    if as_json:
        print_json([{**s.to_document(), "explained": s.explained, "described": s.described, "changes": s.changes} for s in found])
        return
    if not found:
        console.print(f"# no variable of {name} follows one of its set-points clearly in the last {last}")
        return
    console.print(f"# estimated from the last {last} of {name}; confirm each before use. R²: share of the variance explained")
    console.print("relations:")
    for s in found:
        entry = yaml.safe_dump(s.to_document(), default_flow_style=True, sort_keys=False, width=200).strip()
        console.print(
            f"  - {entry}  # R² {s.explained:.2f} over {spoken_share(s.described)} of readings, {s.changes} changes of {s.of}",
            soft_wrap=True,
            markup=False,
            highlight=False,
        )
