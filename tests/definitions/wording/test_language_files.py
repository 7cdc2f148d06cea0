"""The language files: every text in every language, with the same values and markup, and no text of
a page left out."""

import ast
import re
from functools import cache

import pytest
from babel.messages.pofile import read_po
from jinja2 import Environment, nodes

from tools.languages import FOLDER, LANGUAGES, PACKAGE, PLACEHOLDER, all_texts

OTHERS = [code for code in LANGUAGES if code != "en"]
MARKUP = re.compile(r"<[^>]*>")
COMMAND = re.compile(r"<code>[^<]*</code>")
ADDRESS = re.compile(r"^[/&]\w+[?=]\S*$|^&\w+=$")
SEEN = re.compile(r"(?:^|>)([^<>]*[^\W\d_]{2,}[^<>]*)(?=<|$)")
SEEN_ATTRIBUTE = re.compile(r'(?:title|aria-label|alt|placeholder)="([^"]*[^\W\d_]{2,}[^"]*)')
OPEN_ATTRIBUTE = re.compile(r'(?:title|aria-label|alt|placeholder)="[^"]*$')
WORD = re.compile(r"[^\W\d_]{2,}")
SAME_EVERYWHERE = {"Alerting", "ISA", "API", "CSV", "JSON", "GiB", "MiB", "oven"}
"""Names, units and the name of an example, which are not translated."""
PROGRAMS = {"api/reference.html"}
"""The page that shows programs."""
OTHER_WORDS = {
    "de": r"\bRouten?\b|\bGrößen?\b|\b(?:im|in|außer|den) Dienst|Modelle? in Betrieb"
    r"|Zurückkehren|Arbeitspl[aä]tz",
    "fr": r"\broutes?\b|\bgrandeurs?\b|[Rr]evenir en arrière|[Rr]etour en arrière",
    "es": r"\bmagnitud|\benrutamiento|en funcionamiento|[Vv]olver atrás",
}
"""Second words for a thing that has one: Meldeweg, Variable, Einsatz; diffusion, variable; ruta, en
servicio. The name of a command and of a value stay."""


@cache
def texts():
    return {entry.id: entry for entry in all_texts() if entry.id}


@cache
def catalog(code):
    with (FOLDER / f"{code}.po").open("rb") as stream:
        return {
            entry.id: entry
            for entry in read_po(stream, locale=code, ignore_obsolete=False)
            if entry.id
        }


def files_of(entry):
    return {file for file, _ in entry.locations}


def forms(text):
    return list(text) if isinstance(text, list | tuple) else [text]


def faults(id, string):
    """Return what is wrong with a translation."""
    found = []
    for one, other in zip(forms(id), forms(string), strict=False):
        if not other.strip():
            found.append(f"{one!r} has no translation")
        elif set(PLACEHOLDER.findall(one)) != set(PLACEHOLDER.findall(other)):
            found.append(f"{one!r} and {other!r} have other values")
        elif sorted(MARKUP.findall(one)) != sorted(MARKUP.findall(other)):
            found.append(f"{one!r} and {other!r} have other markup")
        elif (one[0].isspace(), one[-1].isspace()) != (other[0].isspace(), other[-1].isspace()):
            found.append(f"{one!r} and {other!r} begin or end with other blanks")
    return found


@pytest.mark.parametrize("code", OTHERS)
def test_every_text_has_a_translation_of_the_same_values_and_one_word_for_a_thing(code):
    missing = "run: python -m tools.languages, then translate what is new"
    entries = catalog(code)
    assert sorted(map(str, texts().keys() ^ entries.keys())) == [], missing
    moved = [id for id, entry in entries.items() if files_of(entry) != files_of(texts()[id])]
    assert moved == [], "the code has moved; run: python -m tools.languages"
    assert [fault for id, entry in entries.items() for fault in faults(id, entry.string)] == []
    assert [id for id, entry in entries.items() if entry.fuzzy] == []
    plain = {
        id: COMMAND.sub("", PLACEHOLDER.sub("", " ".join(forms(entry.string))))
        for id, entry in entries.items()
    }
    assert [(id, text) for id, text in plain.items() if re.search(OTHER_WORDS[code], text)] == []


