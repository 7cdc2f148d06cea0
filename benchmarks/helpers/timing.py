"""Measurement of wall and CPU time."""

import statistics
import time
from collections.abc import Callable
from typing import Any

import psutil


def medians(name: str, work: Callable[[], Any], rounds: int) -> dict[str, float]:
    """Return wall milliseconds `NAME_ms` and CPU milliseconds of this process `NAME_cpu_ms`:
    medians, after a warm-up round."""
    work()
    wall = []
    cpu = []
    for _ in range(rounds):
        started = time.perf_counter()
        spent = time.process_time()
        work()
        wall.append((time.perf_counter() - started) * 1000)
        cpu.append((time.process_time() - spent) * 1000)
    return {
        f"{name}_ms": round(statistics.median(wall), 2),
        f"{name}_cpu_ms": round(statistics.median(cpu), 2),
    }


def cpu_seconds(process: int) -> float:
    """Return CPU seconds of a process and its threads so far."""
    return sum(psutil.Process(process).cpu_times()[:2])
