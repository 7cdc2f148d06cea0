"""All tests, lane by lane: `python -m tests.run`, which `make test` calls.

Twice as many processes as there are cores (or WORKERS of them) run at once, since they wait for
servers. Each belongs to a lane and takes one of its files after the other, those first that took
longest when `--times` last wrote `seconds.txt`; once a lane has no more files, its processes end
and others help the lane that has most left. A failure is printed at once; at the end come the
slowest tests, what was left out and how to install what it needs, and pytest's closing line.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from pathlib import Path

import pytest

from tests.lanes import HOLDS, TESTS, lane_of
from tests.template_branches import UNTAKEN, untaken

SLOWEST = 20
POLL_S = 0.2
NEWS_S = 30.0  # between lines that tell how far it is
START_S = 15.0  # a second process of a lane is not worth its start for less than this
END_S = 300.0  # for what a session shares to stop: no timeout of pytest is set then
ABORT_S = 10.0  # for a process to tell where it is, before it is killed
SHORT_S = 1.0  # files that take less are not listed
SECONDS = TESTS / "seconds.txt"
WITH_WORD = re.compile(  # options whose next word names no test to be run
    r"-[kmpoWcr]|--(?:config-file|rootdir|basetemp|confcutdir|ignore|ignore-glob|deselect"
    r"|junit-?xml|log-file|override-ini|pythonwarnings)"
)
PACKAGES = re.compile(r"apt-get install (?:--no-install-recommends )?([a-z0-9 -]+)")
FAILURES = ("failed", "error")


@dataclass
class Process:
    """A process of a lane. `file`: what it runs, None after its last; `doing`: the same for people,
    since `begun`; `is_ending`: whether it stops what its files shared."""

    lane: str
    popen: subprocess.Popen[bytes]
    pipe: Connection
    log: Path
    file: Path | None = None
    doing: str = "its start"
    begun: float = field(default_factory=time.monotonic)
    is_over: bool = False
    is_ending: bool = False
    has_failed: bool = False

    @property
    def is_running(self) -> bool:
        return self.popen.poll() is None

    @property
    def is_broken(self) -> bool:
        """Whether it ended, and not because its files or, by an option, failures were enough."""
        code = self.popen.poll()
        expected = (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
        return code is not None and (
            code != pytest.ExitCode.TESTS_FAILED
            if self.has_failed
            else code not in expected or not self.is_over
        )

    def receive(self) -> list[dict]:
        """Return what it has told since the last call."""
        news = []
        with suppress(EOFError, ConnectionResetError):
            while self.pipe.poll():
                news.append(self.pipe.recv())
        return news


@dataclass
class Run:
    """A run of files. `waiting`: the seconds of each file that no process has taken, by lane;
    `words`: what names the tests of a file for pytest."""

    folder: Path
    options: list[str]
    words: dict[Path, list[str]]
    waiting: dict[str, dict[Path, float]]
    processes: list[Process] = field(default_factory=list)
    lines: list[dict] = field(default_factory=list)
    seconds: dict[Path, float] = field(default_factory=dict)
    branches: set[str] = field(default_factory=set)
    is_interrupted: bool = False
    never_ran: int = 0

    def run(self, at_once: int) -> None:
        """Run all files; after Ctrl-C, only those that processes have taken."""
        signal.signal(signal.SIGINT, self._interrupt)
        told = time.monotonic()
        while (running := [one for one in self.processes if one.is_running]) or self.waiting:
            working = Counter(one.lane for one in running if not one.is_over)
            if len(running) < at_once and (lane := next_lane(self.waiting, working)) is not None:
                self._start(lane)
            wait([one.pipe for one in running], POLL_S)
            if self.is_interrupted:
                self._drop_waiting()
            for one in self.processes:
                self._follow(one)
                self._end_late(one)
            if time.monotonic() - told >= NEWS_S:
                told = time.monotonic()
                self._tell_progress()

    def _interrupt(self, *_: object) -> None:
        self.is_interrupted = True

    def _drop_waiting(self) -> None:
        self.never_ran += sum(map(len, self.waiting.values()))
        self.waiting.clear()

    def _start(self, lane: str) -> None:
        ours, theirs = Pipe()
        log = self.folder / f"{len(self.processes)}.log"
        command = [sys.executable, "-m", "pytest", "--lane", lane, "--pipe", str(theirs.fileno())]
        words = [word for file in self.waiting[lane] for word in self.words[file]]
        with log.open("wb") as output, theirs:
            popen = subprocess.Popen(
                [*command, *self.options, *words],
                stdout=output,
                stderr=output,
                pass_fds=[theirs.fileno()],
            )
        self.processes.append(Process(lane, popen, ours, log))

    def _follow(self, one: Process) -> None:
        """Take what a process tells, and give it its next file."""
        has_ended = not one.is_running  # before the last of what it tells is read
        for line in one.receive():
            if "wants" in line:
                self._give_file(one)
            elif "branches" in line:
                self.branches.update(line["branches"])
                one.is_ending = True
                one.doing = "its end"
                one.begun = time.monotonic()
            else:
                self.lines.append(line | {"lane": one.lane})
                one.has_failed |= line["outcome"] in FAILURES
                tell_failure(line)
        if has_ended and not one.is_over and (one.file is None or one.popen.returncode > 0):
            self._drop_waiting()  # a failure is enough, or none can start; a signal takes its file

    def _end_late(self, one: Process) -> None:
        """End a process that cannot stop what its files shared; its log says where it was."""
        late = time.monotonic() - one.begun - END_S
        if one.is_ending and one.is_running and late > 0:
            one.file = None
            one.doing = f"its end, which took more than {END_S:.0f} s"
            one.popen.send_signal(signal.SIGABRT if late < ABORT_S else signal.SIGKILL)

    def _give_file(self, one: Process) -> None:
        now = time.monotonic()
        if one.file is not None:
            self.seconds[one.file] = now - one.begun
        files = self.waiting.get(one.lane, {})
        one.file = max(files, key=files.__getitem__, default=None)
        one.begun = now
        one.is_over = one.file is None
        one.doing = str(one.file or "its end")
        files.pop(one.file, None)
        if not files:
            self.waiting.pop(one.lane, None)
        with suppress(BrokenPipeError):
            one.pipe.send(one.file and str(one.file))

    def _tell_progress(self) -> None:
        """Print which files run, and how many wait."""
        now = time.monotonic()
        files = [
            f"{Path(one.doing).stem} ({one.lane}, {now - one.begun:.0f} s)"
            for one in self.processes
            if one.is_running
        ]
        done = sum(line["outcome"] != "" for line in self.lines)
        left = sum(map(len, self.waiting.values()))
        print(f"{done} tests done, {left} files wait; {', '.join(files)}", flush=True)


def next_lane(
    waiting: Mapping[str, Mapping[Path, float]], working: Mapping[str, int]
) -> str | None:
    """Return the lane in which each process then has most left to do; None if one more process is
    worth its start in none.

    `waiting`: seconds of the files of each lane; `working`: how many processes it has.
    """
    left = {lane: sum(files.values()) for lane, files in waiting.items()}
    shares = {
        lane: seconds / (working.get(lane, 0) + 1)
        for lane, seconds in left.items()
        if not working.get(lane) or seconds >= START_S * (working[lane] + 1)
    }
    return max(shares, key=shares.__getitem__, default=None)


def main(arguments: list[str]) -> int:
    """Run the lanes; return pytest's exit code."""
    at_once = int(os.environ.get("WORKERS") or 2 * (os.cpu_count() or 1))
    if at_once == 0:
        return pytest.main(arguments)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="alerting-lanes-") as folder:
        words, options = find_files([word for word in arguments if word != "--times"])
        run = Run(Path(folder), options, words, by_lane(words))
        run.run(at_once)
        seconds = time.monotonic() - begun
        if "--times" in arguments:
            if is_whole(arguments) and run.seconds.keys() >= words.keys():
                write_seconds(run.seconds)
            else:
                print(f"{SECONDS.name} stays as it was: not all tests ran")
        code = conclude(run, seconds)
        is_told = is_whole(arguments) and not run.is_interrupted
        untaken_code = tell_untaken(run) if is_told else 0
        return code or untaken_code


