"""Libraries that are loaded at their first use: pandas and PyArrow take 70 MB, which a process that
reads no table does without, numpy .1 s of each command. Modules that name their types postpone
annotations."""

from contextlib import suppress
from importlib import import_module
from queue import SimpleQueue
from threading import Event, Thread, current_thread, main_thread
from types import ModuleType
from typing import TYPE_CHECKING, Any

__all__ = ["arrow_csv", "ds", "fs", "httpx", "np", "npt", "pa", "pc", "pd", "pq"]

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
    return import_module(name)


def _load_wanted() -> None:
    while True:
        name, loaded = _wanted.get()
        with suppress(Exception):  # the thread that asked meets it again
            import_module(name)
        loaded.set()


class _LoadedAtFirstUse(ModuleType):
    def __getattr__(self, name: str) -> Any:
        value = getattr(load(self.__name__), name)
        setattr(self, name, value)  # found without this function from now on
        return value


if TYPE_CHECKING:
    import httpx
    import numpy as np
    import numpy.typing as npt
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.csv as arrow_csv
    import pyarrow.dataset as ds
    import pyarrow.parquet as pq
    from pyarrow import fs
else:
    httpx = _LoadedAtFirstUse("httpx")
    np = _LoadedAtFirstUse("numpy")
    npt = _LoadedAtFirstUse("numpy.typing")
    pd = _LoadedAtFirstUse("pandas")
    pa = _LoadedAtFirstUse("pyarrow")
    pc = _LoadedAtFirstUse("pyarrow.compute")
    arrow_csv = _LoadedAtFirstUse("pyarrow.csv")
    ds = _LoadedAtFirstUse("pyarrow.dataset")
    fs = _LoadedAtFirstUse("pyarrow.fs")
    pq = _LoadedAtFirstUse("pyarrow.parquet")
