"""Reference page of definitions, made from the model, so that each meaning is written in one place
only."""

from collections.abc import Iterator
from datetime import timedelta
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from alerting.definitions.assets import Asset
from alerting.definitions.durations import format_duration
from alerting.definitions.fields.conditions import Member, MemberCondition
from alerting.definitions.fields.limits import Learned, LearnedLimit
from alerting.definitions.model import FromAttribute
from alerting.definitions.routes import Route
from alerting.definitions.sources.source import KINDS
from alerting.kinds.registry import definition_types

_LISTED_ONCE = (Member, MemberCondition)
_INTRODUCTION = """# Definition reference

Made from the model by `make docs`; do not edit. A document with an unknown field is refused. Durations are
written `30m`, `1h30m`, `5d`; times are ISO 8601 with a zone. Bounds: a duration is at most ten years; a title has at
most 200 characters, a text of guidance 2,000, every other text 100; there are at most 50 tags and 1,000 names or
patterns in a list.
"""  # noqa: E501


def reference_page() -> str:
    """Return the Markdown of every field of every kind of definition and of assets.

    Each field has name, type, default and meaning.
    """
    parts = [_INTRODUCTION]
    for kind, model in definition_types().items():
        parts.append(f"## Kind `{kind}`\n\n{_first_line(model)}\n\n{_table(model)}")
    parts.append(
        f"## Learned limits\n\n{_first_line(Learned)} See "
        f"[learned-limits.md](learned-limits.md).\n\n{_table(Learned)}"
    )
    parts.append(
        f"## Routes\n\n{_first_line(Route)} See "
        f"[notifications.md](notifications.md).\n\n{_table(Route)}"
    )
    parts.append(
        "## Sources\n\nWhere readings and events come from. See [sources.md](sources.md).\n"
    )
    for kind, source in KINDS.items():
        parts.append(f"### Source `{kind}`\n\n{_first_line(source)}\n\n{_table(source)}")
    parts.append(f"## Assets\n\n{_first_line(Asset)}\n\n{_table(Asset)}")
    return "\n".join(parts)


def _first_line(model: type[BaseModel]) -> str:
    return " ".join((model.__doc__ or "").strip().split("\n\n")[0].split())


def _table(model: type[BaseModel]) -> str:
    lines = ["| field | type | default | meaning |", "|---|---|---|---|"]
    lines += [
        f"| `{path}` | {kind} | {default} | {text} |"
        for path, kind, default, text in _rows(model, "")
    ]
    return "\n".join(lines) + "\n"


def _rows(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, str, str, str]]:
    listed: dict[type[BaseModel], str] = {}
    for name, field in model.model_fields.items():
        path = f"{prefix}{field.alias or name}"
        inner = _model_within(field.annotation)
        first = listed.setdefault(inner, path) if inner in _LISTED_ONCE else path
        yield (
            path,
            _type(field.annotation),
            _default(field, inner),
            (field.description or "").replace("|", "\\|")
            + ("" if first == path else f" Its fields are those of `{first}`."),
        )
        if inner and inner is not FromAttribute and first == path:
            nested = f"{path}.<name>." if get_origin(field.annotation) is dict else f"{path}."
            yield from _rows(inner, nested)


def _model_within(annotation: Any) -> type[BaseModel] | None:
    annotation = _bare(annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    arguments = get_args(annotation) if get_origin(annotation) is not Literal else ()
    return next((found for found in map(_model_within, arguments) if found is not None), None)


def _bare(annotation: Any) -> Any:
    """Return what an `Annotated[...]` annotates, without the ways to tell the members of a union
    apart."""
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def _type(annotation: Any) -> str:
    annotation = _bare(annotation)
    origin = get_origin(annotation)
    arguments = get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {FromAttribute: "`{attribute: name}`", LearnedLimit: "`{learned: …}`"}.get(
            annotation, "group"
        )
    if origin is Literal:
        return " or ".join(f"`{a}`" for a in arguments)
    if origin in (Union, UnionType):
        return " or ".join(_type(a) for a in arguments if a is not type(None))
    if origin is tuple:
        return f"list of {_type(arguments[0])}"
    if origin is dict:
        return "group" if _model_within(annotation) else "names with values"
    names = {
        timedelta: "duration",
        str: "text",
        float: "number",
        int: "whole number",
        bool: "true or false",
    }
    return names.get(annotation, "time")


def _default(field: Any, inner: type[BaseModel] | None) -> str:
    if field.is_required():
        return "required"
    if field.default is None or (inner and not field.default) or field.default is PydanticUndefined:
        return ""
    if isinstance(field.default, timedelta):
        return format_duration(field.default)
    if isinstance(field.default, tuple):
        return ", ".join(str(v) for v in field.default) or "none"
    return str(field.default).lower() if isinstance(field.default, bool) else str(field.default)
