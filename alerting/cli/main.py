"""The command `alerting`: a sub-command per use case, which DAGs and API call, too."""

import gc
from collections.abc import Callable

import typer

from alerting.cli.backtest import backtest
from alerting.cli.definitions import (
    apply,
    check,
    definition_group,
    list_definitions,
    show_definition,
)
from alerting.cli.demo import demo_group
from alerting.cli.episodes import episode_group, episodes, feedback, why
from alerting.cli.evaluation import evaluate, score
from alerting.cli.ingest.commands import app as import_group
from alerting.cli.ingest.relations import asset_group
from alerting.cli.ingest.replay import replay
from alerting.cli.ingest.sinks import sink_group
from alerting.cli.ingest.sources import source_group
from alerting.cli.ingest.stream import stream
from alerting.cli.models import dataset, model_group, models, train
from alerting.cli.notifications import notification_group, route_group
from alerting.cli.operators.access import access_group
from alerting.cli.operators.shelves import shelf_group, suppression_group
from alerting.cli.performance import miss, report
from alerting.cli.printing.help import RootGroup
from alerting.cli.printing.output import readable_output
from alerting.cli.reports import kpi, late_data
from alerting.cli.scenarios import test
from alerting.cli.support import HELP_OPTIONS
from alerting.cli.up import prepare, up
from alerting.cli.upkeep import backup, export, restore, retain

Commands = dict[str, tuple[typer.Typer | Callable[..., bool | None], str]]
"""Command or group by name, with its line in the help."""

EVERYDAY: Commands = {
    "up": (up, "Start the platform on this machine"),
    "import": (import_group, "Import readings, events and assets from files"),
    "check": (check, "Check definition files without applying them"),
    "apply": (apply, "Apply definition files"),
    "list": (list_definitions, "List definitions with their state and faults"),
    "show": (show_definition, "Show a definition as YAML, with its revisions"),
    "train": (train, "Train a model and decide on its promotion"),
    "models": (models, "Show the models of a definition and the decisions on them"),
    "evaluate": (evaluate, "Evaluate new readings, or a past interval again"),
    "backtest": (backtest, "Show the alerts that a definition would have raised"),
    "episodes": (episodes, "List episodes, or show one"),
    "why": (why, "Explain why an alarm was raised or not"),
    "feedback": (feedback, "Record whether an alarm was right and which action followed"),
    "miss": (miss, "Report a problem for which no alert was raised"),
    "report": (report, "Write the performance report of a definition or the plant"),
    "test": (test, "Run scenarios against definitions"),
}
MORE: Commands = {
    "asset": (asset_group, "relations"),
    "definition": (definition_group, "export, retire"),
    "model": (model_group, "approve, reject, rollback, repeat, export"),
    "episode": (episode_group, "ack, close, confirm, comment, assign"),
    "shelf": (shelf_group, "add, end, list, out-of-service"),
    "suppression": (suppression_group, "list"),
    "route": (route_group, "check, apply, list, remove, test"),
    "notification": (notification_group, "dead-letters, retry, revoke-links"),
    "source": (source_group, "check, apply, test, list, show, read, backfill, dead, retry, …"),
    "sink": (sink_group, "check, apply, test, list, show, pause, dead-letters, retry, …"),
    "stream": (stream, "Store and evaluate the messages of brokers until stopped"),
    "access": (access_group, "person, token, audit, certificate: people and who did what"),
    "kpi": (kpi, "Show alarm metrics after ISA-18.2 / EEMUA 191"),
    "late-data": (late_data, "List late readings and the latency that would suffice"),
    "score": (score, "Show the newest scores, or write those of the past or a file"),
    "dataset": (dataset, "Show or export the rows of a training"),
    "prepare": (prepare, "Create or update home and database without starting anything"),
    "backup": (backup, "Back up database, models and secrets"),
    "restore": (restore, "Restore a backup into an empty home"),
    "export": (export, "Write readings of an asset to a Parquet file"),
    "retain": (retain, "Delete what is older than its retention"),
    "demo": (demo_group, "Show the simulated line, change its set-points, try the advice"),
}


class _Alerting(RootGroup):
    order = (*EVERYDAY, *MORE)


app = typer.Typer(
    name="alerting",
    cls=_Alerting,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings=HELP_OPTIONS,
)
_PANEL = "Commands and groups, the everyday ones first: alerting COMMAND --help"
for _name, (_command, _summary) in (EVERYDAY | MORE).items():
    if isinstance(_command, typer.Typer):
        app.add_typer(_command, name=_name, short_help=_summary, rich_help_panel=_PANEL)
    else:
        app.command(_name, short_help=_summary, rich_help_panel=_PANEL)(_command)


source_group.command("replay")(replay)


def main() -> None:
    """Run the `alerting` command."""
    readable_output()
    gc.set_threshold(100_000)  # loading makes many objects, and no garbage
    try:
        app()
    finally:
        gc.freeze()  # Python searches all it knows twice as it ends


if __name__ == "__main__":
    main()
