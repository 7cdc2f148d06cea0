"""The command that mends each fault."""

from itertools import product

from typer.main import get_command

from alerting.cli.main import app
from alerting.ports import PlatformAlert
from alerting.usecases import platform_health as conditions
from alerting.usecases.definitions import faults_and_platform_alerts
from alerting.usecases.platform_health import mending_command
from tests.builders import at

KINDS = [
    *conditions.KINDS,
    faults_and_platform_alerts.UNREADABLE,
    faults_and_platform_alerts.FAULTY,
    faults_and_platform_alerts.DOCUMENT,
    faults_and_platform_alerts.WAITING,
    faults_and_platform_alerts.MISCALIBRATED,
    faults_and_platform_alerts.DRIFTED,
    faults_and_platform_alerts.DATABASE,
    faults_and_platform_alerts.LOAD,
]
SUBJECTS = ("source line", "line-1", "too-hot revision 2", "assets/oven-1", "mutes/x", "a; rm b")


def is_one_that_exists(command):
    program, *words = command.split()
    found = get_command(app)
    while words and hasattr(found, "commands"):
        found = found.commands.get(words.pop(0))
    return program == "alerting" and found is not None and not hasattr(found, "commands")


def test_each_fault_has_one_command_that_exists():
    commands = {
        (kind, subject): mending_command(PlatformAlert(kind, subject, "", at(0)))
        for kind, subject in product(KINDS, SUBJECTS)
    }
    unknown = {fault: one for fault, one in commands.items() if not is_one_that_exists(one)}
    assert unknown == {}


def test_the_command_names_the_thing_and_quotes_what_a_shell_would_read():
    silent = PlatformAlert(conditions.STALE, "line-1", "", at(0))
    assert mending_command(silent) == "alerting list sources"
    many = PlatformAlert(faults_and_platform_alerts.LOAD, "a;rm on oven-1", "", at(0))
    assert mending_command(many) == "alerting backtest 'a;rm'"
