"""Commands find the platform that is meant, from any folder, and never make a second one."""

import json
import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
import yaml

from alerting.settings.home import create_home, record_last_home
from tests.builders import too_hot
from tests.support import require_real_server

pytestmark = pytest.mark.server
READINGS = "ts,temperature\n2026-03-01T06:00:00Z,200\n2026-03-01T06:01:00Z,201\n"


class Shell:
    """A person in some folder of a machine of their own: commands without any ALERTING_
    variable."""

    def __init__(self, machine, commands, prepared):
        self.commands = commands
        self.prepared = prepared
        self.environ = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("ALERTING_", "XDG_"))
        }
        self.environ |= {"HOME": str(machine / "user"), "COLUMNS": "300"}
        self.plant = machine / "plant"
        self.elsewhere = machine / "elsewhere"
        for folder in (machine / "user", self.plant / "deep" / "er", self.elsewhere):
            folder.mkdir(parents=True)

    def run(self, *words, folder, **variables):
        environ = self.environ | {f"ALERTING_{name}": value for name, value in variables.items()}
        return self.commands.run(*words, cwd=folder, environ=environ)

    def prepare(self, folder):
        """Make a copy of a home as `alerting prepare` leaves it in this folder."""
        copy = ["cp", "--archive", "--sparse=always", self.prepared, folder / ".alerting"]
        subprocess.run(copy, check=True)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory, commands):
    require_real_server()
    made = tmp_path_factory.mktemp("prepared")
    environ = {n: value for n, value in os.environ.items() if not n.startswith("ALERTING_")}
    assert commands.run("prepare", cwd=made, environ=environ).returncode == 0
    return made / ".alerting"


@pytest.fixture
def shell(tmp_path, commands, prepared):
    return Shell(tmp_path, commands, prepared)


def import_into(shell, folder, **variables):
    file = shell.elsewhere / "line.csv"
    file.write_text(READINGS)
    return shell.run(
        "import", "readings", str(file), "--asset", "oven-1", folder=folder, **variables
    )