def find_files(arguments: Sequence[str]) -> tuple[dict[Path, list[str]], list[str]]:
    """Return the files of tests with the words that name them, and the options for pytest."""
    words: dict[Path, list[str]] = {}
    options: list[str] = []
    for before, word in pairwise(["", *arguments]):
        # as pytest does: `..` goes, links stay
        place = Path(os.path.normpath(Path(word.partition("::")[0]).absolute()))
        if word.startswith("-") or WITH_WORD.fullmatch(before) or not place.exists():
            options.append(word)
        elif place.is_dir():
            words |= {file: [str(file)] for file in sorted(place.rglob("test_*.py"))}
        else:
            words.setdefault(place, []).append(word)
    return words, options


def by_lane(files: Iterable[Path]) -> dict[str, dict[Path, float]]:
    """Return the seconds that each file took when they were last written, by lane."""
    known = {}
    for line in SECONDS.read_text(encoding="utf-8").splitlines():
        seconds, name = line.split()
        known[TESTS / name] = float(seconds)
    found = defaultdict(dict)
    for file in files:
        found[lane_of(file).name][file] = known.get(file, SHORT_S)
    return dict(found)


def write_seconds(seconds: dict[Path, float]) -> None:
    """Write which files took long, for the order of the next runs."""
    lines = [
        f"{spent:.0f} {file.relative_to(TESTS)}\n"
        for file, spent in sorted(seconds.items())
        if spent > SHORT_S and file.is_relative_to(TESTS)
    ]
    SECONDS.write_text("".join(lines), encoding="utf-8")


