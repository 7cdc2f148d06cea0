"""The command `alerting`: a sub-command per use case, which DAGs and API call, too."""

import gc
from collections.abc import Callable

import typer

from alerting.cli.alarms import episodes, report, why
from alerting.cli.deliveries import read, retry, stream, try_connection
from alerting.cli.demo import demo_group
from alerting.cli.documents import apply, check
from alerting.cli.help import RootGroup
from alerting.cli.ingest.commands import app as import_group
from alerting.cli.ingest.replay import replay
from alerting.cli.lists import list_documents, show_document
from alerting.cli.models import dataset, model_group, models, train
from alerting.cli.output import readable_output
from alerting.cli.runs import backtest, evaluate, score, test
from alerting.cli.support import HELP_OPTIONS, command_group
from alerting.cli.up import add_person, prepare, up
from alerting.cli.upkeep import backup, export, restore

access_group = command_group("Access: the first administrator, and a new link for a lost one.")
person_group = command_group("People: all else about them is done in the console.")
person_group.command("add")(add_person)
access_group.add_typer(person_group, name="person")

Commands = dict[str, tuple[typer.Typer | Callable[..., bool | None], str]]
"""Command or group by name, with its line in the help."""

EVERYDAY: Commands = {
    "up": (up, "Start the platform on this machine"),
    "import": (import_group, "Import readings, events and assets from files"),
    "check": (check, "Check files of definitions, sources, sinks or routes"),
    "apply": (apply, "Apply files of definitions, sources, sinks or routes"),
    "list": (list_documents, "List definitions, sources, sinks, routes or dead messages"),
    "show": (show_document, "Show documents as YAML, with their revisions"),
    "train": (train, "Train a model and decide on its promotion"),
    "models": (models, "Show the models of a definition and the decisions on them"),
    "evaluate": (evaluate, "Evaluate new readings, or a past interval again"),
    "backtest": (backtest, "Show the alerts that a definition would have raised"),
    "episodes": (episodes, "List episodes, or show one"),
    "why": (why, "Explain why an alarm was raised or not"),
    "report": (report, "Write the performance report of a definition"),
    "test": (test, "Run scenarios against definitions"),
}
MORE: Commands = {
    "model": (model_group, "approve, rollback, repeat, export"),
    "try": (try_connection, "Try a source, sink, route or channel"),
    "read": (read, "Read a source of files or a database now"),
    "retry": (retry, "Try dead messages once more"),
    "stream": (stream, "Store and evaluate the messages of brokers until stopped"),
    "replay": (replay, "Send recorded readings to a source, as a line would"),
    "access": (access_group, "person add: the first administrator"),
    "score": (score, "Show the newest scores, or write those of the past or a file"),
    "dataset": (dataset, "Show or export the rows of a training"),
    "prepare": (prepare, "Create or update home and database without starting anything"),
    "backup": (backup, "Back up database, models and secrets"),
    "restore": (restore, "Restore a backup into an empty home"),
    "export": (export, "Write readings of an asset to a Parquet file"),
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
