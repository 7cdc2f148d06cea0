"""Figures as documents, as they are stored and sent."""

from typing import Any

from pydantic_core import to_jsonable_python


def to_document(value: Any) -> Any:
    """Return JSON-able values: instants as ISO 8601, numbers that are not finite as null."""
    return to_jsonable_python(value, inf_nan_mode="null")
