"""All tests, lane by lane: `python -m tests.run`, which `make test` calls.

Twice as many lanes as there are cores (or WORKERS of them) run at once, each in a process of its
own: they wait for servers. A failure is printed at once; at the end come the slowest tests, what
was left out and how to install what it needs, and pytest's closing line.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.lanes import HOLDS, ORDER
from tests.template_branches import UNTAKEN, untaken

SLOWEST = 20
POLL_S = 0.2
NEWS_S = 30.0  # between lines that tell how far it is
PACKAGES = re.compile(r"apt-get install (?:--no-install-recommends )?([a-z0-9 -]+)")
NOTHING = (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)


@dataclass
class Run:
    """A lane that runs, and what it has written."""

    name: str
    process: subprocess.Popen[bytes]
    outcomes: Path
    log: Path
    read: int = 0
    tests: int = 0
    lines: list[dict] = field(default_factory=list)
    branches: set[str] = field(default_factory=set)

    def read_news(self) -> list[dict]:
        """Return the outcomes since the last call."""
        if not self.outcomes.exists():
            return []
        with self.outcomes.open("rb") as file:
            file.seek(self.read)
            whole = file.read().rpartition(b"\n")[0]
        self.read += len(whole) + bool(whole)
        news = [json.loads(line) for line in whole.splitlines()]
        self.tests = next((line["tests"] for line in news if "tests" in line), self.tests)
        self.branches |= {branch for line in news for branch in line.get("branches", ())}
        told = [line for line in news if "test" in line]
        self.lines += told
        return told

    @property
    def done(self) -> int:
        return sum(line["outcome"] != "" for line in self.lines)


def main(arguments: list[str]) -> int:
    """Run the lanes; return pytest's exit code."""
    workers = int(os.environ.get("WORKERS") or 2 * (os.cpu_count() or 1))
    if workers == 0:
        return pytest.main(arguments)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="alerting-lanes-") as folder:
        runs = run_lanes(Path(folder), workers, arguments)
        seconds = time.monotonic() - begun
        untaken_code = tell_untaken(runs) if is_whole(arguments) else 0
        return conclude(runs, seconds) or untaken_code


def run_lanes(folder: Path, workers: int, arguments: list[str]) -> list[Run]:
    """Run all lanes, `workers` at a time. Ctrl-C ends those that run; the others never start."""
    waiting = list(ORDER)
    runs: list[Run] = []
    told = time.monotonic()
    try:
        while waiting or any(run.process.poll() is None for run in runs):
            running = [run for run in runs if run.process.poll() is None]
            if waiting and len(running) < workers:
                runs.append(start(folder, waiting.pop(0), arguments))
            for run in running:
                tell_failures(run.read_news())
            if time.monotonic() - told >= NEWS_S:
                told = time.monotonic()
                news = [f"{run.name} {run.done} of {run.tests}" for run in running]
                print(" · ".join(news), flush=True)
            time.sleep(POLL_S)
    except KeyboardInterrupt:
        for run in runs:
            run.process.wait()
    for run in runs:
        tell_failures(run.read_news())
    return runs


def start(folder: Path, name: str, arguments: list[str]) -> Run:
    """Start a lane."""
    outcomes = folder / f"{name}.jsonl"
    log = folder / f"{name}.log"
    command = [sys.executable, "-m", "pytest", "--lane", name, "--outcomes", str(outcomes)]
    with log.open("wb") as output:
        process = subprocess.Popen([*command, *arguments], stdout=output, stderr=output)
    return Run(name, process, outcomes, log)


def tell_failures(lines: list[dict]) -> None:
    """Print what failed, with the end of its traceback."""
    for line in lines:
        if line["outcome"] in ("failed", "error"):
            text = line["text"].replace("\n", "\n    ")
            print(f"\nFAILED {line['test']}\n    {text}", flush=True)


def conclude(runs: list[Run], seconds: float) -> int:
    """Print the end of a run of all lanes; return pytest's exit code."""
    lines = [line for run in runs for line in run.lines]
    counts = Counter(line["outcome"] for line in lines if line["outcome"])
    times = Counter()
    for line in lines:
        times[line["test"]] += line["seconds"]
    print(f"\nslowest {SLOWEST} tests")
    for test, spent in times.most_common(SLOWEST):
        print(f"{spent:8.1f} s  {test}")
    for run in runs:
        spent = sum(line["seconds"] for line in run.lines)
        print(f"lane {run.name}: {run.done} tests, {spent:.0f} s ({HOLDS[run.name]})")
    for line in lines:
        if line["outcome"] in ("failed", "error"):
            print(f"{line['outcome']}: {line['test']}")
    tell_left_out([line for line in lines if line["outcome"] == "skipped"])
    broken = [run for run in runs if run.process.returncode not in (*NOTHING, 1)]
    for run in broken:
        end = run.log.read_text(encoding="utf-8", errors="replace")[-3000:]
        print(f"\nlane {run.name} ended with {run.process.returncode}:\n{end}")
    said = [f"{number} {outcome}" for outcome, number in sorted(counts.items())]
    print(f"==== {', '.join(said) or 'no tests ran'} in {seconds:.2f}s ====")
    if broken:
        return broken[0].process.returncode
    codes = {run.process.returncode for run in runs}
    return 1 if 1 in codes else min(codes)


def is_whole(arguments: list[str]) -> bool:
    """Return whether all tests run, with or without those of the night."""
    marks = [arguments[n + 1] for n, word in enumerate(arguments) if word == "-m"]
    others = {*arguments} - {"-m", "tests", *marks}
    return marks[-1:] in (["not night"], [""]) and not others


def tell_untaken(runs: list[Run]) -> int:
    """Print the branches of templates that no test rendered; return 1 if there are any. Where tests
    were left out, such as those in a browser, nothing is said."""
    if any(line["outcome"] == "skipped" for run in runs for line in run.lines):
        return 0
    missing, known = untaken(branch for run in runs for branch in run.branches)
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
