"""No regular expression of the package takes more than linear time, also not on a text that was
written to hold it: a cell, a title, a document or a message may come from anybody."""

import ast
import re
from collections.abc import Iterator, Mapping
from importlib import import_module
from inspect import isclass
from pathlib import Path
from re import _constants as sre  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from time import process_time
from types import ModuleType
from typing import Any, NamedTuple

import pytest

import alerting
from alerting.adapters.files.times.stamp_formats import NAMED
from alerting.definitions.faults import _LONGEST_DURATION
from alerting.definitions.source_fields import TopicForm
from alerting.readings.foreign_columns import TITLE_LENGTH
from alerting.readings.vocabulary import VOCABULARY

_SEARCHING = {"search", "sub", "subn", "split", "findall", "finditer"}
_METHODS = {"match", "fullmatch", "compile"} | _SEARCHING
_LENGTHS = (24, 256, 2048, 8192)
_LEAST_S = 0.003  # a text of these lengths takes a fraction of it
_WORSE = 8  # times as long for four times the length: 4 is linear, 16 quadratic
_TIMES = 4  # a machine that does something else at the moment does not do so each time
_OF_CATEGORY = {
    sre.CATEGORY_DIGIT: r"\d", sre.CATEGORY_NOT_DIGIT: r"\D", sre.CATEGORY_SPACE: r"\s",
    sre.CATEGORY_NOT_SPACE: r"\S", sre.CATEGORY_WORD: r"\w", sre.CATEGORY_NOT_WORD: r"\W",
}  # fmt: skip
_REPEATS = (sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT)
_CHARACTERS = "x1 -a_.,:/\"'([{\\@=Z\n\u4e00"
# patterns in variables, with all that they can be
_IN_VARIABLES: Mapping[str, tuple[str, ...]] = {
    "alerting.adapters.files.recognition words": tuple(VOCABULARY["times"]["fractions"]),
    "alerting.adapters.files.heads.file_head words": tuple(VOCABULARY["heads"].values()),
    "alerting.adapters.files.heads.preamble words": tuple(VOCABULARY["preamble"].values()),
    "alerting.adapters.files.roles pattern": tuple(VOCABULARY["columns"].values()),
    "alerting.adapters.files.times.counts pattern": tuple(VOCABULARY["times"]["units"]),
    "alerting.adapters.files.times.stamp_formats narrow": (),  # part of the next
    "alerting.adapters.files.times.stamp_formats self.pattern": tuple(
        form.pattern for form in NAMED.values()
    ),
    "alerting.definitions.source_fields "
    "between.join(map(self._level_pattern, levels)) + below": tuple(
        TopicForm(separator, "+", "#").pattern(topic).pattern
        for separator in "/."
        for topic in (separator.join(["+", "{line}", "+", "a", "{variable}", "#"]), "+", "#")
    ),
    "alerting.definitions.source_fields f'{re.escape(through)}($|[.\\\\[{{])'": ("a($|[.])",),
    "alerting.settings.logs '|'.join(map(re.escape, longest_first))": ("abc|ab|a",),
    # all are in a tuple of the module
    "alerting.readings.foreign_columns f'^(?P<title>": (),
}
# matched only with texts of this length
_BOUNDED = {
    "alerting.definitions.faults f'({_PART})+'": _LONGEST_DURATION,
    "alerting.definitions.faults _PART": _LONGEST_DURATION,
    "alerting.definitions.faults '([0-9]+)([wdhms])'": _LONGEST_DURATION,
}


class _Used(NamedTuple):
    """A pattern; where it stands, whether it is searched for, and whether the whole text must be
    of its form."""

    pattern: "re.Pattern[str]"
    where: str
    is_searched: bool = True
    is_whole: bool = False


def _modules() -> Iterator[ModuleType]:
    """Yield the modules of the package that use `re`."""
    root = Path(alerting.__path__[0])
    for path in sorted(root.rglob("*.py")):
        if re.search(r"^import re$", path.read_text("utf-8"), re.MULTILINE):
            parts = path.relative_to(root.parent).with_suffix("").parts
            yield import_module(".".join(parts))


def _held(value: Any, depth: int = 4) -> Iterator["re.Pattern[str]"]:
    """Yield the patterns of texts in a value of a module and in its parts."""
    if isinstance(value, re.Pattern) and isinstance(value.pattern, str):
        yield value
    elif depth and isinstance(value, Mapping):
        yield from _held([*value.items()], depth - 1)
    elif depth and isinstance(value, list | tuple | set | frozenset):
        for part in value:
            yield from _held(part, depth - 1)


def _evaluate(module: ModuleType, node: ast.expr) -> Any:
    try:
        return eval(compile(ast.Expression(node), "", "eval"), dict(vars(module)))  # noqa: S307
    except Exception:
        return None


