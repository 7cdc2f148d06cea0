"""The command `alerting`: a sub-command per use case, which DAGs and API call, too."""

import gc
from types import MappingProxyType

import typer

from alerting.cli.help import HELP_OPTIONS, LazyGroup
from alerting.cli.output import readable_output

COMMANDS = MappingProxyType({
    "up": ("home:up", "Start the platform on this machine"),
    "import": ("imports:import_group", "Import readings, events and assets from files"),
    "check": ("documents:check", "Check files of definitions, sources, sinks or routes"),
    "apply": ("documents:apply", "Apply files of definitions, sources, sinks or routes"),
    "list": (
        "documents:list_documents",
        "List definitions, sources, sinks, routes or dead messages",
    ),
    "show": ("documents:show_document", "Show documents as YAML, with their revisions"),
    "train": ("models:train", "Train a model and decide on its promotion"),
    "models": ("models:models", "Show the models of a definition and the decisions on them"),
    "evaluate": ("runs:evaluate", "Evaluate new readings, or a past interval again"),
    "backtest": ("runs:backtest", "Show the alerts that a definition would have raised"),
    "episodes": ("alarms:episodes", "List episodes, or show one"),
    "why": ("alarms:why", "Explain why an alarm was raised or not"),
    "report": ("alarms:report", "Write the performance report of a definition"),
    "test": ("runs:test", "Run scenarios against definitions"),
    "model": ("models:model_group", "approve, rollback, export"),
    "try": ("deliveries:try_connection", "Try a source, sink, route or channel"),
    "read": ("deliveries:read", "Read a source of files or a database now"),
    "retry": ("deliveries:retry", "Try dead messages once more"),
    "stream": ("deliveries:stream", "Store and evaluate the messages of brokers until stopped"),
    "replay": ("deliveries:replay", "Send recorded readings to a source, as a line would"),
    "access": ("home:access_group", "person add: the first administrator"),
    "score": ("runs:score", "Show the newest scores, or write those of the past or a file"),
    "dataset": ("models:dataset", "Show or export the rows of a training"),
    "prepare": ("home:prepare", "Create or update home and database without starting anything"),
    "backup": ("home:backup", "Back up database, models and secrets"),
    "restore": ("home:restore", "Restore a backup into an empty home"),
    "export": ("home:export", "Write readings of an asset to a Parquet file"),
    "demo": ("home:demo_group", "Show the simulated line, change its set-points, try the advice"),
})  # fmt: skip
"""Of each command or group, the everyday ones first: its module and name, and its line in the
help."""


class _Alerting(LazyGroup):
    locations = COMMANDS
    panel = "Commands and groups, the everyday ones first: alerting COMMAND --help"


app = typer.Typer(
    name="alerting",
    cls=_Alerting,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings=HELP_OPTIONS,
)


@app.callback()
def _begin() -> None:
    pass


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
