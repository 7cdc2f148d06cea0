"""Parts are started, started again and stopped as they should be, and nothing outlives the one who
started it."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
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


@contextmanager
def supervised(folder, *options, wrapper=()):
    """Start the small platform; nothing of it may be left afterwards."""
    folder.mkdir(exist_ok=True)
    started = Supervised(folder, *options, wrapper=wrapper)
    try:
        yield started
    finally:
        started.process.kill()
        started.process.wait()
        assert_nothing_is_left(folder)


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
IGNORING = ("sh", "-c", 'trap "" INT; exec "$@"', "sh")
"""A shell without job control starts commands in the background with SIGINT ignored."""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_parts_start_after_their_needs_and_an_interrupt_stops_them_before_them(tmp_path, number):
    """Also before those that only a job before them needed, which is done by then."""
    with supervised(tmp_path, wrapper=IGNORING) as started:
        started.wait_for("milestone")
        started.process.send_signal(number)
        assert started.process.wait(600) == 0
        lines = started.lines()
        order = [next(i for i, line in enumerate(lines) if line.startswith(w)) for w in STORY]
        assert order == sorted(order), started.said()
        assert_nothing_is_left(tmp_path)


def test_a_killed_part_is_started_again_and_with_its_guard_or_supervisor_all_ends(tmp_path):
    grandchild = tmp_path / "guard" / "grandchild"
    with supervised(grandchild.parent) as started:
        started.wait_for("milestone")
        left_behind = int(grandchild.read_text())
        grandchild.unlink()
        os.kill(psutil.Process(left_behind).ppid(), signal.SIGKILL)
        started.wait_for("parent stopped (killed by SIGKILL), starting again in 1 s")
        started.wait_for("parent runs again")
        assert not psutil.pid_exists(left_behind)
        os.kill(psutil.Process(int(grandchild.read_text())).ppid(), signal.SIGKILL)
        started.wait_for("parent stopped (killed by SIGKILL), starting again in 2 s")
    stopped = [line for line in started.lines() if line.startswith("stopping")]
    assert "stubborn" in " ".join(stopped), "in good order, even so"
    with supervised(tmp_path / "supervisor") as started:
        started.wait_for("milestone")
        (supervisor,) = psutil.Process(started.process.pid).children()
        supervisor.kill()
        assert started.process.wait(600) != 0
        assert_nothing_is_left(started.folder)


def test_a_second_interrupt_stops_at_once(tmp_path):
    """Without it, the stubborn part would have five minutes to end."""
    with supervised(tmp_path, "--patient") as started:
        started.wait_for("milestone")
        started.process.send_signal(signal.SIGINT)
        started.wait_for("stopping soon")
        started.process.send_signal(signal.SIGINT)
        assert started.process.wait(200) == 0
    words = "stubborn was killed: it was still stopping when a second interrupt came"
    assert words in started.said()


def test_a_part_that_fails_stops_everything_and_is_said_with_its_cause_or_its_last_words(tmp_path):
    said = {}
    for option in ("--failing", "--lacking", "--full-disk"):
        with supervised(tmp_path / option[2:], option) as started:
            assert started.process.wait(600) == 1
        said[option] = "\n".join(started.lines()[-4:])
    log = tmp_path / "lacking" / "database.log"
    assert said["--lacking"].splitlines() == [
        f"failed: database (exit 1). The end of its log, {log}:",
        *["libcurl.so.4: cannot open shared object file"] * 3,
    ]
    log = tmp_path / "full-disk" / "database.log"
    assert f"failed: database: the disk is full. Its log is {log}" in said["--full-disk"]
    assert "failed: broken (exit 1)" in said["--failing"]
    assert "no disk left" in said["--failing"]
