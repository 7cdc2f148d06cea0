"""Supervisor of parts: start them in the order of their needs, restart them, and stop them in
reverse order; and processes that end with the process that started them (Linux).

The supervisor has one thread and one loop, so its code never runs concurrently; parts are
processes.

Three mechanisms together end the parts: a child asks the kernel for SIGTERM when its parent ends;
the starter is a *subreaper*, so that orphans of its children become its own children; and a guard
process above the starter kills the remaining processes even when the starter itself was killed.
"""

import contextlib
import ctypes
import os
import select
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import psutil

LOOK_EVERY_S = 0.1
LOOK_AT_REST_S = 5.0
"""When all parts run: the end of a process, and a signal, are seen at once even so."""
HEALTHY_AFTER_S = 60.0
KILL_WITHIN_S = 10.0
ATTEMPTS_AT_START = 3


def delay_after(failures: int) -> float:
    """Return the seconds before a restart after failures: 1, 2, 4, ... up to a minute."""
    return min(60.0, 2.0 ** max(0, min(failures, 30) - 1))


@dataclass(frozen=True)
class Part:
    """A supervised process; with `once`, a job that must finish successfully.

    `cause` gives the reason of an end, if known. `needs` names the parts that must be ready (or
    done) before it starts; `uses` names parts that may start later, and stop after it, because it
    works with them until its end. `ready` is called often and returns within a second whether the
    part is usable. `busy` is shown while people wait, with the last line of output of a job that
    `talks`.
    """

    name: str
    busy: str
    command: Sequence[str]
    environ: Mapping[str, str] = field(repr=False)
    needs: tuple[str, ...] = ()
    ready: Callable[[], bool] = lambda: True
    once: bool = False
    talks: bool = False
    grace_s: float = 10.0
    writes_to: Path | None = None
    cause: Callable[[], str | None] = lambda: None
    uses: tuple[str, ...] = ()


class StartFailed(Exception):
    """Failure to start a part; the message gives the reason and the part's last lines of output."""


