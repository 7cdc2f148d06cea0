"""The command `alerting`: a sub-command per use case, which DAGs and API call, too, loaded at its
first use; the help of groups, and suggestions for a mistyped command."""

import gc
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from alerting.definitions.faults import close_names
from alerting.optional_folders import find_optional

HELP_OPTIONS = {"help_option_names": ["-h", "--help"]}


class CommandGroup(TyperGroup):
    """Group that answers an unknown command with the nearest commands of the whole tree."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command whose help is wrapped by the terminal, not by the source."""
        command = super().get_command(ctx, cmd_name)
        if command is not None and command.help:
            command.help = join_lines(command.help)
        return command

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Return name, command and rest of the arguments. Fails with 2 for no such command."""
        typed = args[0]
        if (
            self.get_command(ctx, typed) is None
            and not typed.startswith("-")
            and not ctx.resilient_parsing
        ):
            root = ctx.find_root()
            nearest = nearest_commands(root.command, typed)
            meant = " or ".join(
                f"`{' '.join([root.info_name or 'alerting', *path])}`" for path in nearest
            )
            ctx.fail(f"No such command {typed!r}." + (f" Did you mean {meant}?" if meant else ""))
        name, command, further = super().resolve_command(ctx, args)
        if not (command is None or isinstance(command, TyperGroup) or ctx.resilient_parsing):
            _refuse_repeated(command.context_class(command, parent=ctx, info_name=name), further)
        return name, command, further


def _refuse_repeated(ctx: Any, args: list[str]) -> None:
    """Fail with 2 for an option of one value that is given twice: the last would count, without a
    word."""
    _, _, order = ctx.command.make_parser(ctx).parse_args(list(args))
    for option in order:
        is_single = option.param_type_name == "option" and not (option.multiple or option.is_flag)
        if is_single and order.count(option) > 1:
            ctx.fail(f"{option.opts[0]} takes one value, and is given {order.count(option)} times.")


class LoadedCommands(Mapping[str, Any]):
    """The commands of a group, each of which is loaded at its first use. `locations`: module and
    name."""

    def __init__(self, locations: Mapping[str, tuple[str, str]]) -> None:
        self._locations = locations
        self._loaded: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._loaded:
            module, _, attribute = self._locations[name][0].partition(":")
            path = module if "." in module else f"alerting.cli.{module}"
            loaded = getattr(import_module(path), attribute)
            group = loaded if isinstance(loaded, typer.Typer) else command_group("")
            if group is not loaded:
                group.command(name)(loaded)
            self._loaded[name] = typer.main.get_command(group)
            self._loaded[name].name = name
        return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._locations)

    def __len__(self) -> int:
        return len(self._locations)


class LazyGroup(CommandGroup):
    """The `alerting` command: its help names the commands in their order without loading them."""

    locations: Mapping[str, tuple[str, str]] = {}
    panel = ""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands: Any = LoadedCommands(self.locations)

    def list_commands(self, _: Any) -> list[str]:
        """Return the names of the commands in the order of the help."""
        return [*self.locations]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help."""
        loaded = self.commands
        self.commands = {
            name: TyperCommand(name, short_help=summary, rich_help_panel=self.panel)
            for name, (_, summary) in self.locations.items()
        }
        super().format_help(ctx, formatter)
        self.commands = loaded

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the options, hidden from the help: people know them, or use them once."""
        parameters: list[Any] = super().get_params(ctx)
        for parameter in parameters:
            parameter.hidden = True
        return parameters


def command_group(help: str, epilog: str | None = None) -> typer.Typer:
    """Return an empty group of commands."""
    return typer.Typer(
        cls=CommandGroup,
        help=help,
        epilog=epilog,
        no_args_is_help=True,
        add_completion=False,
        context_settings=HELP_OPTIONS,
    )


def join_lines(text: str) -> str:
    """Return a text with each paragraph in one line; lists keep their lines."""
    return re.sub(r"(?<!\n)\n(?!\n|\s*- )\s*", " ", text)


def command_paths(group: TyperGroup, before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the path of every group and command of a tree: `("model",)`, `("model", "approve")`."""
    for name, command in group.commands.items():
        yield (*before, name)
        if isinstance(command, TyperGroup):
            yield from command_paths(command, (*before, name))


