"""pandas and PyArrow, loaded at their first use: a process that reads no table does without their
70 MB. Modules that name their types postpone annotations."""

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

__all__ = ["arrow_csv", "ds", "fs", "pa", "pc", "pd", "pq"]


class _LoadedAtFirstUse(ModuleType):
    def __getattr__(self, name: str) -> Any:
        value = getattr(import_module(self.__name__), name)
        setattr(self, name, value)  # found without this function from now on
        return value


if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.csv as arrow_csv
    import pyarrow.dataset as ds
    import pyarrow.parquet as pq
    from pyarrow import fs
else:
    pd = _LoadedAtFirstUse("pandas")
    pa = _LoadedAtFirstUse("pyarrow")
    pc = _LoadedAtFirstUse("pyarrow.compute")
    arrow_csv = _LoadedAtFirstUse("pyarrow.csv")
    ds = _LoadedAtFirstUse("pyarrow.dataset")
    fs = _LoadedAtFirstUse("pyarrow.fs")
    pq = _LoadedAtFirstUse("pyarrow.parquet")
