"""Libraries that are loaded at their first use: pandas and PyArrow take 70 MB, which a process that
reads no table does without, numpy .1 s of each command. Modules that name their types postpone
annotations.

LightGBM's wheel does not bring OpenMP (`libgomp.so.1`), which a minimal Debian does not have. There
that of scikit-learn's wheel is loaded before it, under this name.
"""

import ctypes
import os
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Thread, current_thread, main_thread
from types import ModuleType
from typing import TYPE_CHECKING, Any

__all__ = [
    "arrow_csv",
    "ds",
    "fs",
    "httpx",
    "lightgbm",
    "np",
    "npt",
    "optuna",
    "pa",
    "pc",
    "pd",
    "pq",
]
_LIBRARIES = {
    "httpx": "httpx",
    "lightgbm": "lightgbm",
    "np": "numpy",
    "npt": "numpy.typing",
    "optuna": "optuna",
    "pd": "pandas",
    "pa": "pyarrow",
    "pc": "pyarrow.compute",
    "arrow_csv": "pyarrow.csv",
    "ds": "pyarrow.dataset",
    "fs": "pyarrow.fs",
    "pq": "pyarrow.parquet",
}

OPENMP = "libgomp.so.1"

_wanted: SimpleQueue[tuple[str, Event]] = SimpleQueue()
_lasting: list[Thread] = []


def load(name: str) -> ModuleType:
    """Import a module on a thread that lasts as long as the process: PyArrow's allocator crashes
    the process once the thread that loaded it has ended."""
    if current_thread() not in (main_thread(), *_lasting):
        if not _lasting or not _lasting[-1].is_alive():  # a fork has none of them
            _lasting.append(Thread(target=_load_wanted, name="libraries", daemon=True))
            _lasting[-1].start()
        loaded = Event()
        _wanted.put((name, loaded))
        loaded.wait()
    return _import(name)


def _import(name: str) -> ModuleType:
    if name == "lightgbm":
        load_openmp()
    return import_module(name)


def load_openmp() -> None:
    """Load the machine's OpenMP, else that of scikit-learn's wheel under the name that other
    libraries ask for. Raises ImportError if there is neither. Idempotent."""
    with suppress(OSError):
        ctypes.CDLL(OPENMP)
        return
    wheel = openmp_of_wheel()
    if wheel is None:
        raise ImportError(
            f"LightGBM needs the library {OPENMP}, which this machine does not have: install it "
            "(Debian and Ubuntu: apt-get install libgomp1)"
        )
    # The loader knows a library by the name in its file, which the wheel has made its own.
    own_name = b"\0" + wheel.name.encode() + b"\0"
    renamed = wheel.read_bytes().replace(
        own_name, f"\0{OPENMP}".encode().ljust(len(own_name), b"\0")
    )
    file = os.memfd_create(OPENMP)
    try:
        with open(file, "wb", closefd=False) as copy:
            copy.write(renamed)
        ctypes.CDLL(f"/proc/self/fd/{file}")
    finally:
        os.close(file)


def openmp_of_wheel() -> Path | None:
    """Return the file of OpenMP in scikit-learn's wheel; None if it brings none."""
    package = find_spec("sklearn")
    if package is None or package.origin is None:
        return None
    libraries = Path(package.origin).parents[1] / "scikit_learn.libs"
    return next(iter(sorted(libraries.glob("libgomp-*.so*"))), None)


def _load_wanted() -> None:
    while True:
        name, loaded = _wanted.get()
        with suppress(Exception):  # the thread that asked meets it again
            _import(name)
        loaded.set()


class _LoadedAtFirstUse(ModuleType):
    def __getattr__(self, name: str) -> Any:
        value = getattr(load(self.__name__), name)
        setattr(self, name, value)  # found without this function from now on
        return value


if TYPE_CHECKING:
    import httpx
    import lightgbm
    import numpy as np
    import numpy.typing as npt
    import optuna
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.csv as arrow_csv
    import pyarrow.dataset as ds
    import pyarrow.parquet as pq
    from pyarrow import fs
else:
    globals().update({alias: _LoadedAtFirstUse(name) for alias, name in _LIBRARIES.items()})