def nearest_commands(root: TyperGroup, typed: str) -> list[tuple[str, ...]]:
    """Return at most three commands whose last word is most similar, nearest first."""
    paths = list(command_paths(root))
    near = close_names(typed, [path[-1] for path in paths])
    return [path for name in near for path in paths if path[-1] == name]


COMMANDS = MappingProxyType({
    "up": ("home_commands:up", "Start the platform on this machine"),
    "import": ("import_commands:import_group", "Import readings, events and assets from files"),
    "check": ("document_commands:check", "Check files or folders of documents of any kind"),
    "apply": ("document_commands:apply", "Apply files or folders of documents of any kind"),
    "list": (
        "document_commands:list_documents",
        "List definitions, sources, sinks, routes or dead messages",
    ),
    "show": ("document_commands:show_document", "Show documents as YAML, with their revisions"),
    "train": ("model_commands:train", "Train a model and decide on its promotion"),
    "models": (
        "model_commands:models",
        "Show the models of a definition and the decisions on them",
    ),
    "evaluate": ("alarm_commands:evaluate", "Evaluate new readings, or a past interval again"),
    "backtest": ("alarm_commands:backtest", "Show the alerts that a definition would have raised"),
    "episodes": ("alarm_commands:episodes", "List episodes, or show one"),
    "why": ("alarm_commands:why", "Explain why an alarm was raised or not"),
    "report": ("alarm_commands:report", "Write the performance report of a definition"),
    "test": ("alarm_commands:test", "Run scenarios against definitions"),
    "model": ("model_commands:model_group", "approve, rollback, export"),
    "try": ("delivery_commands:try_connection", "Try a source, sink, route or channel"),
    "read": ("delivery_commands:read", "Read a source of files or a database now"),
    "retry": ("delivery_commands:retry", "Try dead messages once more"),
    "stream": (
        "delivery_commands:stream",
        "Store and evaluate the messages of brokers until stopped",
    ),
    "replay": ("delivery_commands:replay", "Send recorded readings to a source, as a line would"),
    "access": ("home_commands:access_group", "person add: the first administrator"),
    "score": (
        "model_commands:score",
        "Show the newest scores, or write those of the past or a file",
    ),
    "dataset": ("model_commands:dataset", "Show or export the rows of a training"),
    "prepare": (
        "home_commands:prepare",
        "Create or update home and database without starting anything",
    ),
    "backup": ("home_commands:backup", "Back up database, models and secrets"),
    "restore": ("home_commands:restore", "Restore a backup into an empty home"),
    "export": ("home_commands:export", "Write readings of an asset to a Parquet file"),
    "demo": (
        "home_commands:demo_group",
        "Show the simulated line, change its set-points, try the advice",
    ),
})  # fmt: skip
"""Of each command or group, the everyday ones first: its module and name, and its line in the
help."""


ADDED = MappingProxyType(
    {name: at for added in find_optional("added_commands") for name, at in added.COMMANDS.items()}
)
"""The same of folders that may be deleted."""


class _Alerting(LazyGroup):
    locations = MappingProxyType({**COMMANDS, **ADDED})
    panel = "Commands and groups, the everyday ones first: alerting COMMAND --help"

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command; for the shell's completion one that is known by name alone."""
        if ctx.resilient_parsing:
            from alerting.cli.completion import named_commands

            named = named_commands().get(cmd_name) if cmd_name in self.locations else None
            if named is not None:
                named.help = self.locations[cmd_name][1]
            return named
        return super().get_command(ctx, cmd_name)


app = typer.Typer(
    name="alerting",
    cls=_Alerting,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings=HELP_OPTIONS,
)


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        from importlib.metadata import version

        typer.echo(f"alerting {version('alerting')}")
        raise typer.Exit


@app.callback()
def _begin(
    _: Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True)] = False,
) -> None:
    pass


def readable_output() -> None:
    """Make the terminal replace characters that it cannot show, without a traceback."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure: Callable[..., None] | None = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")


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