@dataclass
class _Service:
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
    """Supervisor of parts until a signal asks to stop. `say` prints a line of news; `show` replaces
    the status line.

    It runs only inside `run_guarded`, because it kills every other process below its own.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        folder: Path,
        logs: Path,
        say: Callable[[str], None],
        show: Callable[[str], None],
    ) -> None:
        self._services = {part.name: _Service(part, logs / f"{part.name}.log") for part in parts}
        self._folder = folder
        self._say = say
        self._show = show
        self._signals = 0
        unknown = {need for part in parts for need in (*part.needs, *part.uses)} - set(
            self._services
        )
        if unknown:
            raise ValueError(
                f"parts need others that are not started: {', '.join(sorted(unknown))}"
            )

    def run(
        self, milestones: Mapping[tuple[str, ...], Callable[[], None]], stopping: Callable[[], None]
    ) -> None:
        """Start and supervise all parts until a signal asks to stop; then call `stopping`, and stop
        all parts.

        `milestones`: callbacks by names of parts, called when all of these have been ready or are
        done. Raises StartFailed (after stopping all) when a job fails or a part ends several times
        before it was ever ready, and RuntimeError outside `guarded`.
        """
        if not is_guarded():
            raise RuntimeError(
                "a supervisor runs inside `guarded`: it would kill processes of others here"
            )
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        ahead = dict(milestones)
        try:
            with _woken_by_signals() as wait:
                while not self._signals:
                    self._run_round()
                    for names in list(ahead):
                        if all(self._services[name].ever_ready for name in names):
                            ahead.pop(names)()
                    is_at_rest = all(s.ready or s.finished for s in self._services.values())
                    wait(LOOK_AT_REST_S if is_at_rest else LOOK_EVERY_S)
        finally:
            signals = self._signals  # one that comes while the stop is announced is another one
            self._show("")
            stopping()
            self._stop(signals)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._signals += 1

    def _run_round(self) -> None:
        """Run one round: detect ended parts, start parts whose needs are met, check readiness."""
        now = time.monotonic()
        for service in self._services.values():
            if service.process is not None and (code := service.process.poll()) is not None:
                self._handle_end(service, code, now)
        self._kill_orphans()
        for service in self._services.values():
            if not service.running and self._may_start(service, now):
                self._start(service, now)
            elif (
                service.running
                and not service.ready
                and not service.part.once
                and service.part.ready()
            ):
                self._record_ready(service, now)
        waiting = [w for w in self._services.values() if w.running and not w.ready]
        self._show(", ".join(f"{_describe_work(w)} {now - w.started:.0f} s" for w in waiting))

    def _may_start(self, service: _Service, now: float) -> bool:
        needs = (self._services[need] for need in service.part.needs)
        return (
            not service.finished
            and now >= service.start_at
            and all(need.ready or need.finished for need in needs)
        )

    def _start(self, service: _Service, now: float) -> None:
        if service.part.once:
            service.log.unlink(missing_ok=True)  # a job's log covers only this run
        service.process = start(
            service.part.command, service.part.environ, service.log, self._folder
        )
        service.started = now
        service.first_started = service.first_started or now

    def _record_ready(self, service: _Service, now: float) -> None:
        service.ready = True
        if service.ever_ready:
            self._say(f"{service.part.name} runs again")
        else:
            self._say(f"{service.part.name} is ready ({now - service.first_started:.1f} s)")
        service.ever_ready = True

    def _handle_end(self, service: _Service, code: int, now: float) -> None:
        healthy = service.ready and now - service.started >= HEALTHY_AFTER_S
        service.process = None
        service.ready = False
        if service.part.once and code == 0:
            service.ever_ready = True
            result = f": {last_lines(service.log, 1)}" if service.part.talks else ""
            self._say(f"{service.part.name} is done ({now - service.first_started:.1f} s){result}")
            return
        service.failures = 1 if healthy else service.failures + 1
        if service.part.once or (not service.ever_ready and service.failures >= ATTEMPTS_AT_START):
            log = _log_with_text(service)
            if (why := service.part.cause()) is not None:
                raise StartFailed(f"{service.part.name}: {why}. Its log is {log}")
            raise StartFailed(
                f"{service.part.name} ({ending(code)}). The end of its log, "
                f"{log}:\n{last_lines(log, 12)}"
            )
        delay = delay_after(service.failures)
        service.start_at = now + delay
        self._say(f"{service.part.name} stopped ({ending(code)}), starting again in {delay:.0f} s")
        if (why := service.part.cause()) is not None:
            self._say(f"{service.part.name}: {why}")

    def _kill_orphans(self) -> None:
        """Kill the orphans of an ended part before its restart, because they use its ports and
        files."""
        of_services = {w.process.pid for w in self._services.values() if w.process is not None}
        for orphan in reap_orphans(of_services):
            kill([*descendants(orphan.pid), orphan])

    def _stop(self, signals: int) -> None:
        """Stop the parts, first the parts that no running part needs; print the names of killed
        parts. `signals`: how many had come before; one more stops all at once."""
        if any(w.running for w in self._services.values()):
            self._say("stopping (Ctrl-C again: at once)")
        while running := [w for w in self._services.values() if w.running]:
            needed = {need for w in running for need in self._needs_of(w.part)}
            self._stop_together([w for w in running if w.part.name not in needed], signals)
        kill_descendants()

    def _needs_of(self, part: Part) -> set[str]:
        """Return all parts that a part needs or uses, also through jobs that are done."""
        return {
            name
            for need in (*part.needs, *part.uses)
            for name in (need, *self._needs_of(self._services[need].part))
        }

    def _stop_together(self, stopping: Sequence[_Service], signals: int) -> None:
        began = time.monotonic()
        for service in stopping:
            assert service.process is not None  # noqa: S101 - only running parts are stopped
            service.process.terminate()
        running = list(stopping)
        while running:
            waited = time.monotonic() - began
            self._show(
                f"stopping {', '.join(service.part.name for service in running)} {waited:.0f} s"
            )
            for service in list(running):
                assert service.process is not None  # noqa: S101
                if (
                    service.process.poll() is None
                    and (why := self._why_kill(service, signals, waited)) is not None
                ):
                    below = descendants(service.process.pid)
                    service.process.kill()
                    kill(below)
                    service.process.wait()
                    self._say(f"{service.part.name} was killed: {why}")
                if service.process.poll() is not None:
                    service.process = None
                    service.ready = False
                    running.remove(service)
            time.sleep(LOOK_EVERY_S / 2)
        self._show("")

    def _why_kill(self, service: _Service, signals: int, waited: float) -> str | None:
        """Return why a part that was asked to stop is killed now; None while it still has time."""
        if self._signals > signals:
            return "it was still stopping when a second interrupt came"
        if waited <= service.part.grace_s:
            return None
        log = _log_with_text(service)
        return (
            f"it had not ended {service.part.grace_s:g} s after it was asked to; its log is {log}"
        )


@contextmanager
def _woken_by_signals() -> Iterator[Callable[[float], None]]:
    """Yield a function that waits for some seconds, or until a signal comes, such as the end of a
    child."""
    woken, wake = os.pipe()
    for end in (woken, wake):
        os.set_blocking(end, False)
    before = signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)

    def wait(seconds: float) -> None:
        if select.select([woken], [], [], seconds)[0]:
            os.read(woken, 4096)

    try:
        yield wait
    finally:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, before)
        os.close(woken)
        os.close(wake)


def ending(code: int) -> str:
    """Return how a process ended: `exit 1`, or `killed by SIGKILL`."""
    return f"exit {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"


def last_lines(log: Path, count: int) -> str:
    """Return the last lines of a log; nothing if there is none."""
    try:
        text = log.read_text(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-count:])


def _log_with_text(service: _Service) -> Path:
    """Return the log that a part writes itself; if that is still empty, the log of its output."""
    written_log = service.part.writes_to
    return written_log if written_log is not None and written_log.exists() else service.log


def _describe_work(service: _Service) -> str:
    last_line = last_lines(service.log, 1) if service.part.talks else ""
    return f"{service.part.busy} ({last_line})" if last_line else service.part.busy


PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36

# This program runs between this process and a part, because a fork of a process with threads must
# not run Python code.
_LAUNCHER = f"""
import ctypes, os, sys
ctypes.CDLL(None).prctl({PR_SET_PDEATHSIG}, {signal.SIGTERM:d})
if os.getppid() != int(sys.argv[1]):
    sys.exit("the starting process has ended")
