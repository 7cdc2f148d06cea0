"""Finds folders of the package that add a command, pages or a provider of Airflow, and that can be
deleted."""

from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any


def find_optional(module: str) -> Iterator[ModuleType]:
    """Yield the module of this name of each folder of the package that has one, by folder."""
    for file in sorted(Path(__file__).parent.glob(f"*/{module}.py")):
        yield import_module(f"alerting.{file.parent.name}.{module}")


def provider_info() -> dict[str, Any]:
    """Return what Airflow shows and loads of the provider, without its folder a name alone: Airflow
    does not start with a provider that is missing."""
    folder = "alerting.airflow_provider"
    if find_spec(folder) is None:
        return {"package-name": "alerting", "name": "alerting", "description": "No provider."}
    return dict(import_module(folder).get_provider_info())