def tell_failure(line: dict) -> None:
    """Print what failed, with the end of its traceback."""
    if line["outcome"] in FAILURES:
        text = line["text"].replace("\n", "\n    ")
        print(f"\nFAILED {line['test']}\n    {text}", flush=True)


def conclude(run: Run, seconds: float) -> int:
    """Print the end of a run of all lanes; return pytest's exit code."""
    counts = Counter(line["outcome"] for line in run.lines if line["outcome"])
    times = Counter()
    for line in run.lines:
        times[line["test"]] += line["seconds"]
    print(f"\nslowest {SLOWEST} tests")
    for test, spent in times.most_common(SLOWEST):
        print(f"{spent:8.1f} s  {test}")
    tell_lanes(run)
    for line in run.lines:
        if line["outcome"] in FAILURES:
            print(f"{line['outcome']}: {line['test']}")
    tell_left_out([line for line in run.lines if line["outcome"] == "skipped"])
    broken = [one for one in run.processes if one.is_broken]
    for one in broken:
        end = one.log.read_text(encoding="utf-8", errors="replace")[-3000:]
        place = one.file or one.doing
        print(f"\nlane {one.lane} ended with {one.popen.returncode}, at {place}:\n{end}")
    if run.is_interrupted or run.never_ran:
        print(f"{'interrupted: ' * run.is_interrupted}{run.never_ran} files never ran")
    said = [f"{number} {outcome}" for outcome, number in sorted(counts.items())]
    print(f"==== {', '.join(said) or 'no tests ran'} in {seconds:.2f}s ====")
    if run.is_interrupted:
        return pytest.ExitCode.INTERRUPTED
    if broken or counts["failed"] or counts["error"]:
        return pytest.ExitCode.TESTS_FAILED
    return pytest.ExitCode.OK if counts else pytest.ExitCode.NO_TESTS_COLLECTED


def tell_lanes(run: Run) -> None:
    """Print how many tests, seconds and processes each lane had."""
    for lane, processes in Counter(one.lane for one in run.processes).items():
        lines = [line for line in run.lines if line["lane"] == lane]
        tests = sum(line["outcome"] != "" for line in lines)
        spent = sum(line["seconds"] for line in lines)
        print(f"lane {lane}: {tests} tests, {spent:.0f} s in {processes} processes ({HOLDS[lane]})")


def is_whole(arguments: list[str]) -> bool:
    """Return whether all tests run, with or without those of the night."""
    marks = [arguments[n + 1] for n, word in enumerate(arguments) if word == "-m"]
    others = {*arguments} - {"-m", "tests", "--times", *marks}
    return marks[-1:] in (["not night"], [""]) and not others


def tell_untaken(run: Run) -> int:
    """Print the branches of templates that no test rendered; return 1 if there are any. Where tests
    were left out, such as those in a browser, nothing is said."""
    if any(line["outcome"] == "skipped" for line in run.lines):
        return 0
    missing, known = untaken(run.branches)
    for branch in missing:
        print(f"no test renders this branch of a template: {branch}")
    if known:
        print(f"rendered or gone, to be deleted from {UNTAKEN.name}: {known}")
    return int(bool(missing))


def tell_left_out(lines: list[dict]) -> None:
    """Print why tests were left out, and the one command that installs what all of them need."""
    reasons = Counter(line["text"].removeprefix("Skipped: ") for line in lines)
    for reason, number in reasons.most_common():
        print(f"left out {number}: {reason}")
    packages = sorted({name for reason in reasons for name in PACKAGES.findall(reason)})
    if packages:
        install = f"sudo apt-get install --no-install-recommends {' '.join(packages)}"
        print(f"{len(lines)} tests were left out; this installs what they need: {install}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
