"""Make the reference page of definitions from the model: each meaning is written in one place."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from itertools import chain, groupby
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from alerting.definitions.alert_definition import FromAttribute
from alerting.definitions.asset_documents import Asset
from alerting.definitions.faults import format_duration
from alerting.definitions.fields.condition_fields import Learned, LearnedLimit
from alerting.definitions.routes_and_sinks import SINK_KINDS, Route
from alerting.definitions.sources import KINDS
from alerting.kinds.registry import definition_types

Row = tuple[str, str, str, str]
Group = tuple[Row, ...]
_NARROWED = {" or `{learned: …}`": "", "`False`": "true or false"}
"""Types of which a group has less than the one that describes it."""
_SIMPLEST_FIRST = ("threshold", "control_chart", "anomaly", "classifier", "forecast")
_FIELDS_NAMED = 7  # of a group described before, at most in one sentence
_INTRODUCTION = """# Definition reference

Made from the model by `make docs`; do not edit. Behind each field stand type and default; without
a type it is a text, without a default it may be left out unless it is required. A document with an
unknown field is refused. Durations are written `30m`, `1h30m`, `5d`; times are ISO 8601 with a
zone. A duration is at most ten years; a title has at most 200 characters, a text of guidance 2,000,
every other text 100; there are at most 50 tags and 1,000 names or patterns in a list.
"""


def reference_page() -> str:
    """Return the Markdown of every field of definitions, routes, sources, sinks and assets.

    A field has path, type, default and meaning; a group described before is referred to.
    """
    described: list[Group] = []
    types = definition_types()
    simplest = [*_SIMPLEST_FIRST, *sorted(types.keys() - {*_SIMPLEST_FIRST})]
    kinds = {name: types[name] for name in simplest}
    parts = [_INTRODUCTION, f"## Assets\n\n{_first_line(Asset)}\n"]
    parts += [_list(_rows(Asset), described), *_sections(kinds, "kind", "##", described)]
    parts += [
        "## Learned limits\n",
        f"{_first_line(Learned)} See [learned-limits.md](learned-limits.md).\n",
        _list(_rows(Learned), []),
        "## Routes\n",
        f"{_first_line(Route)} See [notifications.md](notifications.md).\n",
        _list(_rows(Route), described),
        "## Sources\n",
        "Where readings and events come from. See [sources.md](sources.md).\n",
        *_sections(KINDS, "source", "###", described),
        "## Sinks\n",
        "Where values and alarms go out. See [sinks.md](sinks.md).\n",
        *_sections(SINK_KINDS, "sink", "###", described),
    ]
    return "\n".join(parts)


def _sections(
    models: Mapping[str, type[BaseModel]], what: str, level: str, described: list[Group]
) -> Iterator[str]:
    """Yield the fields that all models have, each model's own, and those that some share."""
    owners: dict[Group, list[str]] = defaultdict(list)
    for name, model in models.items():
        rows = (row for row in _rows(model) if row[0] != "kind")
        for _, group in groupby(rows, key=lambda row: row[0].split(".")[0]):
            owners[tuple(group)].append(name)
    fields: dict[tuple[str, ...], list[Group]] = defaultdict(list)
    for group, names in owners.items():
        fields[tuple(names)].append(group)
    yield f"{level} Every {what}\n\n{_list(chain(*fields.pop(tuple(models))), described)}"
    for name, model in models.items():
        own = _list(chain(*fields.pop((name,), [])), described)
        yield f"{level} {what.capitalize()} `{name}`\n\n{_first_line(model)}\n\n{own}"
    if fields:
        yield f"{level} Several {what}s\n"
    for names, groups in fields.items():
        listed = ", ".join(f"`{name}`" for name in names[:-1])
        yield f"Of {listed} and `{names[-1]}`:\n\n{_list(chain(*groups), described)}"


def _first_line(model: type[BaseModel]) -> str:
    return " ".join((model.__doc__ or "").strip().split("\n\n")[0].split())


def _list(rows: Iterable[Row], described: list[Group]) -> str:
    lines = []
    left = sorted(rows, key=lambda row: row[0].split(".")[0] == "problem")  # as `any` is larger
    while left:
        (path, kind, default, text), *left = left
        inside = tuple(row for row in left if row[0].startswith(f"{path}."))
        reference = _reference(inside, path, described) if len(inside) > 1 else ""
        if reference:
            left = left[len(inside) :]
        elif inside:
            described.append(((path, kind, default, text), *inside))
        values = re.findall(r"`(\w+)`", kind)
        if kind == "text" or (values and all(re.search(rf"\b{v}\b", text) for v in values)):
            kind = ""  # which the meaning says
        of_what = ", ".join(filter(None, (kind, default)))
        *outer, name = path.split(".")
        indent = "  " * len([part for part in outer if part != "<name>"])
        lines.append(f"{indent}- `{name}`{of_what and f' ({of_what})'}: {text}{reference}")
    return "\n".join(lines) + "\n"


def _reference(rows: Group, path: str, described: list[Group]) -> str:
    """Return the sentence that names the group with these fields, described before; else ""."""
    fields = _names_and_types(rows, path)
    for head, *inside in described:
        others = _names_and_types(inside, head[0])
        if fields <= others:
            more = sorted({f"`{name.split('.')[0]}`" for name, _ in others - fields})
            if len(more) <= _FIELDS_NAMED:
                without = f", without {', '.join(more)}" if more else ""
                return f" Fields: those of `{head[0]}`{without}."
            own = sorted({f"`{name.split('.')[0]}`" for name, _ in fields})
            return f" Fields: {', '.join(own)} of `{head[0]}`."
    return ""


def _names_and_types(rows: Iterable[Row], path: str) -> set[tuple[str, str]]:
    found = set()
    for name, narrowed, *_ in rows:
        kind = narrowed
        for narrow, wide in _NARROWED.items():
            kind = kind.replace(narrow, wide)
        found.add((name.removeprefix(f"{path}.").removeprefix("<name>."), kind))
    return found


def _rows(model: type[BaseModel], prefix: str = "") -> Iterator[Row]:
    for name, field in model.model_fields.items():
        path = f"{prefix}{field.alias or name}"
        inner = _model_within(field.annotation)
        text = field.description or ""
        yield path, _type(field.annotation), _default(field, inner), text
        if inner and inner is not FromAttribute:
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
    if isinstance(field.default, BaseModel):
        return ""
    if isinstance(field.default, timedelta):
        return format_duration(field.default)
    if isinstance(field.default, tuple):
        return ", ".join(str(v) for v in field.default) or "none"
    return str(field.default).lower() if isinstance(field.default, bool) else str(field.default)