COMMANDS = {
    "import": ("import", "readings", "FILE", "--asset", "oven-1"),
    "apply": ("apply", "DEFINITION"),
    "list": ("list",),
    "train": ("train", "x"),
    "evaluate": ("evaluate",),
    "demo status": ("demo", "status"),
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("named", [False, True])
def test_a_command_without_a_platform_is_refused_with_what_to_do_and_makes_nothing(
    shell, command, named
):
    files = {"FILE": shell.plant / "line.csv", "DEFINITION": shell.plant / "too-hot.yaml"}
    files["FILE"].write_text(READINGS)
    files["DEFINITION"].write_text(yaml.safe_dump(too_hot()))
    home = shell.elsewhere / "named" if named else shell.elsewhere / ".alerting"
    variables = {"HOME": str(home)} if named else {}
    done = shell.run(
        *(str(files.get(word, word)) for word in COMMANDS[command]),
        folder=shell.elsewhere,
        **variables,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert f"there is no platform in {home}" in done.stderr
    assert "alerting up" in done.stderr and "ALERTING_HOME=" in done.stderr
    assert list(shell.elsewhere.iterdir()) == []


def test_the_platform_is_found_upward_from_the_working_folder_as_git_does(shell):
    shell.prepare(shell.plant)
    done = import_into(shell, shell.plant / "deep" / "er")
    assert done.returncode == 0, done.stderr
    home = shell.plant / ".alerting"
    assert f"written to the platform in {home}" in done.stderr
    assert [path.name for path in (shell.plant / "deep" / "er").iterdir()] == []
    again = import_into(shell, shell.plant)
    assert "0 new" in again.stdout + again.stderr


def test_from_anywhere_else_it_is_the_one_that_this_user_started_last(shell):
    first = shell.plant / "first"
    last = shell.plant / "last"
    for folder in (first, last):
        folder.mkdir()
        shell.prepare(folder)
        record_last_home(folder / ".alerting", shell.environ)
    done = import_into(shell, shell.elsewhere)
    assert f"written to the platform in {last / '.alerting'}" in done.stderr
    nearer = import_into(shell, first)
    assert f"written to the platform in {first / '.alerting'}" in nearer.stderr
    shutil.rmtree(last)
    gone = import_into(shell, shell.elsewhere)
    assert gone.returncode == 1 and "there is no platform" in gone.stderr


def test_a_reading_command_elsewhere_says_which_platform_it_reads_and_one_at_home_does_not(shell):
    shell.prepare(shell.plant)
    home = shell.plant / ".alerting"
    record_last_home(home, shell.environ)
    elsewhere = shell.run("list", "--json", folder=shell.elsewhere)
    assert (
        f"using the platform that ran last (ALERTING_HOME names another): {home}"
        in elsewhere.stderr
    )
    assert json.loads(elsewhere.stdout) == []
    for done in (
        shell.run("list", folder=shell.plant / "deep"),
        shell.run("list", folder=shell.elsewhere, HOME=str(home)),
    ):
        assert (done.returncode, "ran last" in done.stderr) == (0, False)


def test_with_a_database_of_ones_own_no_home_is_needed_and_the_host_is_said_without_the_password(
    shell, real_mongod
):
    own = {"MONGODB_URI": real_mongod.uri, "DATABASE": "of-ones-own"}
    refused = import_into(shell, shell.elsewhere, **own)
    assert (refused.returncode, "run `alerting prepare`" in refused.stderr) == (1, True)
    assert shell.run("prepare", folder=shell.plant, **own).returncode == 0
    done = import_into(shell, shell.elsewhere, **own)
    assert done.returncode == 0, done.stderr
    assert f"written to the database of-ones-own at 127.0.0.1:{real_mongod.port}\n" in done.stderr
    assert (real_mongod.folder / "password").read_text() not in done.stdout + done.stderr


def test_a_home_whose_platform_uses_a_named_database_is_not_given_a_second_one(shell):
    create_home(shell.plant / ".alerting", "named")
    done = shell.run("list", folder=shell.plant)
    assert done.returncode == 1
    assert "set ALERTING_MONGODB_URI" in done.stderr
    assert not (shell.plant / ".alerting" / "mongod").exists()


def test_a_home_that_others_may_enter_is_closed_to_them(shell):
    shell.prepare(shell.plant)
    home = shell.plant / ".alerting"
    home.chmod(0o755)
    assert shell.run("list", folder=shell.plant).returncode == 0
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


def test_a_home_of_another_user_is_refused_by_name(shell):
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder to another user")
    shell.prepare(shell.plant)
    home = shell.plant / ".alerting"
    os.chown(home, 4321, 4321)
    for command in ("list", "up", "prepare"):
        for variables in ({}, {"HOME": str(home)}):
            done = shell.run(command, folder=shell.plant, **variables)
            assert done.returncode == 1
            said = done.stdout + done.stderr
            assert (
                "belongs to user 4321" in said
                and "ALERTING_HOME" in said
                and "Traceback" not in said
            )


def test_a_folder_that_all_users_share_is_no_home(shell):
    shared = shell.elsewhere / "tmp"
    shared.mkdir()
    shared.chmod(0o1777)
    for command in ("prepare", "up"):
        done = shell.run(command, folder=shell.elsewhere, HOME=str(shared))
        assert done.returncode == 1
        assert "shared by all users" in done.stdout + done.stderr
    assert stat.S_IMODE(shared.stat().st_mode) == 0o1777


UNUSABLE = {
    "below a file": lambda folder: folder / "file" / "home",
    "a file": lambda folder: folder / "file",
    "where nothing can be made": lambda folder: Path("/proc/alerting-home"),
}


@pytest.mark.parametrize("place", UNUSABLE)
@pytest.mark.parametrize("command", ["up", "prepare", "list"])
def test_a_home_that_cannot_be_made_is_refused_in_a_sentence(shell, place, command):
    (shell.elsewhere / "file").write_text("")
    home = UNUSABLE[place](shell.elsewhere)
    done = shell.run(command, folder=shell.elsewhere, HOME=str(home))
    said = done.stdout + done.stderr
    assert done.returncode == 1
    assert str(home) in said and "ALERTING_HOME" in said
    assert "Traceback" not in said


def test_another_user_cannot_reach_the_locks_that_commands_wait_for(shell):
    """With `flock` on the lock files of an open home any user of the machine could stall every
    command."""
    if os.geteuid() != 0:
        pytest.skip("only root can act as another user")
    home = shell.plant / "home"
    home.mkdir(mode=0o755)
    assert shell.run("prepare", folder=shell.plant, HOME=str(home)).returncode == 0
    for folder in (*home.parents,):
        if folder.stat().st_uid == 0 and folder != Path("/tmp"):
            folder.chmod(folder.stat().st_mode | 0o055)
    for name in (
        "mongod.users",
        "up.lock",
        "mongod.start",
        "mongod/server.lock",
        "secrets/mlflow_password",
    ):
        stranger = [
            "setpriv",
            "--reuid=4321",
            "--regid=4321",
            "--clear-groups",
            "flock",
            "--nonblock",
            str(home / name),
            "true",
        ]
        assert subprocess.run(stranger, check=False, capture_output=True).returncode != 0, name
