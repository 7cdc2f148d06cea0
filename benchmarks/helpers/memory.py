"""Peak memory of a process."""

from pathlib import Path


def peak_mib(pid: int | None = None) -> int:
    """Return the peak memory of this process, or of another by its id, in MiB, since the start of
    its program.

    Linux only (`VmHWM` in `/proc/<pid>/status`). `ru_maxrss` is no substitute: it includes the
    memory of the parent at the start of this process, so that a large parent hides a small child.
    """
    status = Path("/proc", "self" if pid is None else str(pid), "status").read_text()
    return (
        next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
        // 1024
    )
