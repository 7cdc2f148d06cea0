"""Supervisor of parts: start them in the order of their needs, restart them, and stop them in reverse order.

It has one thread and one loop, so its code never runs concurrently; parts are processes.
"""

import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from alerting.local import processes

FIRST_DELAY_S = 1.0
LONGEST_DELAY_S = 60.0
HEALTHY_AFTER_S = 60.0
ATTEMPTS_AT_START = 3
LOOK_EVERY_S = 0.1
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def delay_after(failures: int) -> float:
    """Return the seconds to wait before a restart after this many consecutive failures: 1, 2, 4, ... up to a minute."""
    return min(LONGEST_DELAY_S, FIRST_DELAY_S * 2.0 ** max(0, min(failures, 30) - 1))


def always() -> bool:
    """Return True: the part is ready as soon as it is started."""
    return True


def no_cause() -> str | None:
    """Return no cause: the reason of the end is unknown."""
    return None


@dataclass(frozen=True)
class Part:
    """A supervised process; with `once`, a job that must finish successfully.

    A job with `news` runs in the background, and no part depends on its result. `cause` gives the reason of an end, if known.
    `needs` names the parts that must be ready (or done) before it starts. `ready` is called often and returns within a second
    whether the part is usable. `busy` is shown while people wait, with the last line of output of a job that `talks`.
    """

    name: str
    busy: str
    command: Sequence[str]
    environ: Mapping[str, str] = field(repr=False)
    needs: tuple[str, ...] = ()
    ready: Callable[[], bool] = always
    once: bool = False
    talks: bool = False
    grace_s: float = 10.0
    writes_to: Path | None = None
    cause: Callable[[], str | None] = no_cause
    news: bool = False


class StartFailed(Exception):
    """Failure to start a part; the message gives the reason and the part's last lines of output."""


@dataclass
class _Supervised:
    part: Part
    log: Path
    process: subprocess.Popen[bytes] | None = None
    first_started: float = 0.0
    started: float = 0.0
    ready: bool = False
    ever_ready: bool = False
    failures: int = 0
    start_at: float = 0.0

    @property
    def running(self) -> bool:
        return self.process is not None

    @property
    def finished(self) -> bool:
        return self.part.once and self.ever_ready


