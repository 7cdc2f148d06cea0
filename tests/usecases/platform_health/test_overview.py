"""The overview of the platform, and the command that mends each fault."""

from dataclasses import replace
from datetime import timedelta

import pytest
from typer.main import get_command

from alerting.adapters.memory.platform import memory_platform
from alerting.cli.main import app
from alerting.ports import PlatformAlert
from alerting.usecases.access.audit import BACKUP_MADE
from alerting.usecases.definitions import platform_alerts
from alerting.usecases.platform_health import conditions
from alerting.usecases.platform_health.backups import backup_state
from alerting.usecases.platform_health.overview import mending_command, read_overview
from alerting.usecases.sources.documents import apply_sources
from tests.builders import at
from tests.helpers.streamed_messages import SOURCE

KINDS = [
    *conditions.KINDS,
    platform_alerts.UNREADABLE,
    platform_alerts.FAULTY,
    platform_alerts.DOCUMENT,
    platform_alerts.WAITING,
    platform_alerts.MISCALIBRATED,
    platform_alerts.DRIFTED,
    platform_alerts.DATABASE,
    platform_alerts.LOAD,
]
SUBJECTS = ("source line", "line-1", "too-hot revision 2", "assets/oven-1", "shelves/x", "a; rm b")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("subject", SUBJECTS)
def test_each_fault_has_one_command_that_exists(kind, subject):
    program, *words = mending_command(PlatformAlert(kind, subject, "", at(0))).split()
    assert program == "alerting"
    found = get_command(app)
    while words and hasattr(found, "commands"):
        found = found.commands[words.pop(0)]
    assert not hasattr(found, "commands")


def test_the_command_names_the_thing_and_quotes_what_a_shell_would_read():
    silent = PlatformAlert(conditions.STALE, "line-1", "", at(0))
    assert mending_command(silent) == "alerting list sources"
    many = PlatformAlert(platform_alerts.LOAD, "a;rm on oven-1", "", at(0))
    assert mending_command(many) == "alerting backtest 'a;rm'"


def test_the_overview_counts_and_dates_what_is_not_a_metric():
    platform = memory_platform()
    assert read_overview(platform, at(0)).backup.age is None
    platform.audit.add("ada", BACKUP_MADE, "/backups/1", at(0))
    apply_sources(platform, [SOURCE], "ada", at(0))
    platform.stream_processes.note_process("stream-1", ["line"])
    seen = platform.stream_processes.processes()[0].seen_at
    now = seen + timedelta(minutes=5)
    dated = replace(platform, backups=lambda: backup_state(platform.audit, None, now))
    found = read_overview(dated, now)
    assert found.backup.age == now - at(0)
    [process] = found.processes
    assert (process.name, process.reads, process.is_gone) == ("stream-1", ("line",), True)
    assert not read_overview(platform, seen).processes[0].is_gone
    assert found.dead_messages == ()
