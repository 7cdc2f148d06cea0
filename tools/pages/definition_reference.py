"""Make the reference page of definitions from the model: each meaning is written in one place."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from itertools import chain, groupby
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from alerting.definitions.assets import Asset
from alerting.definitions.durations import format_duration
from alerting.definitions.fields.limits import Learned, LearnedLimit
from alerting.definitions.model import FromAttribute
from alerting.definitions.routes import Route
from alerting.definitions.sinks.sink import SINK_KINDS
from alerting.definitions.sources.source import KINDS
from alerting.kinds.registry import definition_types

Row = tuple[str, str, str, str]
_INTRODUCTION = """# Definition reference

Made from the model by `make docs`; do not edit. A document with an unknown field is refused. Durations are
written `30m`, `1h30m`, `5d`; times are ISO 8601 with a zone. Bounds: a duration is at most ten years; a title has at
most 200 characters, a text of guidance 2,000, every other text 100; there are at most 50 tags and 1,000 names or
patterns in a list. A field that several kinds have is described once; each kind lists those that it shares.
"""  # noqa: E501


def reference_page() -> str:
    """Return the Markdown of every field of definitions, routes, sources, sinks and assets.

    A field has path, type, default and meaning; a group described before is referred to.
    """
    described: list[tuple[Row, ...]] = []
    learned = _table(_rows(Learned), [])
    parts = [_INTRODUCTION, *_sections(definition_types(), "kind", "##", described)]
    parts += [
        "## Learned limits\n",
        f"{_first_line(Learned)} See [learned-limits.md](learned-limits.md).\n",
        learned,
    ]
    parts += [
        "## Routes\n",
        f"{_first_line(Route)} See [notifications.md](notifications.md).\n",
        _table(_rows(Route), described),
    ]
    parts += [
        "## Sources\n",
        "Where readings and events come from. See [sources.md](sources.md).\n",
    ]
    parts += _sections(KINDS, "source", "###", described)
    parts += [
        "## Sinks\n",
        "Where values and alarms go out. See [sinks.md](sinks.md).\n",
    ]
    parts += _sections(SINK_KINDS, "sink", "###", described)
    parts += ["## Assets\n", f"{_first_line(Asset)}\n", _table(_rows(Asset), described)]
    return "\n".join(parts)


def _sections(
    models: Mapping[str, type[BaseModel]],
    what: str,
    level: str,
    described: list[tuple[Row, ...]],
) -> Iterator[str]:
    """Yield the fields that all models have, those that some share, and then each model's own."""
    owners: dict[tuple[Row, ...], list[str]] = defaultdict(list)
    for name, model in models.items():
        for _, rows in groupby(_rows(model), key=lambda row: row[0].split(".")[0]):
            owners[tuple(rows)].append(name)
    fields: dict[tuple[str, ...], list[tuple[Row, ...]]] = defaultdict(list)
    for group, names in owners.items():
        fields[tuple(names)].append(group)
    shared = sorted((names for names in fields if len(names) > 1), key=len, reverse=True)
    titles = {
        names: f"Every {what}"
        if len(names) == len(models)
        else f"{what.capitalize()}s {', '.join(names[:-1])} and {names[-1]}"
        for names in shared
    }
    for kinds in shared:
        yield f"{level} {titles[kinds]}\n\n{_table(chain(*fields[kinds]), described)}"
    for name, model in models.items():
        yield f"{level} {what.capitalize()} `{name}`\n\n{_first_line(model)} It also has:\n"
        for kinds in shared:
            if name in kinds:
                title = titles[kinds]
                anchor = title.lower().replace(" ", "-").replace(",", "")
                link = f"[{title[0].lower()}{title[1:]}](#{anchor})"
                listed = ", ".join(f"`{group[0][0]}`" for group in fields[kinds])
                yield (
                    f"- the fields of {link}"
                    if len(kinds) == len(models)
                    else f"- {listed} ({link})"
                )
        yield f"\n{_table(chain(*fields[name,]), described)}"


def _first_line(model: type[BaseModel]) -> str:
    return " ".join((model.__doc__ or "").strip().split("\n\n")[0].split())


def _table(rows: Iterable[Row], described: list[tuple[Row, ...]]) -> str:
    lines = ["| field | type | default | meaning |", "|---|---|---|---|"]
    left = list(rows)
    while left:
        (path, kind, default, text), *left = left
        inside = tuple(row for row in left if row[0].startswith(f"{path}."))
        reference = _reference(inside, path, described) if len(inside) > 1 else ""
        if reference:
            left = left[len(inside) :]
        elif inside:
            described.append(((path, kind, default, text), *inside))
        lines.append(f"| `{path}` | {kind} | {default} | {text}{reference} |")
    return "\n".join(lines) + "\n"


def _reference(rows: tuple[Row, ...], path: str, described: list[tuple[Row, ...]]) -> str:
    """Return the sentence that names the group with these fields, described before; else ""."""
    fields = {(row[0].removeprefix(path), row[1], row[3]) for row in rows}
    for head, *inside in described:
        others = {(row[0].removeprefix(head[0]), row[1], row[3]) for row in inside}
        more = sorted({f"`{name.split('.')[1]}`" for name, _, _ in others - fields})
        if fields <= others and len(more) <= 2:
            without = f", without {' and '.join(more)}" if more else ""
            return f" Its fields are those of `{head[0]}`{without}."
    return ""


def _rows(model: type[BaseModel], prefix: str = "") -> Iterator[Row]:
    for name, field in model.model_fields.items():
        path = f"{prefix}{field.alias or name}"
        inner = _model_within(field.annotation)
        text = (field.description or "").replace("|", "\\|")
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
