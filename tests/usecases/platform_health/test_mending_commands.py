"""The command that mends each fault."""

import pytest
from typer.main import get_command

from alerting.cli.main import app
from alerting.ports import PlatformAlert
from alerting.usecases.definitions import platform_alerts
from alerting.usecases.platform_health import conditions
from alerting.usecases.platform_health.conditions import mending_command
from tests.builders import at

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
