"""The form of a document, drawn from its JSON Schema, with only the branches in use, and the
document that a submitted form holds.

The name of an input is the type of its value and its path: `n:problem.above`. A capital letter says
that an empty value stays. So a submitted form is read without the schema.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from alerting.adapters.yaml_documents import parse_yaml
from alerting.console.api.parameters import write_yaml
from alerting.definitions.faults import PATTERN as DURATION
from alerting.definitions.faults import UserError, suggest_duration, suggest_number
from alerting.definitions.wording.language import translatable
from alerting.ports import Document

Schema = dict[str, Any]
FIRST = ("name", "title", "assets", "kind", "severity")
"""Fields at the head of a form, whether they are written or not."""
_LETTERS = {"string": "s", "number": "n", "integer": "i", "boolean": "b"}


@dataclass(frozen=True)
class FormInput:
    """An input. `shape`: line, lines, choice, fixed or yaml; `usual`: the value that an empty input
    means; `never`: whether null is chosen, None if null means the same as an omitted field."""

    name: str
    path: str
    label: str
    help: str
    shape: str
    value: str
    usual: str = ""
    choices: tuple[str, ...] = ()
    never: bool | None = None
    suggest: str = ""
    is_number: bool = False
    ways: "tuple[FormWay, ...]" = ()


@dataclass(frozen=True)
class FormGroup:
    """Inputs and groups below a field. `mark`: type of the field; `folded`: unused inputs and
    groups; `more`: fields that can be added; `item`: the path of the next item of a list."""

    path: str
    label: str
    help: str
    mark: str
    parts: "tuple[FormInput | FormGroup, ...]"
    folded: "tuple[FormInput | FormGroup, ...]" = ()
    more: tuple[tuple[str, str, str], ...] = ()
    item: str = ""
    is_removable: bool = True
    ways: "tuple[FormWay, ...]" = ()


@dataclass(frozen=True)
class FormWay:
    """Another way to write a field."""

    number: int
    label: str


@dataclass(frozen=True)
class FormSchema:
    """The fields of a document, which it draws: `root`, and the models to which it refers.

    `first`: fields at the head of a form, whether they are written or not; `starting`: fields after
    them; `apart`: fields that the form of the whole leaves out; `named`: fields whose value is the
    name of a variable.
    """

    root: Schema
    models: Mapping[str, Schema]
    first: tuple[str, ...] = FIRST
    starting: frozenset[str] = frozenset()
    apart: frozenset[str] = frozenset()
    named: frozenset[str] = frozenset({"variable", "by"})

    def group(
        self, schema: Schema, path: str, value: Mapping[str, Any], label: str, **extra: Any
    ) -> FormGroup:
        """Return the fields of a group: fields in use, the other fields folded, and groups to
        add."""
        required = {*schema.get("required", ())}
        first: list[FormInput | FormGroup] = []
        folded: list[FormInput | FormGroup] = []
        more = []
        names = schema.get("properties", {})
        value = {  # null is the same as left out, but where it means never
            name: field_value
            for name, field_value in value.items()
            if field_value is not None or names.get(name, {}).get("default") is not None
        }
        top = [name for name in names if name not in self.apart]
        first_ranks = {name: rank for rank, name in enumerate(self.first)}
        ordered = (
            names
            if path
            else sorted(
                top,  # the first fields, the fields of its kind, the others
                key=lambda name: first_ranks.get(
                    name, len(first_ranks) + (name not in self.starting)
                ),
            )
        )
        for name in ordered:
            below = f"{path}.{name}" if path else name
            resolved = self.resolve(names[name])
            is_used = name in value or name in required
            at_top = not path and name in {*self.first, *self.starting}
            if not is_used and not self._is_line(resolved):
                more.append((below, humanize(name), resolved.get("description", "")))
            else:
                drawn = self.draw(resolved, below, value.get(name), name in required, name in value)
                (first if is_used or at_top or len(names) <= 6 else folded).append(drawn)
        if not first:
            first, folded = folded, first
        return FormGroup(
            path,
            label,
            schema.get("description", ""),
            "g",
            tuple(first),
            tuple(folded),
            tuple(more),
            **extra,
        )

    def draw(
        self, schema: Schema, path: str, value: Any, required: bool, written: bool
    ) -> FormInput | FormGroup:
        """Return the input or group of a field, in the way that its value is written."""
        label = humanize(path.rpartition(".")[2])
        branches, nullable = self.branches(schema)
        chosen = _find_branch(branches, value)
        ways = tuple(
            FormWay(number, _way_label(branch))
            for number, branch in enumerate(branches)
            if number != chosen
        )
        branch = branches[chosen]
        if "properties" in branch and isinstance(value, dict | None):
            help = schema.get("description") or branch.get("description", "")
            return self.group(
                {**branch, "description": help},
                path,
                value or {},
                label,
                is_removable=not required,
                ways=ways,
            )
        items = self.resolve(branch.get("items", {}))
        if "properties" in items and isinstance(value, list | None):
            parts = tuple(
                self.draw(items, f"{path}.{number}", item, required=False, written=True)
                for number, item in enumerate(value or ())
            )
            help = schema.get("description", "")
            return FormGroup(path, label, help, "a", parts, item=f"{path}.{len(parts)}")
        return self._input(schema, branch, path, value, required, written, nullable, ways)

    def _input(
        self,
        schema: Schema,
        branch: Schema,
        path: str,
        value: Any,
        required: bool,
        written: bool,
        nullable: bool,
        ways: tuple[FormWay, ...],
    ) -> FormInput:
        usual = schema.get("default")
        letter, shape, choices = _input_type(branch, value)
        is_variable = path.rpartition(".")[2] in self.named and letter == "s"
        return FormInput(
            f"{letter.upper() if required else letter}:{path}",
            path,
            humanize(path.rpartition(".")[2]),
            schema.get("description") or branch.get("description", ""),
            shape,
            "" if value is None else _input_text(letter, value),
            usual="" if usual is None else _input_text(letter, usual),
            choices=choices,
            never=(written and value is None) if nullable and usual is not None else None,
            suggest="variables" if is_variable else "",
            is_number=letter in "ni",
            ways=ways,
        )

    def resolve(self, schema: Schema) -> Schema:
        """Return a schema with its reference replaced; keys beside the reference take
        precedence."""
        if "$ref" not in schema:
            return schema
        return {
            **self.models[schema["$ref"].removeprefix("#/$defs/")],
            **{key: value for key, value in schema.items() if key != "$ref"},
        }

    def branches(self, schema: Schema) -> tuple[list[Schema], bool]:
        """Return the ways to write a field, all single values as one way, and whether null is
        legal."""
        flat = [self.resolve(branch) for branch in self._flat(schema)]
        nullable = any(branch.get("type") == "null" for branch in flat)
        written = [branch for branch in flat if branch.get("type") != "null"]
        values = [
            branch for branch in written if branch.get("type") in _LETTERS or "enum" in branch
        ]
        others = [branch for branch in written if branch not in values]
        if len(values) > 1:
            values = [{"scalar": True}]
        return [*values, *others] or [schema], nullable

    def step(self, branch: Schema, key: str) -> list[Schema]:
        """Return the schema of a field, an item or a member of a branch; empty for an unknown
        one."""
        if key.isdecimal() and "items" in branch:
            return [self.resolve(branch["items"])]
        names = branch.get("properties", {})
        members = [member for member in branch.get("patternProperties", {}).values() if not names]
        fitting = [names[key]] if key in names else members
        return [self.resolve(member) for member in fitting]

    def _flat(self, schema: Schema) -> Iterable[Schema]:
        below = schema.get("anyOf") or schema.get("oneOf")
        if not below or "properties" in schema:
            yield schema
            return
        for branch in below:
            yield from self._flat(branch)

    def _is_line(self, schema: Schema) -> bool:
        """Return whether the first way to write a field is one input."""
        first = self.branches(schema)[0][0]
        items = self.resolve(first.get("items", {}))
        return "properties" not in first and "properties" not in items


def humanize(name: str) -> str:
    """Return the name of a field for people: `clear_above_at` as `Clear above at`, `2` as `3.`."""
    if name.isdecimal():
        return f"{int(name) + 1}."
    text = name.replace("_", " ")
    return text[:1].upper() + text[1:]


def draw_form(document: Document, schema: FormSchema, at: str = "") -> FormGroup:
    """Return the form of a document; with `at` the form of the part at this path."""
    below = schema.root
    value: Any = document
    for key in at.split(".") if at else ():
        below = next(iter(schema.step(schema.branches(below)[0][0], key)), {})
        value = value.get(key) if isinstance(value, dict) else None
    fields = value if isinstance(value, dict) else {}
    return schema.group(below, at, fields, at.rpartition(".")[2], is_removable=bool(at))


def _find_branch(branches: Sequence[Schema], value: Any) -> int:
    """Return the number of the way in which a value is written, the first way if none fits."""
    for number, branch in enumerate(branches):
        if isinstance(value, dict) and {*value} <= {*branch.get("properties", ())}:
            return number
        if isinstance(value, list) and "items" in branch:
            return number
    return 0


def _way_label(branch: Schema) -> str:
    if "properties" in branch:
        return ", ".join(branch.get("required") or [*branch["properties"]][:3])
    return translatable("list") if "items" in branch else translatable("value")


def _input_type(branch: Schema, value: Any) -> tuple[str, str, tuple[str, ...]]:
    """Return type, shape and choices of an input; values that do not fit are edited as YAML."""
    type_ = branch.get("type")
    drawn: tuple[str, str, tuple[str, ...]] = ("y", "yaml", ())
    if isinstance(value, list | None) and type_ == "array":
        if all(isinstance(item, str) and "\n" not in item for item in value or ()):
            drawn = ("l", "lines", ())
    elif isinstance(value, dict | list):
        pass
    elif "const" in branch and type_ == "string":
        drawn = ("s", "fixed", ())
    elif "enum" in branch and isinstance(value, str | None):
        drawn = ("s", "choice", tuple(branch["enum"]))
    elif type_ == "boolean" and isinstance(value, bool | None):
        drawn = ("b", "choice", ("true", "false"))
    elif type_ == "string" and branch.get("pattern") == DURATION:
        drawn = ("d", "line", ())
    elif type_ in _LETTERS:
        drawn = (_LETTERS[type_], "line", ())
    elif "scalar" in branch:
        drawn = ("y", "line", ())
    return drawn


def _input_text(letter: str, value: Any) -> str:
    if letter == "l":
        return "\n".join(value)
    if letter == "y":
        return write_yaml(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)


MARKS = frozenset("gaz")
"""Types of inputs without a value: a group, a list, and null."""
_MOST_VALUES = 5_000


def read_form(items: Iterable[tuple[str, str]]) -> Document:
    """Return the document that a submitted form holds. Raises UserError for a form that this
    console did not draw."""
    groups: dict[str, Any] = {}
    for name, text in items:
        letter, colon, path = name.partition(":")
        if not colon or len(letter) != 1:
            continue
        keys = path.split(".")
        if len(keys) > 20 or not all(keys):
            raise UserError("the form cannot be read; open the page again")
        if letter in MARKS:
            _set(groups, keys, {"g": {}, "a": [], "z": None}[letter], over=letter == "z")
            continue
        written = text.replace("\r\n", "\n").strip()
        if written or letter.isupper():
            _set(groups, keys, _read(letter.lower(), written), over=True)
    document: Document = _compact(groups)
    return document


def replace_part(document: Document, form: Document, at: str, apart: Collection[str]) -> Document:
    """Return a document with what a form holds: of the part at a path, or, with an empty path, of
    all but the fields that it leaves out."""
    if not at:
        return form | {name: document[name] for name in apart if name in document}
    keys = at.split(".")
    value: Any = form
    made: dict[str, Any] = deepcopy(document)
    below = made
    for key in keys[:-1]:
        value = value.get(key) if isinstance(value, dict) else None
        below = below.setdefault(key, {})
        if not isinstance(below, dict):
            return document
    below[keys[-1]] = value.get(keys[-1], {}) if isinstance(value, dict) else {}
    return made


def change_form(document: Document, act: str, path: str, way: int, schema: FormSchema) -> Document:
    """Return a document with the field of a path added, removed, or written in another way."""
    keys = path.split(".")
    if act == "remove":
        return _without_field(document, keys)
    below: Schema = schema.root
    for key in keys:
        fitting = [
            field for branch in schema.branches(below)[0] for field in schema.step(branch, key)
        ]
        if not fitting:
            return document
        below = fitting[0]
    branches = schema.branches(below)[0]
    branch = branches[way] if way < len(branches) else branches[0]
    made: dict[str, Any] = deepcopy(document)
    value = _blank_value(schema, branch)
    if value is None:
        return _without_field(made, keys)
    try:
        _set_in(made, keys, value)
    except (KeyError, IndexError, TypeError, ValueError):
        return document  # nothing stands above the path
    return made


def _blank_value(schema: FormSchema, branch: Schema) -> Any:
    """Return the value with which a way to write a field begins; None for a single value."""
    if "properties" in branch:
        names = branch["properties"]
        firsts = {
            name: schema.branches(schema.resolve(names[name]))[0][0]
            for name in branch.get("required", ())
        }
        return {name: _blank_value(schema, first) or "" for name, first in firsts.items()}
    if "items" in branch:
        item = schema.resolve(branch["items"])
        return [_blank_value(schema, item)] if "properties" in item else []
    return None


def _read(letter: str, text: str) -> Any:
    """Return the value of an input, or its text if it is no such value: the check names the fault.
    A number may have a decimal comma, a duration the words of people."""
    value: Any = text
    try:
        match letter:
            case "n":
                value = float(suggest_number(text) or text)
                if value.is_integer() and abs(value) < 1e15:
                    value = int(value)
            case "i":
                value = int(text)
            case "d" if not re.fullmatch(DURATION, text):
                value = suggest_duration(text) or text
            case "b":
                value = {"true": True, "false": False}.get(text, text)
            case "l":
                value = [line.strip() for line in text.split("\n") if line.strip()]
            case "y":
                value = next(iter(parse_yaml(text, "the form", _MOST_VALUES)), None)
    except (ValueError, OverflowError, UserError):
        return text
    return value


def _set(groups: dict[str, Any], keys: Sequence[str], value: Any, over: bool) -> None:
    """Set a value below groups, whose lists are still groups by number."""
    below = groups
    for key in keys[:-1]:
        inner = below.get(key)
        if not isinstance(inner, dict):
            inner = {_LIST: True} if isinstance(inner, list) else {}
            below[key] = inner
        below = inner
    last = keys[-1]
    if over or last not in below:
        below[last] = value
    elif isinstance(value, list) and isinstance(below[last], dict):
        below[last][_LIST] = True


_LIST = "[]"  # marks a group that is a list; no field has this name


def _compact(value: Any) -> Any:
    """Return a value with groups by number as lists."""
    if not isinstance(value, dict):
        return value
    if value.pop(_LIST, False):
        numbers = sorted((key for key in value if key.isdecimal()), key=int)[:1_000]
        return [_compact(value[key]) for key in numbers]
    return {key: _compact(member) for key, member in value.items()}


def _set_in(document: Any, keys: Sequence[str], value: Any) -> None:
    for key in keys[:-1]:
        document = document[int(key)] if isinstance(document, list) else document[key]
    if isinstance(document, list):
        document[int(keys[-1]) : int(keys[-1]) + 1] = [value]
    else:
        document[keys[-1]] = value


def _without_field(document: Document, keys: Sequence[str]) -> Document:
    without: Document = _remove_at(document, keys)
    return without


def _remove_at(document: Any, keys: Sequence[str]) -> Any:
    """Return a copy of a document without the field at a path."""
    key, *below = keys
    if isinstance(document, list):
        if not key.isdecimal() or int(key) >= len(document):
            return document
        inner = [_remove_at(document[int(key)], below)] if below else []
        return [*document[: int(key)], *inner, *document[int(key) + 1 :]]
    if not isinstance(document, dict) or key not in document:
        return document
    if not below:
        return {name: value for name, value in document.items() if name != key}
    return {**document, key: _remove_at(document[key], below)}