class Supervisor:
    """Supervisor of parts until a signal asks to stop. `say` prints a line of news; `show` replaces the status line.

    It runs only inside `processes.guarded`, because it kills every other process below its own.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        folder: Path,
        logs: Path,
        say: Callable[[str], None],
        show: Callable[[str], None],
    ) -> None:
        self._watched = {part.name: _Supervised(part, logs / f"{part.name}.log") for part in parts}
        self._folder = folder
        self._say = say
        self._show = show
        self._signals = 0
        unknown = {need for part in parts for need in part.needs} - set(self._watched)
        if unknown:
            raise ValueError(f"parts need others that are not started: {', '.join(sorted(unknown))}")

    def run(self, milestones: Mapping[str, Callable[[], None]], stopping: Callable[[], None]) -> None:
        """Start and supervise all parts until a signal asks to stop; then call `stopping`, and stop all parts.

        `milestones`: callbacks by name of the part, called when it is ready for the first time or done.
        Raises StartFailed (after stopping all) when a job fails or a part ends several times before it was ever ready, and
        RuntimeError outside `guarded`.
        """
        if not processes.is_guarded():
            raise RuntimeError("a supervisor runs inside `guarded`: it would kill processes of others here")
        for number in STOP_SIGNALS:
            signal.signal(number, self._on_signal)
        ahead = dict(milestones)
        try:
            while not self._signals:
                self._look()
                for name in [name for name in ahead if self._watched[name].ever_ready]:
                    ahead.pop(name)()
                time.sleep(LOOK_EVERY_S)
        finally:
            self._show("")
            stopping()
            self._stop()

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._signals += 1

    def _look(self) -> None:
        """Run one round: detect ended parts, start parts whose needs are met, check readiness."""
        now = time.monotonic()
        for watched in self._watched.values():
            if watched.process is not None and (code := watched.process.poll()) is not None:
                self._ended(watched, code, now)
        self._kill_orphans()
        for watched in self._watched.values():
            if not watched.running and self._may_start(watched, now):
                self._start(watched, now)
            elif watched.running and not watched.ready and not watched.part.once and watched.part.ready():
                self._is_ready(watched, now)
        self._show(self._going_on(now))

    def _may_start(self, watched: _Supervised, now: float) -> bool:
        needs = (self._watched[need] for need in watched.part.needs)
        return not watched.finished and now >= watched.start_at and all(need.ready or need.finished for need in needs)

    def _start(self, watched: _Supervised, now: float) -> None:
        if watched.part.once:
            watched.log.unlink(missing_ok=True)  # a job's log covers only this run
        watched.process = processes.start(watched.part.command, watched.part.environ, watched.log, self._folder)
        watched.started = now
        watched.first_started = watched.first_started or now

    def _is_ready(self, watched: _Supervised, now: float) -> None:
        watched.ready = True
        if watched.ever_ready:
            self._say(f"{watched.part.name} runs again")
        else:
            self._say(f"{watched.part.name} is ready ({now - watched.first_started:.1f} s)")
        watched.ever_ready = True

    def _ended(self, watched: _Supervised, code: int, now: float) -> None:
        healthy = watched.ready and now - watched.started >= HEALTHY_AFTER_S
        watched.process, watched.ready = None, False
        if watched.part.once and (code == 0 or watched.part.news):
            watched.ever_ready = True
            if watched.part.news:
                return
            result = f": {last_lines(watched.log, 1)}" if watched.part.talks else ""
            self._say(f"{watched.part.name} is done ({now - watched.first_started:.1f} s){result}")
            return
        watched.failures = 1 if healthy else watched.failures + 1
        if watched.part.once or (not watched.ever_ready and watched.failures >= ATTEMPTS_AT_START):
            log = watched.part.writes_to or watched.log
            if (why := watched.part.cause()) is not None:
                raise StartFailed(f"{watched.part.name}: {why}. Its log is {log}")
            raise StartFailed(f"{watched.part.name} ({ending(code)}). The end of its log, {log}:\n{last_lines(log, 12)}")
        delay = delay_after(watched.failures)
        watched.start_at = now + delay
        self._say(f"{watched.part.name} stopped ({ending(code)}), starting again in {delay:.0f} s")
        if (why := watched.part.cause()) is not None:
            self._say(f"{watched.part.name}: {why}")

    def _kill_orphans(self) -> None:
        """Kill the orphans of an ended part before its restart, because they still use its ports and files."""
        own = {w.process.pid for w in self._watched.values() if w.process is not None}
        orphans = processes.reap_orphans(own)
        for orphan in orphans:
            processes.kill([*processes.descendants(orphan.pid), orphan])

    def _going_on(self, now: float) -> str:
        waiting = [w for w in self._watched.values() if w.running and not w.ready and not w.part.news]
        return ", ".join(f"{_doing(w)} {now - w.started:.0f} s" for w in waiting)

    def _stop(self) -> None:
        """Stop the parts in reverse order of need: first those that no running part needs."""
        if any(w.running for w in self._watched.values()):
            self._say("stopping (Ctrl-C again: at once)")
        signals = self._signals
        while running := [w for w in self._watched.values() if w.running]:
            needed = {need for w in running for need in w.part.needs}
            self._stop_together([w for w in running if w.part.name not in needed], signals)
        processes.kill_descendants()

    def _stop_together(self, stopping: Sequence[_Supervised], signals: int) -> None:
        began = time.monotonic()
        for watched in stopping:
            assert watched.process is not None  # noqa: S101 - only running parts are stopped
            watched.process.terminate()
        left = list(stopping)
        while left:
            for watched in list(left):
                assert watched.process is not None  # noqa: S101
                late = self._signals > signals or time.monotonic() - began > watched.part.grace_s
                if late:
                    below = processes.descendants(watched.process.pid)
                    watched.process.kill()
                    processes.kill(below)
                    watched.process.wait()
                if watched.process.poll() is not None:
                    watched.process, watched.ready = None, False
                    left.remove(watched)
                    self._say(f"{watched.part.name} {'was killed' if late else 'stopped'}")
            time.sleep(LOOK_EVERY_S / 2)


def ending(code: int) -> str:
    """Return how a process ended: `exit 1`, or `killed by SIGKILL`."""
    return f"exit {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"


def last_lines(log: Path, count: int) -> str:
    """Return the last lines of a log."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-count:])


def _doing(watched: _Supervised) -> str:
    said = last_lines(watched.log, 1) if watched.part.talks else ""
    return f"{watched.part.busy} ({said})" if said else watched.part.busy
