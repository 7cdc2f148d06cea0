"""Text of the client's files, from the description of the API."""

import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from tools.client.calls import class_name, used_shapes, write_calls
from tools.client.description import (
    Operation,
    Schema,
    by_module,
    description,
    references,
    sent_shapes,
    shapes_by_module,
)
from tools.client.shapes import DOCUMENTS, in_order, write_shape

_MADE = "Made by `python -m tools.client`."
_TRANSPORT = ("FileContent", "Document", "Transport", "segment")
_ROOT = Path(__file__).parents[2]
_RUFF = Path(sys.executable).with_name("ruff")


def client_files() -> dict[str, str]:
    """Return the text of every generated file of the client, by its path in `alerting/client`."""
    described = description()
    schemas = described["components"]["schemas"]
    modules = by_module(described)
    shapes = shapes_by_module(modules, schemas)
    places = {name: module for module, names in shapes.items() for name in names}
    sent = sent_shapes(modules, schemas)
    files = {
        f"shapes/{module}.py": _shapes(module, names, schemas, sent, places)
        for module, names in shapes.items()
        if names - DOCUMENTS
    }
    files |= {
        f"calls/{module}.py": _calls(module, operations, schemas, places)
        for module, operations in modules.items()
    }
    files["calls/__init__.py"] = f'"""Methods of the client, by subject. {_MADE}"""\n'
    files["shapes/__init__.py"] = _all_shapes(places)
    files["client.py"] = _client(modules)
    return {name: _formatted(text) for name, text in files.items()}


def _shapes(
    module: str,
    names: set[str],
    schemas: Mapping[str, Schema],
    sent: set[str],
    places: Mapping[str, str],
) -> str:
    written = "\n\n".join(
        "\n".join(write_shape(name, schemas[name], name in sent))
        for name in in_order(names - DOCUMENTS, schemas)
    )
    others = {one for name in names for one in references(schemas[name])} - names
    head = [f'"""Bodies and answers about {module}. {_MADE}"""']
    head += _imports(written, others, places, ("Document", "Instant"))
    return "\n".join([*head, "", written])


def _calls(
    module: str,
    operations: list[Operation],
    schemas: Mapping[str, Schema],
    places: Mapping[str, str],
) -> str:
    written = write_calls(module, operations, schemas)
    head = [f'"""Calls about {module}. {_MADE}"""']
    used = {name for name in used_shapes(operations) if _names(written, name)}
    used |= set(re.findall(r"Iterator\[(\w+)\]", written))
    head += _imports(written, used, places, (*_TRANSPORT, "Instant"))
    return "\n".join([*head, "", "", written])


def _imports(
    written: str, shapes: Iterable[str], places: Mapping[str, str], own: Iterable[str]
) -> list[str]:
    """Return the lines that import the names that a text uses."""
    lines = []
    if abc := [name for name in ("Iterator", "Sequence") if _names(written, name)]:
        lines.append(f"from collections.abc import {', '.join(abc)}")
    if typing := [
        name for name in ("Any", "Literal", "NotRequired", "TypedDict") if _names(written, name)
    ]:
        lines.append(f"from typing import {', '.join(typing)}")
    by_place: dict[str, list[str]] = {}
    for name in sorted(set(shapes) - DOCUMENTS):
        by_place.setdefault(places[name], []).append(name)
    for place, names in sorted(by_place.items()):
        lines.append(f"from alerting.client.shapes.{place} import {', '.join(names)}")
    for source in ("transport", "values"):
        owned = {"values": ("FileContent", "Document", "Instant")}.get(
            source, ("Transport", "segment")
        )
        if names := [name for name in own if name in owned and _names(written, name)]:
            lines.append(f"from alerting.client.{source} import {', '.join(sorted(names))}")
    return lines


def _names(text: str, name: str) -> bool:
    return re.search(rf"\b{name}\b", text) is not None


def _all_shapes(places: Mapping[str, str]) -> str:
    by_place: dict[str, list[str]] = {}
    for name, place in places.items():
        if name not in DOCUMENTS:
            by_place.setdefault(place, []).append(name)
    lines = [f'"""Bodies and answers of the API, as typed dictionaries. {_MADE}"""', ""]
    for place, names in sorted(by_place.items()):
        lines.append(f"from alerting.client.shapes.{place} import {', '.join(sorted(names))}")
    everything = sorted(name for names in by_place.values() for name in names)
    return "\n".join([*lines, "", f"__all__ = {everything!r}"])


def _client(modules: Mapping[str, list[Operation]]) -> str:
    lines = [f'"""The client: one method for each operation of the API. {_MADE}"""', ""]
    lines += [
        f"from alerting.client.calls.{module} import {class_name(module)}" for module in modules
    ]
    bases = ", ".join(class_name(module) for module in modules)
    text = "Client of the API. Use it in `with`, or call `close` at the end."
    return "\n".join([*lines, "", "", f"class Client({bases}):", f'    """{text}"""'])


def _formatted(text: str) -> str:
    """Return a text as ruff sorts its imports and formats it."""
    for words in (["check", "--fix-only", "--select", "I"], ["format"]):
        command = [str(_RUFF), *words, "--quiet", "--stdin-filename", "alerting/client/a.py", "-"]
        text = subprocess.run(
            command, input=text, capture_output=True, text=True, check=True, cwd=_ROOT
        ).stdout
    return text
