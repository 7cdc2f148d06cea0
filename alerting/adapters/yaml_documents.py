"""Safe reader of YAML and JSON; refuses ambiguous, endless or unprintable content with its line."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from alerting.definitions.faults import UserError, close_names, shown
from alerting.definitions.wording.language import ENGLISH

_LARGEST_FILE = 50_000_000
_DEEPEST = 50
_TOO_DEEP = f"is nested too deeply; at most {_DEEPEST} levels are allowed"
_MOST_NODES = 3_000_000
_MOST_DIGITS = 30
_INT = "tag:yaml.org,2002:int"
_RESERVED = "a text that begins with {character} must be in quotes"
_USUAL: tuple[tuple[str, str], ...] = (
    (
        "mapping values are not allowed here",
        (
            "a colon cannot stand here; indent the fields of one group alike, and put a text "
            "with a colon in quotes"
        ),
    ),
    ("found character '\\t'", "a tab cannot stand here; indent with blanks"),
    ("found character", _RESERVED),
    (
        "expected '<document start>'",
        "the line begins further left than the first one; indent all fields alike",
    ),
    ("expected ',' or ']'", "the bracket [ is not closed by ]"),
    ("expected ',' or '}'", "the brace { is not closed by }"),
    ("expected the node content", "a value or a closing bracket is missing"),
    ("found unexpected end of stream", "a quotation mark is not closed"),
    (
        "could not find expected ':'",
        "a field needs its name, a colon and a blank: name: value",
    ),
)
"""Usual mistakes, by the beginning of what the reader of YAML says of them."""


def read_yaml(file: Path) -> list[Any]:
    """Return the documents of a YAML or JSON file. Raises UserError for the first fault."""
    if file.is_dir():
        raise UserError(f"{file}: is a folder; name its files, for example {file / '*.yaml'}")
    try:
        if file.stat().st_size > _LARGEST_FILE:
            raise UserError(f"{file}: is larger than {_LARGEST_FILE // 1_000_000} MB")
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise UserError(f"{file}: there is no such file{_suggest_files(file)}") from error
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise UserError(
            f"{file}: is not UTF-8 text ({error.reason} at byte {error.start})"
        ) from error
    return parse_yaml(text, str(file))


def read_documents_of(file: Path) -> list[dict[str, Any]]:
    """Return the documents of a YAML or JSON file: single ones, lists, and of a map of assets by
    name one of each. Raises UserError for other content, or none."""
    documents: list[Any] = []
    for part in read_yaml(file):
        flat = part if isinstance(part, list) else [part]
        if isinstance(part, dict) and not part.keys() & {"name", "kind"}:
            is_map = all(isinstance(fields, dict) for fields in part.values())
            flat = [{"name": name, **fields} for name, fields in part.items()] if is_map else flat
        documents += flat
    for number, document in enumerate(documents, 1):
        if not isinstance(document, dict):
            raise UserError(
                f"{file}: entry {number} is {shown(document)}, not a document; write its fields, "
                "`name: …` first"
            )
    if not documents:
        raise UserError(f"{file}: is empty")
    return documents


def _suggest_files(file: Path) -> str:
    """Return a question that suggests files of the folder for a mistyped name, or ""."""
    try:
        stems = {path.stem: path for path in file.parent.iterdir() if path.suffix == file.suffix}
    except OSError:
        return f"; folder {file.parent} does not exist" if not file.parent.exists() else ""
    close = close_names(file.stem, stems)
    return f"; did you mean {' or '.join(str(stems[stem]) for stem in close)}?" if close else ""


def parse_yaml(text: str, origin: str, most_nodes: int = _MOST_NODES) -> list[Any]:
    """Return every document of a text except empty ones.

    Raises UserError for repeated keys, more than 50 levels, aliases that expand to more than
    `most_nodes` values, numbers of more than 30 digits, characters that cannot be stored, and
    invalid syntax.
    """
    try:
        return [d for d in _documents(text, origin, most_nodes) if d is not None]
    except yaml.YAMLError as error:
        raise UserError(f"{origin}: is not YAML or JSON: {_reason(error)}") from error
    except RecursionError as error:
        raise UserError(f"{origin}: {_TOO_DEEP}") from error
    except (ValueError, OverflowError, TypeError) as error:  # e.g. 2026-02-31
        raise UserError(f"{origin}: holds a value that cannot be read: {error!s}") from error


def parse_json(text: str, origin: str) -> Any:
    """Return the value of a JSON text. Raises UserError for what `parse_yaml` refuses, NaN and
    infinities."""
    try:
        parsed = json.loads(
            text, object_pairs_hook=_refuse_repeated_keys, parse_constant=_refuse_constant
        )
        _check_json(parsed, 0)
    except RecursionError as error:
        raise UserError(f"{origin}: {_TOO_DEEP}") from error
    except ValueError as error:  # also of `json`, with line and column
        raise UserError(f"{origin}: is not legal JSON: {error}") from error
    return parsed


def _refuse_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {shown(twice)} occurs twice")
    return fields


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


def _check_json(value: Any, depth: int) -> None:
    """Raise ValueError for a value of JSON that documents may not hold."""
    if depth > _DEEPEST:
        raise ValueError(_TOO_DEEP)
    if isinstance(value, dict):
        for name, part in value.items():
            _check_json(name, depth)
            _check_json(part, depth + 1)
    elif isinstance(value, list):
        for part in value:
            _check_json(part, depth + 1)
    elif isinstance(value, str) and (wrong := _unstorable(value)) is not None:
        raise ValueError(wrong)
    elif isinstance(value, int) and abs(value) >= 10**_MOST_DIGITS:
        raise ValueError(f"a number of more than {_MOST_DIGITS} digits")


def _unstorable(text: str) -> str | None:
    for character in text:
        if 0xD800 <= ord(character) <= 0xDFFF or character == "\0":
            return f"holds {f'U+{ord(character):04X}'}, which is not a legal character of a text"
    return None


def _documents(text: str, origin: str, most_nodes: int) -> Iterator[Any]:
    loader = yaml.SafeLoader(text)
    loader.name = origin  # in the positions of faults
    try:
        while loader.check_node():
            node = loader.get_node()
            _count_nodes(node, origin, most_nodes, {}, 0)
            yield loader.construct_document(node)
    finally:
        loader.dispose()


def _count_nodes(node: Any, origin: str, most: int, sizes: dict[int, int], depth: int) -> int:
    """Return the number of nodes below a node, itself included. Raises UserError if its content is
    forbidden."""
    if depth > _DEEPEST:
        raise _at_line(node, origin, _TOO_DEEP)
    if id(node) in sizes:
        return sizes[id(node)]
    size = 1
    if isinstance(node, yaml.ScalarNode):
        _check_scalar(node, origin)
    else:
        if isinstance(node, yaml.MappingNode):
            _check_keys(node, origin)
        size += sum(
            _count_nodes(below, origin, most, sizes, depth + 1) for below in _child_nodes(node)
        )
    if size > most:
        raise _at_line(node, origin, f"unfolds to more than {most} values")
    sizes[id(node)] = size
    return size


def _child_nodes(node: Any) -> Iterator[Any]:
    for part in node.value:
        if isinstance(part, tuple):
            yield from part
        else:
            yield part


def _check_scalar(node: Any, origin: str) -> None:
    if node.tag in (_INT, "tag:yaml.org,2002:float") and ":" in node.value:
        node.tag = "tag:yaml.org,2002:str"  # to YAML 1.1 alone 1:30 is the number 90
    if node.tag == _INT and len(node.value) > _MOST_DIGITS:
        raise UserError(
            f"{origin}: line {_line(node)}: a number of {len(node.value)} digits; at most "
            f"{_MOST_DIGITS} are allowed"
        )
    if (wrong := _unstorable(node.value)) is not None:
        raise _at_line(node, origin, wrong)


def _check_keys(node: Any, origin: str) -> None:
    lines: dict[tuple[str, str], int] = {}
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode):
            if (first_line := lines.get((key.tag, key.value))) is not None:
                raise UserError(
                    f"{origin}: line {_line(key)}: the key {shown(key.value)} occurs twice, first "
                    "in "
                    f"line {first_line}"
                )
            lines[key.tag, key.value] = _line(key)


def _at_line(node: Any, origin: str, fault: str) -> UserError:
    return UserError(f"{origin}: line {_line(node)}: {fault}")


def _line(node: Any) -> int:
    return int(node.start_mark.line + 1)


def _reason(error: yaml.YAMLError) -> str:
    """Return the fault of a text, and where; for a usual mistake in plain words."""
    mark = getattr(error, "problem_mark", None)
    problem = str(getattr(error, "problem", None) or "")
    if mark is None or not problem:
        return str(error)
    plain: str = next((text for begin, text in _USUAL if problem.startswith(begin)), problem)
    if plain is _RESERVED:
        plain = ENGLISH.say(_RESERVED, character=problem.split("'")[1])
    return f"line {mark.line + 1}, column {mark.column + 1}: {plain}\n{mark.get_snippet() or ''}"
