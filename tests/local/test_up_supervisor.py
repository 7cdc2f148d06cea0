"""Parts are started, started again and stopped as they should be, and nothing outlives the one who
started it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.models


class Supervised:
    """The small platform of `supervised.py`, with what it has said so far."""

    def __init__(self, folder, *options, wrapper=()):
        self.folder = folder
        self.output = folder / "output"
        command = [
            *wrapper,
            sys.executable,
            "-m",
            "tests.local.supervised",
            str(folder),
            *options,
        ]
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT
            )

    def wait_for(self, words, count=1):
        until(
            lambda: self.said().count(words) >= count,
            lambda: f"{words!r} was not said:\n{self.said()}",
        )

    def said(self):
        return self.output.read_text()

    def lines(self):
        return self.said().splitlines()


def until(true, otherwise, patience=600.0):
    deadline = time.monotonic() + patience
    while not true():
        assert time.monotonic() < deadline, otherwise()
        time.sleep(0.05)


def everything_of(folder):
    """Every living process that has this folder in its command line."""
    found = []
    for process in psutil.process_iter():
        try:
            if (
                str(folder) in " ".join(process.cmdline())
                and process.status() != psutil.STATUS_ZOMBIE
            ):
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found


def assert_nothing_is_left(folder):
    until(
        lambda: not everything_of(folder),
        lambda: f"left over: {[p.cmdline() for p in everything_of(folder)]}",
    )


@pytest.fixture
def supervised(tmp_path):
    started = Supervised(tmp_path)
    started.wait_for("milestone")
    yield started
    started.process.kill()
    started.process.wait()
    assert_nothing_is_left(tmp_path)


def test_parts_start_after_their_needs_and_stop_before_them(supervised):
    """Also before those that only a job before them needed, which is done by then."""
    supervised.process.send_signal(signal.SIGINT)
    assert supervised.process.wait(600) == 0
    lines = supervised.lines()
    order = [lines.index(next(line for line in lines if line.startswith(words))) for words in STORY]
    assert order == sorted(order), supervised.said()
    assert_nothing_is_left(supervised.folder)


STORY = (
    "database is ready",
    "prepare is done",
    "parent is ready",
    "milestone",
    "stopping soon",
    "stopping parent, stubborn",
    "stubborn was killed: it had not ended 0.5 s after it was asked to; its log is ",
    "stopping later",
    "stopping database",
)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_stops_it_where_a_shell_started_it_in_the_background(tmp_path, number):
    """A shell without job control starts such commands with SIGINT ignored."""
    started = Supervised(tmp_path, wrapper=("sh", "-c", 'trap "" INT; exec "$@"', "sh"))
    try:
        started.wait_for("milestone")
        started.process.send_signal(number)
        assert started.process.wait(600) == 0
    finally:
        started.process.kill()
        started.process.wait()
        assert_nothing_is_left(tmp_path)


def test_a_killed_part_is_said_started_again_and_its_leavings_cleared(supervised):
    left_behind = int((supervised.folder / "grandchild").read_text())
    (supervised.folder / "grandchild").unlink()
    os.kill(psutil.Process(left_behind).ppid(), signal.SIGKILL)
    supervised.wait_for("parent stopped (killed by SIGKILL), starting again in 1 s")
    supervised.wait_for("parent runs again")
    assert not psutil.pid_exists(left_behind)
    os.kill(
        psutil.Process(int((supervised.folder / "grandchild").read_text())).ppid(), signal.SIGKILL
    )
    supervised.wait_for("parent stopped (killed by SIGKILL), starting again in 2 s")


def test_a_second_interrupt_stops_at_once(tmp_path):
    """Without it, the stubborn part would have five minutes to end."""
    started = Supervised(tmp_path, "--patient")
    try:
        started.wait_for("milestone")
        started.process.send_signal(signal.SIGINT)
        started.wait_for("stopping soon")
        started.process.send_signal(signal.SIGINT)
        assert started.process.wait(200) == 0
    finally:
        started.process.kill()
        started.process.wait()
    words = "stubborn was killed: it was still stopping when a second interrupt came"
    assert words in started.said()
    assert_nothing_is_left(tmp_path)


def test_killing_the_guard_takes_everything_with_it(supervised):
    supervised.process.kill()
    supervised.process.wait()
    assert_nothing_is_left(supervised.folder)
    assert "stopping parent" in supervised.said()  # in good order, even so


def test_killing_the_supervisor_takes_everything_with_it(supervised):
    (supervisor,) = psutil.Process(supervised.process.pid).children()
    supervisor.kill()
    assert supervised.process.wait(600) != 0
    assert_nothing_is_left(supervised.folder)


def test_a_job_that_fails_stops_everything_with_its_last_words(tmp_path):
    started = Supervised(tmp_path, "--failing")
    assert started.process.wait(600) == 1
    assert "failed: broken (exit 1)" in started.said()
    assert "no disk left" in started.said()
    assert_nothing_is_left(tmp_path)


def test_a_part_that_never_began_its_own_log_is_said_with_its_output(tmp_path):
    started = Supervised(tmp_path, "--lacking")
    assert started.process.wait(600) == 1
    assert started.lines()[-4:] == [
        f"failed: database (exit 1). The end of its log, {tmp_path / 'database.log'}:",
        *["libcurl.so.4: cannot open shared object file"] * 3,
    ]


def test_the_cause_that_a_part_knows_is_said_instead_of_its_log(tmp_path):
    started = Supervised(tmp_path, "--full-disk")
    assert started.process.wait(600) == 1
    cause = f"database: the disk is full. Its log is {tmp_path / 'database.log'}"
    assert started.lines()[-1] == f"failed: {cause}"
