"""The fields of a model with their paths."""

import json
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel


def once_per_change(outcome: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function with its outcome remembered by its arguments: most fields are compared
    with the same definition without any change."""
    outcomes: dict[str, Any] = {}

    @wraps(outcome)
    def remembered(**changes: Any) -> Any:
        key = json.dumps(changes, default=repr)
        if key not in outcomes:
            outcomes[key] = outcome(**changes)
        return outcomes[key]

    return remembered


def leaves(model, prefix=""):
    for name, field in model.model_fields.items():
        path = f"{prefix}{field.alias or name}"
        choices = members(field.annotation)
        groups = sorted(
            (a for a in choices if isinstance(a, type) and issubclass(a, BaseModel)),
            key=lambda one: one.__name__,
        )
        for group in groups:
            yield from leaves(group, f"{path}.")
        if not groups or len(
            choices - {type(None), *groups}
        ):  # such as a limit: a number, or a group that names its source
            yield path


def members(annotation):
    """The types that a field may have, or that its list or mapping holds."""
    if get_origin(annotation) is Annotated:
        return members(get_args(annotation)[0])
    if (
        isinstance(annotation, type)
        or get_origin(annotation) is Literal
        or not get_args(annotation)
    ):
        return {annotation}
    held = get_args(annotation)
    return set().union(*(members(a) for a in held if a is not ...)) - (
        {str} if get_origin(annotation) is dict else set()
    )
