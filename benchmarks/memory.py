"""How much memory a process held at most."""

from pathlib import Path


def peak_mib(pid: int | None = None) -> int:
    """Of this process, or of another by its number, in MiB, since its program was started.

    Linux only (`VmHWM` in `/proc/<pid>/status`). `ru_maxrss` is no substitute: what the parent held when it started this
    process counts in it, so that a large parent hides a small child.
    """
    status = Path("/proc", "self" if pid is None else str(pid), "status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) // 1024
