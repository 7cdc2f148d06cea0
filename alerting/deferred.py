"""Libraries that are loaded at their first use: pandas and PyArrow take 70 MB, which a process that
reads no table does without. Modules that name their types postpone annotations."""

import os
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

__all__ = ["arrow_csv", "ds", "fs", "httpx", "pa", "pc", "pd", "pq"]

# PyArrow's own allocator crashes a process in which the thread that loaded it has ended: here it
# may be any thread. This one is as fast.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")


class _LoadedAtFirstUse(ModuleType):
    def __getattr__(self, name: str) -> Any:
        value = getattr(import_module(self.__name__), name)
        setattr(self, name, value)  # found without this function from now on
        return value


if TYPE_CHECKING:
    import httpx
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.csv as arrow_csv
    import pyarrow.dataset as ds
    import pyarrow.parquet as pq
    from pyarrow import fs
else:
    httpx = _LoadedAtFirstUse("httpx")
    pd = _LoadedAtFirstUse("pandas")
    pa = _LoadedAtFirstUse("pyarrow")
    pc = _LoadedAtFirstUse("pyarrow.compute")
    arrow_csv = _LoadedAtFirstUse("pyarrow.csv")
    ds = _LoadedAtFirstUse("pyarrow.dataset")
    fs = _LoadedAtFirstUse("pyarrow.fs")
    pq = _LoadedAtFirstUse("pyarrow.parquet")
