"""Memory of this machine, or of the container of this process."""

from collections.abc import Sequence
from pathlib import Path

import psutil

LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))  # cgroup 2, cgroup 1


def read_memory(limits: Sequence[Path] = LIMITS) -> int:
    """Return the bytes of memory of the machine, or of a container's limit if that is less. The same at every call."""
    total = int(psutil.virtual_memory().total)
    for file in limits:
        try:
            text = file.read_text(encoding="ascii").strip()
        except OSError:
            continue
        if text.isdecimal():
            total = min(total, int(text))
    return total
