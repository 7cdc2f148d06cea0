"""Types of the client: what JSON Schema describes, as Python writes it."""

import keyword
from collections.abc import Iterator, Mapping
from textwrap import wrap

from tools.client.description import Schema, references

DOCUMENTS = {"DefinitionBody", "SourceBody"}
"""Bodies that are documents of their own reference: the client takes any mapping, or YAML."""
_PLAIN = {
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "null": "None",
    "string": "str",
}


def type_of(schema: Schema, is_sent: bool) -> str:
    """Return the Python type of a schema. `is_sent`: by the client, which then takes instants as
    such; answers have them as text."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return "Document" if name in DOCUMENTS else name
    if "anyOf" in schema:
        return _union(type_of(one, is_sent) for one in schema["anyOf"])
    if "enum" in schema or "const" in schema:
        values = schema.get("enum", [schema.get("const")])
        known = [value for value in values if value is not None]
        return f"Literal[{', '.join(map(repr, known))}]" + " | None" * (None in values)
    return _type_of_kind(schema, is_sent)


def _type_of_kind(schema: Schema, is_sent: bool) -> str:
    kind = schema.get("type")
    if kind == "array":
        parts = schema.get("prefixItems") or [schema.get("items", {})]
        return f"list[{_union(type_of(part, is_sent) for part in parts)}]"
    if kind == "object":
        values = schema.get("additionalProperties")
        return f"dict[str, {type_of(values, is_sent) if isinstance(values, dict) else 'Any'}]"
    if kind == "string" and schema.get("format") == "date-time" and is_sent:
        return "Instant"
    return _PLAIN.get(kind or "", "Any")


def _union(types: Iterator[str]) -> str:
    parts = list(dict.fromkeys(part for one in types for part in one.split(" | ")))
    if "Any" in parts:
        return "Any"
    return " | ".join(sorted(parts, key=lambda part: part == "None"))


def write_shape(name: str, schema: Schema, is_sent: bool) -> Iterator[str]:
    """Yield the lines of a TypedDict, written as a call: some keys are words of Python."""
    text = " ".join(schema.get("description", name).split())
    yield f"{name} = TypedDict("
    yield f'    "{name}",'
    yield "    {"
    required = set(schema.get("required", ()))
    for field, part in schema.get("properties", {}).items():
        type = type_of(part, is_sent)
        yield f'        "{field}": {type if field in required else f"NotRequired[{type}]"},'
    yield "    },"
    yield ")"
    yield from quoted(text, "")


def quoted(text: str, indent: str) -> Iterator[str]:
    """Yield a docstring of at most 100 columns."""
    lines = wrap(text.replace("\\", "\\\\"), 96 - len(indent) - 3) or [""]
    for number, line in enumerate(lines):
        opening = '"""' if number == 0 else ""
        closing = '"""' if number == len(lines) - 1 else ""
        yield f"{indent}{opening}{line}{closing}"


def in_order(names: set[str], schemas: Mapping[str, Schema]) -> list[str]:
    """Return names of schemas, each after those that it uses. Raises ValueError for a circle."""
    done: list[str] = []
    open: set[str] = set()

    def visit(name: str) -> None:
        if name in done or name not in names:
            return
        if name in open:
            raise ValueError(f"{name} uses itself")
        open.add(name)
        for used in sorted(references(schemas[name])):
            visit(used)
        done.append(name)

    for name in sorted(names):
        visit(name)
    return done


def parameter_name(name: str) -> str:
    """Return the name of a parameter in Python: `from` is `from_`, `if-match` is `if_match`."""
    plain = name.replace("-", "_")
    return f"{plain}_" if keyword.iskeyword(plain) else plain
