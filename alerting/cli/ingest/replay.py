"""`alerting replay`: send recorded readings to a source, as a line would."""

import json
import os
import time as clock
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from alerting.cli.ingest import options
from alerting.cli.ingest.commands import file_layout, with_time_columns
from alerting.cli.output import console, show_result
from alerting.cli.support import Json, command, instant, platform, progress

if TYPE_CHECKING:
    from alerting.adapters.files.rows import Layout
    from alerting.adapters.platform import Platform
    from alerting.definitions.assets import Asset
    from alerting.definitions.sources.source import Source
    from alerting.demo.replay.messages import DueRow, ReplayMapping, Sender
    from alerting.ports import Progress as ProgressPort
    from alerting.ports import Readings
    from alerting.settings.environment import Settings

_SENDING = ("sender", "engineer", "admin")
_AT_ONCE = 500


@command
def replay(
    recording: Annotated[
        str,
        typer.Argument(
            help="A CSV or Parquet file of readings, or stored assets: a name, also with *.",
            metavar="FILE|ASSETS",
        ),
    ],
    to: Annotated[
        str,
        typer.Option(
            "--to", help="Source to send to: of kind http or of a broker.", metavar="SOURCE"
        ),
    ],
    speed: Annotated[
        float, typer.Option(help="How many times as fast as recorded.", min=0.001, max=1e6)
    ] = 1.0,
    loop: Annotated[
        bool, typer.Option("--loop", help="Begin again at the end; needs --shift-to-now.")
    ] = False,
    shift: Annotated[
        bool, typer.Option("--shift-to-now", help="Each row has the time at which it is sent.")
    ] = False,
    start: Annotated[
        str | None,
        typer.Option("--from", help="Start of the recording, ISO 8601 with zone.", metavar="TIME"),
    ] = None,
    end: Annotated[
        str | None,
        typer.Option("--until", help="End of the recording, ISO 8601 with zone.", metavar="TIME"),
    ] = None,
    time: options.Time = None,
    time_format: options.TimeFormat = None,
    asset: options.AssetName = None,
    asset_column: options.AssetColumn = None,
    asset_prefix: options.AssetPrefix = "",
    tz: options.Zone = None,
    rename: options.Rename = None,
    as_json: Json = False,
) -> None:
    """Send recorded readings to a source, in its own topics and fields, as a line would. Ctrl-C
    ends it.

    Without --shift-to-now rows keep their time stamps: the platform takes them for late readings.
    """
    from alerting.demo.replay.messages import ReplayMapping
    from alerting.demo.replay.senders import open_sender
    from alerting.settings.environment import read_settings
    from alerting.usecases.sources.deliver import require_active
    from alerting.usecases.sources.documents import find_source

    if loop and not shift:
        raise typer.BadParameter(
            "needs --shift-to-now: the same rows a second time change nothing", param_hint="--loop"
        )
    begin = instant(start, "--from")
    until = instant(end, "--until")
    with ExitStack() as stack:
        p = stack.enter_context(platform())
        source = find_source(p.sources, to)
        require_active(source)
        mapping = ReplayMapping(source)
        layout = with_time_columns(
            file_layout(asset, asset_column, asset_prefix, None, None, None, rename, None),
            time,
            time_format,
            tz,
        )
        report = stack.enter_context(progress())
        recorded = _recording(p, stack, recording, layout, begin, until, report)

        sender = open_sender(
            source, lambda: _address(source), lambda: _api(read_settings(os.environ))
        )
        stack.callback(sender.close)
        sent = _Sent(report, recorded)
        try:
            _send(recorded, mapping, sender, sent, speed, shift=shift)
            while loop:
                _send(recorded, mapping, sender, sent, speed, shift=shift)
        except KeyboardInterrupt:
            console.print(f"interrupted after {sent.rows:,} rows")
            raise
    _show_sent(to, sent, sorted(mapping.left_out), as_json)


def _show_sent(to: str, sent: "_Sent", left_out: list[str], as_json: bool) -> None:
    document = {"source": to, "rows": sent.rows, "messages": sent.messages, "left_out": left_out}
    notes = (
        [f"left out, as {to} does not read them: {', '.join(left_out[:20])}"] if left_out else []
    )
    show_result(
        document, as_json, f"{sent.rows:,} rows sent to {to} in {sent.messages:,} messages", *notes
    )


class _Recording(NamedTuple):
    readings: "Readings"
    assets: "Sequence[Asset]"
    start: datetime
    end: datetime


class _Sent:
    """Rows and messages that were sent, shown as a share of the recording."""

    def __init__(self, report: "ProgressPort", recorded: _Recording) -> None:
        self.rows = self.messages = 0
        self._report = report
        self._recorded = recorded

    def add(self, rows: int, messages: int, recorded_at: datetime) -> None:
        """Count rows up to an instant of the recording."""
        self.rows = self.rows + rows
        self.messages = self.messages + messages
        whole = self._recorded.end - self._recorded.start
        done = recorded_at - self._recorded.start
        self._report(
            "sending", int(done / timedelta(seconds=1)), max(int(whole / timedelta(seconds=1)), 1)
        )


