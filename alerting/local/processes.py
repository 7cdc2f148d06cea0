"""Processes that end with the process that started them (Linux).

Three mechanisms together: a child asks the kernel for SIGTERM when its parent ends; the starter is
a *subreaper*, so that orphans of its children become its own children; and a guard process above
the starter kills the remaining processes even when the starter itself was killed.
"""

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType

import psutil

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
    """Return a text that names this process, and no later one with its number."""
    return _identity(psutil.Process())


def may_run(identity: str) -> bool:
    """Return whether the process of such a text may still run: also if it is of another machine,
    or no such text."""
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


def kill_descendants(patience: float = 10.0) -> None:
    """Kill everything below this process, including what appears meanwhile, and collect it."""
    deadline = time.monotonic() + patience
    while (found := descendants(os.getpid())) and time.monotonic() < deadline:
        kill(found)
        psutil.wait_procs(found, timeout=0.1)
        reap_orphans(set())


def run_guarded(work: Callable[[], int]) -> int:
    """Run `work` in a forked process and return its exit code. No process remains, even if one of
    the two is killed.

    If this process is killed, the worker gets SIGTERM and can stop its parts in order; if the
    worker is killed, this process kills the remaining ones. Ctrl-C, SIGTERM and the closing of the
    terminal are passed on; with `nohup` the last one is not.
    """
    become_subreaper()
    parent = os.getpid()
    worker = os.fork()
    if worker == 0:
        _as_worker(parent, work)

    def forward(number: int, _frame: FrameType | None) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker, number)

    for number in (
        signal.SIGTERM,
        signal.SIGINT,
    ):  # a shell without job control starts `command &` with SIGINT ignored
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
    except (
        BaseException
    ):  # the stack below this frame belongs to the guard: the worker must not return into it
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)
