"""Write all texts of the platform into its language files: `python -m tools.languages`.

New texts appear there without a translation, and `tests/definitions/wording/test_languages.py`
fails until they have one.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_file
from babel.messages.pofile import read_po, write_po

from alerting.console.rendering import IN_ENGLISH as PAGES_IN_ENGLISH
from alerting.definitions.wording.language import LANGUAGES

PACKAGE = Path(__file__).parents[1] / "alerting"
IN_ENGLISH = ("cli", "demo", "local")
"""Folders whose texts are those of commands, which are in English."""
FOLDER = PACKAGE / "definitions" / "wording"
HEAD = "# Texts of the platform. Glossary and rules: docs/languages.md"
"""What a new file begins with."""
ONE = frozenset({"translatable", "template", "say"})
"""The functions of the code whose first argument is a text; those of templates are `_` and `_n`."""
SEVERAL = ("say_count", "translatable_count", "templates")
"""The functions whose first two arguments are the forms of one text."""
TWO_VALUES = re.compile(r"\{\w+\}\W+\{\w+\}|\}:")
LETTER = re.compile(r"[^\W\d_]|“")
PLACEHOLDER = re.compile(r"\{(\w+)\}")
Id = str | tuple[str, ...]


def texts() -> Iterator[tuple[str, Id]]:
    """Yield the file and id of every text of code and templates that is to be translated."""
    for path in sorted([*PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.html")]):
        if path.relative_to(PACKAGE).as_posix().startswith(IN_ENGLISH) or is_in_english(path):
            continue
        found = (
            _texts_of_page(path)
            if path.suffix == ".html"
            else _texts_of_code(path.read_text(encoding="utf-8"))
        )
        yield from (
            (path.relative_to(PACKAGE.parent).as_posix(), id) for id in found if is_text(id)
        )


def is_in_english(page: Path) -> bool:
    """Return whether only engineers see a page."""
    return page.as_posix().endswith(PAGES_IN_ENGLISH)


def is_text(id: Id) -> bool:
    """Return whether a text has words, or an order of values that can differ between languages."""
    return any(
        LETTER.search(PLACEHOLDER.sub("", one)) or TWO_VALUES.search(one)
        for one in ([id] if isinstance(id, str) else id)
    )


def _texts_of_page(path: Path) -> Iterator[Id]:
    options = {"trim_blocks": "true", "lstrip_blocks": "true"}
    for _, found, _, _ in extract_from_file(
        "jinja2", path, {"_": None, "_n": (1, 2)}, options=options
    ):
        yield found


def _texts_of_code(source: str) -> Iterator[Id]:
    """Yield the literal texts, also those inside f-strings, which Babel's own reader does not
    see."""
    if not any(f"{name}(" in source for name in (*ONE, *SEVERAL)):
        return
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = (
            node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        )
        if isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value) == "ENGLISH":
            continue  # a text for engineers
        given = [
            a.value
            for a in node.args[:2]
            if isinstance(a, ast.Constant) and isinstance(a.value, str)
        ]
        if name in ONE and given:
            yield given[0]
        elif name in SEVERAL and len(given) == 2:
            yield given[0], given[1]


def all_texts() -> Catalog:
    """Return the catalog of all texts, without translations."""
    catalog = Catalog()
    for name, id in texts():
        catalog.add(id, locations=[(name, 0)])
    return catalog


def main() -> None:
    """Write the files: translations stay, new texts are added, those that are not used any more are
    removed."""
    found = all_texts()
    for code in LANGUAGES:
        path = FOLDER / f"{code}.po"
        if code == "en":
            continue
        catalog = Catalog(code, project="alerting", version="1", header_comment=HEAD, fuzzy=False)
        if path.exists():
            with path.open("rb") as stream:
                catalog = read_po(stream, locale=code)
        catalog.update(found, no_fuzzy_matching=True, update_creation_date=False)
        with path.open("wb") as stream:
            write_po(
                stream,
                catalog,
                width=130,
                include_lineno=False,
                sort_by_file=True,
                ignore_obsolete=True,
            )
        missing = [entry.id for entry in catalog if entry.id and not any(entry.string or ())]
        print(f"{path.name}: {len(catalog)} texts, {len(missing)} of them without a translation")


if __name__ == "__main__":
    main()
