"""Make the reference page of definitions from the model: each meaning is written in one place."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from itertools import chain, groupby
from types import UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

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
_NARROWED = {"/learned": "", "/`{attribute: name}`": "", "limit": "number"}
"""Types of which a group has less than the one that describes it."""
_SAID_BY_THE_TYPE = re.compile(r": a number,( or)? \{attribute: name\}(, or \{learned: …\})?")
_LEFT_OUT = re.compile(r"(;) ([^;.]+) when left out\.")
_SIMPLEST_FIRST = ("threshold", "control_chart", "anomaly", "classifier", "forecast")
_FIELDS_NAMED = 7  # of a group described before, at most in one sentence
_OF_A_LIMIT = frozenset(
    [
        "variable",
        "above",
        "below",
        "equals",
        "inside",
        "outside",
        "rate_per",
        "counter",
        "rolls_over_at",
        "any",
        "all",
        "clear_above_at",
        "clear_below_at",
        "clear_inside",
        "clear_outside",
    ]
)
"""Fields that the kind threshold describes for every group that has them."""
_INTRODUCTION = """# Definition reference

Made from the model by `make docs`; do not edit. Behind each field stand its type, where it is not a
text, texts or fields of its own, and its default; without a default it may be left out unless it is
required: *else* says what then holds. A point stands before a field of a field, `<name>` for any
name. A *limit* is a number or `{attribute: name}`, a *learned* one
[`{learned: …}`](#learned-limits). An unknown field is refused. Durations are written `30m`,
`1h30m`, `5d` and are at most ten years; times are ISO 8601 with a zone. A title has at most 200
characters, a text of guidance 2,000, every other text 100; there are at most 50 tags and 1,000
names or patterns in a list. `*` of a pattern stands for any text.
"""


class Described(NamedTuple):
    """A group of fields that stands in a section of the page."""

    path: str
    rows: Group
    section: str

    @property
    def link(self) -> str:
        """Return its name as a link to the section."""
        return f"[`{self.path}`](#{self.section})"


def reference_page() -> str:
    """Return the Markdown of every field of definitions, routes, sources, sinks and assets.

    A field has path, type, default and meaning; a group described before is referred to.
    """
    described: list[Described] = []
    types = definition_types()
    simplest = [*_SIMPLEST_FIRST, *sorted(types.keys() - {*_SIMPLEST_FIRST})]
    kinds = {name: types[name] for name in simplest}
    return "\n".join(
        [
            _INTRODUCTION,
            f"## Assets\n\n{_first_line(Asset)}\n",
            _list(_rows(Asset), described, "assets"),
            *_sections(kinds, "kind", "##", described),
            "## Learned limits\n",
            f"{_first_line(Learned)} See [learned-limits.md](learned-limits.md).\n",
            _list(_rows(Learned), [], "learned-limits"),
            "## Routes\n",
            f"{_first_line(Route)} See [notifications.md](notifications.md).\n",
            _list(_rows(Route), described, "routes"),
            "## Sources\n",
            "Where readings and events come from. See [sources.md](sources.md).\n",
            *_sections(KINDS, "source", "###", described),
            "## Sinks\n",
            "Where values and alarms go out. See [sinks.md](sinks.md).\n",
            *_sections(SINK_KINDS, "sink", "###", described),
        ]
    )


def _sections(
    models: Mapping[str, type[BaseModel]], what: str, level: str, described: list[Described]
) -> Iterator[str]:
    """Yield the fields that all models have, each model's own, and those that some share."""
    owners: dict[Group, list[str]] = defaultdict(list)
    for name, model in models.items():
        own_rows = (row for row in _rows(model) if row[0] != "kind")
        for _, rows in groupby(own_rows, key=lambda row: row[0].split(".")[0]):
            owners[tuple(rows)].append(name)
    fields: dict[tuple[str, ...], list[Group]] = defaultdict(list)
    for group, owning in owners.items():
        fields[tuple(owning)].append(group)
    every = chain(*fields.pop(tuple(models)))
    yield f"{level} Every {what}\n\n{_list(every, described, f'every-{what}')}"
    for name, model in models.items():
        own = _list(chain(*fields.pop((name,), [])), described, f"{what}-{name}")
        yield f"{level} {what.capitalize()} `{name}`\n\n{_first_line(model)}\n\n{own}"
    if fields:
        yield f"{level} Several {what}s\n"
    for some, groups in fields.items():
        listed = ", ".join(f"`{name}`" for name in some[:-1])
        shared = _list(chain(*groups), described, f"several-{what}s")
        yield f"Of {listed} and `{some[-1]}`:\n\n{shared}"


def _first_line(model: type[BaseModel]) -> str:
    return " ".join((model.__doc__ or "").strip().split("\n\n")[0].split())


def _list(rows: Iterable[Row], described: list[Described], section: str) -> str:
    lines = []
    left = sorted(rows, key=lambda row: row[0].split(".")[0] == "problem")  # as `any` is larger
    while left:
        (path, kind, default, text), *left = left
        inside = tuple(row for row in left if row[0].startswith(f"{path}."))
        reference = _reference(inside, path, described)
        same = ""
        if reference:
            left = left[len(inside) :]
        elif inside:
            same, own = _described_before(inside, path, described)
            left = [*own, *left[len(inside) :]]
            described.append(Described(path, inside, section))
        shown = _shown_type(kind, f"{default} {text}")
        of_what = ", ".join(filter(None, (shown, default)))
        said = _LEFT_OUT.sub(r"\1 else \2.", _SAID_BY_THE_TYPE.sub("", text))
        lines.append(f"`{path}`{of_what and f' ({of_what})'}: {said}{reference}")
        if same:
            lines.append(f"Of `{path}`: {same}")
    return "\n\n".join(lines) + "\n"


def _shown_type(kind: str, text: str) -> str:
    """Return the type, without what the meaning says, and that of a text."""
    values = re.findall(r"`(\w+)`", kind)
    if kind in ("text", "list of text") or (
        values and all(re.search(rf"\b{v}\b", text) for v in values)
    ):
        return ""
    return {"group": "", "list of group": "list"}.get(kind, kind)


def _reference(rows: Group, path: str, described: list[Described]) -> str:
    """Return the sentence that names the group with these fields, described before; else ""."""
    fields = _names_and_types(rows, path)
    for group in described if rows else ():
        others = _names_and_types(group.rows, group.path)
        if fields <= others:
            own = sorted({f"`{name.split('.')[0]}`" for name, _ in fields})
            more = sorted({f"`{name.split('.')[0]}`" for name, _ in others - fields} - {*own})
            if len(more) <= _FIELDS_NAMED:
                without = f", without {', '.join(more)}" if more else ""
                return f" Fields: {group.link}{without}."
            if {(_name_within(row[0], path), row[1]) for row in rows} <= {
                (_name_within(row[0], group.path), row[1]) for row in group.rows
            }:
                return f" Fields: {', '.join(own)} of {group.link}."
    return ""


def _described_before(
    rows: Group, path: str, described: list[Described]
) -> tuple[str, tuple[Row, ...]]:
    """Return the sentence on the fields that mean the same elsewhere, and the other rows."""
    children = [row for row in rows if "." not in _name_within(row[0], path)]
    for group in described:
        known = {_name_within(row[0], group.path): row for row in group.rows}
        same = {
            name: row
            for row in children
            if (name := _name_within(row[0], path)) in known and row[1:] == known[name][1:]
        }
        if len(same) > 1:
            names = ", ".join(f"`{name}`" for name in same)
            return f"{names}: as in {group.link}.", _other_rows(rows, path, same)
    limits = {name: row for row in children if (name := _name_within(row[0], path)) in _OF_A_LIMIT}
    if {"above", "below"} <= limits.keys():
        names = ", ".join(
            f"`{name}`{' (number)' if row[1] == 'number' else ''}" for name, row in limits.items()
        )
        return f"{names}: as of a [`threshold`](#kind-threshold).", _other_rows(rows, path, limits)
    return "", rows


def _other_rows(rows: Group, path: str, described: Mapping[str, Row]) -> tuple[Row, ...]:
    return tuple(row for row in rows if _name_within(row[0], path).split(".")[0] not in described)


def _name_within(name: str, path: str) -> str:
    return name.removeprefix(f"{path}.").removeprefix("<name>.")


def _names_and_types(rows: Iterable[Row], path: str) -> set[tuple[str, str]]:
    found = set()
    for name, narrowed, *_ in rows:
        kind = narrowed
        for narrow, wide in _NARROWED.items():
            kind = kind.replace(narrow, wide)
        found.add((_name_within(name, path), kind))
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
        named: dict[type, str] = {FromAttribute: "`{attribute: name}`", LearnedLimit: "learned"}
        return named.get(annotation, "group")
    if origin is Literal:
        return "/".join(f"`{a}`" for a in arguments)
    if origin in (Union, UnionType):
        joined = "/".join(_type(a) for a in arguments if a is not type(None))
        joined = joined.replace("`False`", "true/false")
        return joined.replace("number/`{attribute: name}`", "limit", 1)
    if origin is tuple:
        return f"list of {_type(arguments[0])}"
    if origin is dict:
        return "group" if _model_within(annotation) else "names with values"
    names = {
        timedelta: "duration",
        str: "text",
        float: "number",
        int: "whole number",
        bool: "true/false",
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
        return ", ".join(str(v) for v in field.default)
    return str(field.default).lower() if isinstance(field.default, bool) else str(field.default)