def _recording(
    p: "Platform",
    stack: ExitStack,
    text: str,
    layout: "Layout",
    start: datetime | None,
    end: datetime | None,
    report: "ProgressPort",
) -> _Recording:
    from alerting.definitions.faults import UserError, name_hint

    known = None
    if Path(text).is_file():
        readings, assets = _of_file(p, stack, Path(text), layout, report)
    else:
        readings = p.readings
        known = p.clock.now()
        assets = [a for a in p.assets.all() if fnmatchcase(a.name, text)]
        if not assets:
            hint = (
                name_hint(text, [a.name for a in p.assets.all()], "assets")
                or "there is no asset yet"
            )
            raise UserError(f"there is no file {text}, and no asset of this name; {hint}")
    spans = [span for a in assets if (span := readings.span(a.name, known)) is not None]
    if not spans:
        raise UserError(f"{text}: there are no readings")
    first = min(span[0] for span in spans)
    last = max(span[1] for span in spans)
    begin = max(start or first, first) - timedelta(milliseconds=1)
    until = min(end or last, last)
    if begin >= until:
        raise UserError(
            f"{text}: its readings are from {first.isoformat()} to {last.isoformat()}, none of "
            "them in that time"
        )
    return _Recording(readings, assets, begin, until)


def _of_file(
    p: "Platform", stack: ExitStack, file: Path, layout: "Layout", report: "ProgressPort"
) -> "tuple[Readings, Sequence[Asset]]":
    """Return the readings of a file, in files of their own for now, and their assets."""
    from alerting.adapters.archive.parquet import ParquetStore
    from alerting.adapters.files.readings import ReadingsFile
    from alerting.usecases.ingestion.tables import check_readings, refuse_line

    checked = check_readings(ReadingsFile(file, layout), p, progress=report)
    store = ParquetStore(Path(stack.enter_context(TemporaryDirectory(prefix="alerting-replay-"))))
    store.write(checked.rows(refuse_line, report))
    declared = {a.name: a for a in (*p.assets.all(), *checked.assets)}
    return store, [declared[name] for name in sorted(checked.profile.assets)]


def _send(
    recorded: _Recording,
    mapping: "ReplayMapping",
    sender: "Sender",
    sent: _Sent,
    speed: float,
    *,
    shift: bool,
) -> None:
    """Send a recording once, from now on. Rows that are due together are sent together."""
    from alerting.demo.replay.messages import recorded_rows, schedule

    begin = datetime.now(UTC)
    rows = recorded_rows(recorded.readings, recorded.assets, recorded.start, recorded.end)
    for batch in _due(schedule(rows, speed, begin, shift=shift)):
        messages = [message for due in batch for message in mapping.messages(due.row)]
        if messages:
            sender.send(messages)
        sent.add(len(batch), len(messages), recorded.start + (batch[-1].due_at - begin) * speed)


def _due(rows: "Iterator[DueRow]") -> "Iterator[list[DueRow]]":
    """Yield rows once they are due, those that are due already together, at most 500."""
    waiting: list[DueRow] = []
    for row in rows:
        late = (row.due_at - datetime.now(UTC)).total_seconds()
        if waiting and (late > 0 or len(waiting) >= _AT_ONCE):
            yield waiting
            waiting = []
            late = (row.due_at - datetime.now(UTC)).total_seconds()
        if late > 0:
            clock.sleep(late)
        waiting.append(row)
    if waiting:
        yield waiting


def _address(source: "Source") -> str:
    from alerting.adapters.sources.secrets import allowed_secrets
    from alerting.definitions.sources.streamed import StreamedSource
    from alerting.settings.secrets import read_secret_rules
    from alerting.settings.variables import Variables

    assert isinstance(source, StreamedSource)  # noqa: S101 - the kinds of which `open_sender` asks for it
    return allowed_secrets(os.environ, read_secret_rules(Variables(os.environ)))(source.url)


def _api(settings: "Settings") -> tuple[str, str]:
    """Return the address of this home's console, and a token.

    Raises UserError if the home has no token that may send readings.
    """
    from alerting.definitions.faults import UserError
    from alerting.settings.environment import variable
    from alerting.wiring import console_address

    path = Path(
        os.environ.get(variable("api_tokens_file")) or settings.home / "secrets" / "api_tokens.json"
    )
    try:
        tokens = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as fault:
        raise UserError(
            f"{path}: has no token that may send readings; alerting up makes one"
        ) from fault
    token = next((token for token, owner in tokens.items() if owner["role"] in _SENDING), None)
    if token is None:
        raise UserError(
            f"{path}: no token has a role that may send readings: {', '.join(_SENDING)}"
        )
    return console_address(settings), token
