"""Commands find the platform that is meant, from any folder, and never make a second one."""

import json
import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
import yaml

from alerting.settings.home_folder import create_home, record_last_home
from tests.builders import too_hot
from tests.support import require_real_server

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


WITHOUT_A_PLATFORM = (
    (("import", "readings", "../plant/line.csv", "--asset", "oven-1"), ".alerting"),
    (("apply", "../plant/too-hot.yaml"), ".alerting"),
    (("list",), "named"),
    (("train", "x"), ".alerting"),
    (("evaluate",), "named"),
    (("demo", "status"), ".alerting"),
)


def test_a_command_without_a_platform_is_refused_with_what_to_do_and_makes_nothing(shell):
    (shell.plant / "line.csv").write_text(READINGS)
    (shell.plant / "too-hot.yaml").write_text(yaml.safe_dump(too_hot()))
    found = {}
    for words, name in WITHOUT_A_PLATFORM:
        home = shell.elsewhere / name
        variables = {"HOME": str(home)} if name == "named" else {}
        done = shell.run(*words, folder=shell.elsewhere, **variables)
        parts = (f"there is no platform in {home}", "alerting up", "ALERTING_HOME=", "Traceback")
        found[words] = (done.returncode, *(part in done.stderr for part in parts))
    assert found == dict.fromkeys(found, (1, True, True, True, False))
    assert list(shell.elsewhere.iterdir()) == []


def test_a_home_that_cannot_be_one_is_refused_in_a_sentence(shell):
    """A file, a place below it, one where nothing can be made, and a folder that all users
    share."""
    file = shell.elsewhere / "file"
    file.write_text("")
    shared = shell.elsewhere / "tmp"
    shared.mkdir()
    shared.chmod(0o1777)
    refused_as_shared = []
    found = {}
    for home in (file, file / "home", Path("/proc/alerting-home"), shared):
        for command in ("list", "up", "prepare"):
            done = shell.run(command, folder=shell.elsewhere, HOME=str(home))
            said = done.stdout + done.stderr
            words = str(home) in said and "ALERTING_HOME" in said
            found[command, home] = (done.returncode, words, "Traceback" in said)
            if "shared by all users" in said:
                refused_as_shared.append((command, home))
    assert found == dict.fromkeys(found, (1, True, False))
    assert refused_as_shared == [("up", shared), ("prepare", shared)]
    assert stat.S_IMODE(shared.stat().st_mode) == 0o1777


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


def test_a_home_is_closed_to_others_and_named_to_one_who_reads_it_from_elsewhere(shell):
    shell.prepare(shell.plant)
    home = shell.plant / ".alerting"
    home.chmod(0o755)
    record_last_home(home, shell.environ)
    elsewhere = shell.run("list", "--json", folder=shell.elsewhere)
    said = f"using the platform that ran last (ALERTING_HOME names another): {home}"
    assert (said in elsewhere.stderr, json.loads(elsewhere.stdout)) == (True, [])
    at_home = shell.run("list", folder=shell.plant / "deep")
    named = shell.run("list", folder=shell.elsewhere, HOME=str(home))
    assert [(done.returncode, "ran last" in done.stderr) for done in (at_home, named)] == [
        (0, False),
        (0, False),
    ]
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    if os.geteuid() == 0:  # who alone can give a folder to another user
        os.chown(home, 4321, 4321)
        refused = [shell.run(word, folder=shell.plant) for word in ("list", "up", "prepare")]
        said = [done.stdout + done.stderr for done in refused]
        assert [done.returncode for done in refused] == [1, 1, 1]
        assert ["belongs to user 4321" in one and "Traceback" not in one for one in said] == [
            True,
            True,
            True,
        ]


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
