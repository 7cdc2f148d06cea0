"""Methods of the client, one for each operation of the API."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from tools.client.description import Operation, Schema, references
from tools.client.shapes import parameter_name, quoted, type_of

_CURSORS = ("cursor", "before", "after")
_JSON = "application/json"


class Parameter(NamedTuple):
    """A parameter of a method: its name there and in the request, its type, where it is sent."""

    python: str
    sent: str
    type: str
    place: str
    required: bool

    @property
    def declared(self) -> str:
        """The parameter in the signature of the method."""
        if self.required:
            return f"{self.python}: {self.type}"
        return f"{self.python}: {self.type.removesuffix(' | None')} | None = None"


def write_calls(name: str, operations: list[Operation], schemas: Mapping[str, Schema]) -> str:
    """Return the text of a module with the methods of some operations."""
    lines = [f"class {class_name(name)}(Transport):", f'    """Calls about {name}."""']
    for one in operations:
        lines += ["", *_method(one)]
        if paged := _page(one, schemas):
            lines += ["", *_iterator(one, *paged)]
    return "\n".join(lines)


def class_name(module: str) -> str:
    """Return the name of the class with a module's methods."""
    return f"{module.capitalize()}Calls"


def _method(one: Operation) -> Iterator[str]:
    taken = _parameters(one.content)
    body = _body(one.content)
    result, reader = _result(one.content)
    yield f"    def {one.name}({_signature(taken, body)}) -> {result}:"
    yield from quoted(_summary(one.content), "        ")
    path = re.sub(r"{(\w+)}", lambda found: f"{{segment({parameter_name(found[1])})}}", one.path)
    words = [f'"{one.method}"', f'{"f" if "{" in path else ""}"{path}"']
    words += _sent("query", "query", taken) + _sent("headers", "header", taken)
    if body is not None:
        words.append("body=body")
    if body is not None and "FileContent" in body:
        words.append(f'file_type="{_file_type(one.content)}"')
    call = f"self.{reader}({', '.join(words)})"
    if reader != "call" or result == "None":
        yield f"        {'return ' if result != 'None' else ''}{call}"
        return
    yield f"        answer: {result} = {call}"
    yield "        return answer"


def _sent(word: str, place: str, taken: list[Parameter]) -> list[str]:
    own = [f'"{p.sent}": {p.python}' for p in taken if p.place == place]
    return [f"{word}={{{', '.join(own)}}}"] if own else []


def _iterator(one: Operation, item: str, cursor: str) -> Iterator[str]:
    taken = [p for p in _parameters(one.content) if p.sent not in (cursor, "limit")]
    given = [p.python if p.place == "path" else f"{p.python}={p.python}" for p in taken]
    name = one.name.replace("list_", "iterate_", 1)
    yield f"    def {name}({_signature(taken, None)}) -> Iterator[{item}]:"
    yield f'        """Yield all items of `{one.name}`, page by page."""'
    yield f"        {cursor} = None"
    yield "        while True:"
    words = ", ".join([*given, f"{cursor}={cursor}"])
    yield f"            page = self.{one.name}({words})"
    yield '            yield from page["items"]'
    yield f'            {cursor} = page["next"]'
    yield f"            if {cursor} is None:"
    yield "                return"


def _signature(taken: list[Parameter], body: str | None) -> str:
    path = [p.declared for p in taken if p.place == "path"]
    others = sorted((p for p in taken if p.place != "path"), key=lambda p: not p.required)
    named = ["*", *(p.declared for p in others)] if others else []
    return ", ".join(["self", *path, *([f"body: {body}"] if body else []), *named])


def _parameters(content: Mapping[str, Any]) -> list[Parameter]:
    return [
        Parameter(
            parameter_name(one["name"]),
            one["name"],
            _parameter_type(one),
            one["in"],
            one.get("required", False),
        )
        for one in content.get("parameters", ())
    ]


def _parameter_type(one: Mapping[str, Any]) -> str:
    if one["name"] == "if-match":
        return "int"  # the number of a revision
    found = type_of(one["schema"], is_sent=True)
    return re.sub(r"^list\[", "Sequence[", found)


def _body(content: Mapping[str, Any]) -> str | None:
    described = content.get("requestBody")
    if described is None:
        return None
    types = []
    for kind, part in described["content"].items():
        if kind == _JSON:
            types.append(re.sub(r"\blist\[", "Sequence[", type_of(part["schema"], is_sent=True)))
        elif kind == "application/yaml":
            types.append("str")
        elif part["schema"].get("format") == "binary":
            types.append("FileContent")
    optional = "None" in " | ".join(types).split(" | ")
    return " | ".join(types) + (" = None" if optional else "")


def _file_type(content: Mapping[str, Any]) -> str:
    kinds = content["requestBody"]["content"]
    return next(kind for kind, part in kinds.items() if part["schema"].get("format") == "binary")


def _result(content: Mapping[str, Any]) -> tuple[str, str]:
    """Return the type of an operation's answer, and the method of the transport that reads it."""
    answers = {status: one for status, one in content["responses"].items() if status < "300"}
    kinds = [one.get("content", {}) for one in answers.values()]
    if not any(kinds):
        return "None", "call"
    kind, part = next(iter(kinds[0].items()))
    if kind == _JSON:
        return type_of(part["schema"], is_sent=False), "call"
    return ("str", "read_text") if kind.startswith("text/") else ("bytes", "read_bytes")


def _page(one: Operation, schemas: Mapping[str, Schema]) -> tuple[str, str] | None:
    """Return the type of the items and the cursor of an operation that answers in pages."""
    sent = [p["name"] for p in one.content.get("parameters", ())]
    cursor = next((name for name in _CURSORS if name in sent), None)
    result, _ = _result(one.content)
    fields = schemas.get(result, {}).get("properties", {})
    if cursor is None or "next" not in fields:
        return None
    return type_of(fields["items"]["items"], is_sent=False), cursor


def _summary(content: Mapping[str, Any]) -> str:
    return " ".join(content.get("description", content.get("summary", "")).split())


def used_shapes(operations: list[Operation]) -> set[str]:
    """Return the names of schemas that methods name directly."""
    return references([_without_faults(one.content) for one in operations])


def _without_faults(content: Mapping[str, Any]) -> Mapping[str, Any]:
    return {
        **content,
        "responses": {k: v for k, v in content["responses"].items() if k < "300"},
    }