os.execvp(sys.argv[2], sys.argv[2:])
"""

_libc = ctypes.CDLL(None, use_errno=True)
_guarded_worker = 0  # process id, set in the worker of `run_guarded`


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl failed")


def become_subreaper() -> None:
    """Make this process adopt its descendants' orphans, instead of the first process."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def is_guarded() -> bool:
    """Return whether this is the worker of `run_guarded`: all processes below are its own."""
    return _guarded_worker == os.getpid()


def end_with_parent(parent: int) -> None:
    """Ask for SIGTERM when `parent`, which started this process, ends; exit if it has."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os._exit(1)


def ending_with_this(command: Sequence[str]) -> tuple[str, ...]:
    """Return a command whose process gets SIGTERM when this thread ends."""
    return (sys.executable, "-I", "-S", "-c", _LAUNCHER, str(os.getpid()), *command)


def start(
    command: Sequence[str], environ: Mapping[str, str], log: Path, folder: Path
) -> subprocess.Popen[bytes]:
    """Start a process in its own session, output to `log`; it ends with this thread."""
    with log.open("ab") as output:
        return subprocess.Popen(
            ending_with_this(command),
            env=dict(environ),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            # Ctrl-C in the terminal reaches the starter alone, which stops the parts in order
            start_new_session=True,
        )


def own_identity() -> str:
    """Return a text that names this process, and no later process with the same number."""
    return _identity(psutil.Process())


def may_run(identity: str) -> bool:
    """Return whether the process named by such a text may still run; True for a process of another
    machine, and for any other text."""
    host, _, numbers = identity.partition("/")
    number = numbers.partition("/")[0]
    if host != socket.gethostname() or not number.isdecimal():
        return True
    try:
        return _identity(psutil.Process(int(number))) == identity
    except psutil.Error:
        return False


def _identity(process: psutil.Process) -> str:
    return f"{socket.gethostname()}/{process.pid}/{process.create_time():.2f}"


def descendants(pid: int) -> list[psutil.Process]:
    """Return all living processes below `pid`, nearest first."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def kill(processes: Sequence[psutil.Process]) -> None:
    """Send SIGKILL to each process that is still alive."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def reap_orphans(supervised: set[int]) -> list[psutil.Process]:
    """Collect adopted children that have ended; return those alive that are not in `supervised`.

    `supervised`: ids of the children started here.
    """
    alive = []
    for child in psutil.Process().children():
        if child.pid in supervised:
            continue
        with contextlib.suppress(psutil.NoSuchProcess, ChildProcessError):
            if child.status() == psutil.STATUS_ZOMBIE:
                os.waitpid(child.pid, os.WNOHANG)
            else:
                alive.append(child)
    return alive


def kill_descendants() -> None:
    """Kill everything below this process, including what appears meanwhile, and collect it."""
    deadline = time.monotonic() + KILL_WITHIN_S
    while (processes := descendants(os.getpid())) and time.monotonic() < deadline:
        kill(processes)
        psutil.wait_procs(processes, timeout=0.1)
        reap_orphans(set())


def run_guarded(work: Callable[[], int]) -> int:
    """Run `work` in a forked process and return its exit code. No process remains, even if one of
    the two is killed.

    If this process is killed, the worker gets SIGTERM and can stop its parts in order; if the
    worker is killed, this process kills the remaining ones. Ctrl-C, SIGTERM and the closing of the
    terminal are passed on; with `nohup` the closing is not.
    """
    become_subreaper()
    parent = os.getpid()
    worker = os.fork()
    if worker == 0:
        _as_worker(parent, work)

    def forward(number: int, _frame: FrameType | None) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker, number)

    # a shell without job control starts `command &` with SIGINT ignored
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, forward)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup
        signal.signal(signal.SIGHUP, forward)
    _, status = os.waitpid(worker, 0)
    kill_descendants()
    return os.waitstatus_to_exitcode(status)


def _as_worker(parent: int, work: Callable[[], int]) -> None:
    global _guarded_worker  # noqa: PLW0603 - one worker a process
    _guarded_worker = os.getpid()
    code = 1
    try:
        os.setsid()  # only the guard receives the terminal's Ctrl-C, and passes it on once
        # also where the guard was started with SIGINT ignored
        signal.signal(signal.SIGINT, signal.default_int_handler)
        end_with_parent(parent)
        become_subreaper()
        code = work()
    except BaseException:
        # the stack below this frame belongs to the guard: the worker must not return into it
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)