def _called(module: ModuleType) -> Iterator[_Used]:
    """Yield the patterns whose methods a module calls by name, or through a function of `re`."""
    source = Path(str(module.__file__)).read_text("utf-8")
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Attribute) or node.attr not in _METHODS:
            continue
        held = _evaluate(module, node.value)
        if isinstance(held, re.Pattern) and isinstance(held.pattern, str):
            where = f"{module.__name__} {ast.unparse(node.value)}"
            yield _Used(held, where, node.attr in _SEARCHING, node.attr == "fullmatch")
    for node in ast.walk(ast.parse(source)):
        is_call = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        if not is_call or ast.unparse(node.func.value) != "re" or node.func.attr not in _METHODS:
            continue
        where = f"{module.__name__} {ast.unparse(node.args[0])}"
        texts = _evaluate(module, node.args[0])
        if texts is None:
            known = [held for begin, held in _IN_VARIABLES.items() if where.startswith(begin)]
            assert known, f"what can this pattern be? {where}"
            texts = known[0]
        flags = sum(
            value
            for argument in [*node.args[1:], *(word.value for word in node.keywords)]
            if isinstance(value := _evaluate(module, argument), re.RegexFlag)
        )
        for text in [texts] if isinstance(texts, str) else texts:
            if isinstance(text, str):
                method = node.func.attr
                is_searched = method in _SEARCHING
                yield _Used(re.compile(text, flags), where, is_searched, method == "fullmatch")


def _patterns() -> Iterator[_Used]:
    """Yield each pattern of the package once, searched for if any place searches for it, and
    of a whole text if any place asks so; one of several in a variable is both."""
    found: dict[tuple[str, int], _Used] = {}
    for module in _modules():
        called = [*_called(module)]
        classes = [c for c in vars(module).values() if isclass(c)]
        named = [
            pair
            for holder in (module, *(c for c in classes if c.__module__ == module.__name__))
            for pair in vars(holder).items()
        ]
        called += [
            _Used(pattern, f"{module.__name__} {name}", is_one_of, is_one_of)
            for name, value in named
            for is_one_of in [not isinstance(value, re.Pattern)]
            for pattern in _held(value)
        ]
        for used in called:
            key = used.pattern.pattern, used.pattern.flags
            first = found.setdefault(key, used)
            found[key] = first._replace(
                is_searched=first.is_searched or used.is_searched,
                is_whole=first.is_whole or used.is_whole,
            )
    yield from found.values()


def _characters(items: list[tuple[Any, Any]]) -> list[str]:
    """Return characters of a class: the literal ones, the first of each range, or some others."""
    if items[0][0] is not sre.NEGATE:
        literal = [
            chr(part if op is sre.LITERAL else part[0])
            for op, part in items
            if op in (sre.LITERAL, sre.RANGE)
        ]
        categories = [_OF_CATEGORY[part] for op, part in items if op is sre.CATEGORY]
        return literal + [
            next(c for c in _CHARACTERS if re.match(category, c)) for category in categories
        ]

    def is_one(character: str) -> bool:
        for op, part in items[1:]:
            if op is sre.LITERAL and ord(character) == part:
                return False
            if op is sre.RANGE and part[0] <= ord(character) <= part[1]:
                return False
            if op is sre.CATEGORY and re.match(_OF_CATEGORY[part], character):
                return False
        return True

    return [*filter(is_one, _CHARACTERS)] or ["\x7f"]


def _bodies(op: Any, part: Any) -> list[Any]:
    """Return the sequences inside an element of a pattern."""
    if op in _REPEATS:
        return [part[2]]
    if op is sre.SUBPATTERN:
        return [part[3]]
    if op is sre.BRANCH:
        return list(part[1])
    if op in (sre.ASSERT, sre.ASSERT_NOT):
        return [part[1]]
    return [part] if op is sre.ATOMIC_GROUP else []


def _sample(sequence: Any, choice: int) -> str:
    """Return a text that a sequence matches, or nearly does; of alternatives this one."""
    text = ""
    for op, part in sequence:
        if op is sre.LITERAL:
            text += chr(part)
        elif op is sre.IN:
            characters = _characters(part)
            text += characters[choice % len(characters)]
        elif op in (sre.ANY, sre.NOT_LITERAL):
            text += "x"
        elif op in _REPEATS:
            count = part[0] or (choice % 2 and min(part[1], 1))
            text += _sample(part[2], choice) * count
        elif op not in (sre.ASSERT, sre.ASSERT_NOT) and (bodies := _bodies(op, part)):
            text += _sample(bodies[choice % len(bodies)], choice)
    return text


