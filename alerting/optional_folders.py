"""Finds folders of the package that add a command or pages, and that can be deleted: nothing names
them."""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType


def find_optional(module: str) -> Iterator[ModuleType]:
    """Yield the module of this name of each folder of the package that has one, by folder."""
    for file in sorted(Path(__file__).parent.glob(f"*/{module}.py")):
        yield import_module(f"alerting.{file.parent.name}.{module}")