def test_a_faulty_translation_is_found():
    faulty = [
        ("Since {when}.", ""),
        ("Since {when}.", "Seit {wann}."),
        ("run <code>x</code>", "x ausführen"),
        (" within {duration}", "innerhalb von {duration}"),
        (("{number} point", "{number} points"), ("{number} Punkt", "")),
    ]
    assert [pair for pair in faulty if not faults(*pair)] == []


def values_that_differ(source):
    """Yield the line of each text that does not get just the values that it names."""
    for call in ast.walk(ast.parse(source)):
        if not isinstance(call, ast.Call) or any(one.arg is None for one in call.keywords):
            continue
        name = getattr(call.func, "id", getattr(call.func, "attr", ""))
        forms_of_it = {"translatable": 1, "say": 1, "translatable_count": 2, "say_count": 2}
        written = call.args[: forms_of_it.get(name, 0)]
        if written and all(isinstance(getattr(a, "value", None), str) for a in written):
            named = {value for a in written for value in PLACEHOLDER.findall(a.value)}
            given = {one.arg for one in call.keywords}
            if named - {"number"} != given - {"number"}:
                yield call.lineno


def test_a_text_gets_the_values_that_it_names():
    assert {
        str(file.relative_to(PACKAGE)): lines
        for file in PACKAGE.rglob("*.py")
        if (lines := list(values_that_differ(file.read_text(encoding="utf-8"))))
    } == {}
    assert list(values_that_differ('translatable("{value} is bad", given=1)')) == [1]


def literals(source):
    """Yield the texts of a page that people see and that no mark hands to a translator."""
    tree = Environment(trim_blocks=True, lstrip_blocks=True).parse(source)  # noqa: S701 - nothing is rendered
    before = ""
    for output in tree.find_all(nodes.Output):
        for node in output.nodes:
            in_tag = before.rfind("<") > before.rfind(">")
            if isinstance(node, nodes.TemplateData):
                text = COMMAND.sub("", node.data)
                before += node.data
                yield from SEEN.findall(text.partition(">")[2] if in_tag else text)
                yield from SEEN_ATTRIBUTE.findall(text)
            elif not in_tag or OPEN_ATTRIBUTE.search(before):
                yield from (text for text in constants(node) if WORD.search(text))


def constants(node):
    """Yield the literal results of an expression: not what it compares, nor what a call or a filter
    takes."""
    match node:
        case nodes.Const(value=str() as text):
            yield text
        case nodes.CondExpr():
            yield from [*constants(node.expr1), *(constants(node.expr2) if node.expr2 else ())]
        case nodes.Concat():
            yield from (text for part in node.nodes for text in constants(part))
        case nodes.Or() | nodes.And() | nodes.Add():
            yield from [*constants(node.left), *constants(node.right)]


def visible(name):
    source = (PACKAGE / "console" / "templates" / name).read_text(encoding="utf-8")
    found = [text.strip() for text in literals(source)]
    return [
        text
        for text in found
        if not ADDRESS.match(text)
        and not text.endswith('="')
        and set(WORD.findall(MARKUP.sub("", text))) - SAME_EVERYWHERE
    ]


def test_a_page_has_no_text_outside_the_language_files():
    console = PACKAGE / "console" / "templates"
    pages = {str(path.relative_to(console)) for path in console.rglob("*.html")} - PROGRAMS
    found = {name: visible(name) for name in sorted(pages)}
    assert {name: shown for name, shown in found.items() if shown} == {}


def test_a_text_without_a_mark_is_found():
    unmarked = [
        "<p>Save it</p>",
        "<p>{{ 'Save it' if x else 'Leave it' }}</p>",
        "<p title=\"{{ 'Save it' }}\"></p>",
        '<p title="Save it"></p>',
        "{% if x %}<b>Save</b>{% endif %}",
        "{{ n }} alarms",
    ]
    marked = ["<p>{{ _('Save it') }}</p>", "<p class=\"{{ 'chosen' if x }} card\">{{ n }}: …</p>"]
    assert [source for source in (*unmarked, *marked) if [*literals(source)]] == unmarked