def _repeats(sequence: Any, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, Any]]:
    """Yield what may come often in a text that matches, each with what comes before it."""
    for index, (op, part) in enumerate(sequence):
        ahead = (*before, *list(sequence)[:index])
        if op in _REPEATS and part[1] >= 8:
            yield ahead, part[2]
        for body in _bodies(op, part):
            yield from _repeats(body, ahead)


def _atoms(sequence: Any) -> Iterator[str]:
    for op, part in sequence:
        if op is sre.LITERAL:
            yield chr(part)
        elif op is sre.IN:
            yield from _characters(part)[:6]
        for body in _bodies(op, part):
            yield from _atoms(body)


def _hostile(pattern: "re.Pattern[str]") -> set[tuple[str, str, str]]:
    """Return beginnings, what comes again and again behind them, and ends, of texts that match
    nearly: at least fifteen for each pattern."""
    sequence = _parser.parse(pattern.pattern, pattern.flags)
    atoms = [*dict.fromkeys(_atoms(sequence))][:12] or ["x"]
    whole = [text for choice in range(3) if (text := _sample(sequence, choice))]
    texts = {("", text + gap, end) for text in whole for gap, end in (("", "\n!"), (" ", "\u4e00"))}
    texts |= {("x", f"{text} x", "\n") for text in whole}
    texts |= {("", atom, end) for atom in (*atoms, *"x1 -_") for end in ("\n!", "\u4e00", "")}
    texts |= {("", a + b, "\n!") for a in atoms[:6] for b in atoms[:6] if a != b}
    texts |= {(text, atom, "\n!") for text in whole[:1] for atom in atoms[:8]}
    for before, body in _repeats(sequence):
        for choice in range(4):
            piece = _sample(body, choice) or "x"
            texts |= {(_sample(before, choice), piece, end) for end in ("\n!", "\u4e00", "")}
    return texts


def _seconds(used: _Used, text: str, times: int = 1) -> float:
    measured = []
    for _ in range(times):
        began = process_time()
        if used.is_searched:
            for _ in used.pattern.finditer(text):
                pass
        else:
            used.pattern.match(text)
        if used.is_whole:
            used.pattern.fullmatch(text)
        measured.append(process_time() - began)
    return min(measured)


def _is_slow(used: _Used, parts: tuple[str, str, str], lengths: tuple[int, ...]) -> bool:
    """Return whether a text takes more than linear time. The first one that takes long is compared
    with one of a quarter of its length; one of 24 characters never takes long."""
    before, piece, end = parts

    def text(length: int) -> str:
        return before + piece * (length // len(piece)) + end

    for length in lengths:
        if _seconds(used, text(length)) < _LEAST_S:
            continue
        if all(
            (long := _seconds(used, text(length), 3)) >= _LEAST_S
            and (length == lengths[0] or long > _WORSE * _seconds(used, text(length // 4), 9))
            for _ in range(_TIMES)
        ):
            return True
    return False


def _slow_text(used: _Used) -> tuple[str, str, str] | None:
    most = _BOUNDED.get(used.where)
    lengths = _LENGTHS if most is None else (most,)
    hostile = sorted(_hostile(used.pattern))
    return next((parts for parts in hostile if _is_slow(used, parts, lengths)), None)


def test_no_pattern_takes_more_than_linear_time():
    used = [*_patterns()]
    assert len(used) > 150, "the patterns of the package"
    assert all(len(_hostile(pattern.pattern)) >= 15 for pattern in used)
    slow = {one.where: text for one in used if (text := _slow_text(one))}
    assert not slow, f"patterns that a text can hold: {slow}"


@pytest.mark.parametrize(
    "pattern",
    [
        r"(?i)(.*[\W_])?(units?|einheit(en)?)([\W_].*)?$",
        r"^(?P<title>.*?)[\s_,]*\[(?P<unit>[^\[\]]{1,20})\]$",
        r"^(.*[^\W_].*?)\s+in\s+(\S{1,12})(?:\s*\([^()]*[:=][^()]*\))?$",
        r"\s*(?:z|utc|gmt)$",
        r"([0-9]+)([wdhms])",
        r"(x+x+)+y",
        r"(a|aa)+$",
    ],
)
def test_a_pattern_that_a_text_can_hold_is_found(pattern):
    assert _slow_text(_Used(re.compile(pattern), ""))


@pytest.mark.parametrize("pattern", [r"(a+)+", r"[+-]?(\d+\.?\d*|\.\d+)", r"(\d+)(\.\d+)?(.*)"])
def test_a_pattern_that_is_slow_on_whole_texts_alone_is_found(pattern):
    assert _slow_text(_Used(re.compile(pattern), "", is_searched=False, is_whole=True))


def test_titles_are_short_enough_to_be_split():
    assert TITLE_LENGTH <= 200
