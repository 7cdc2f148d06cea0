"""Every class that has a rule is that of an element of some page, and all sizes of type are those
of the design tokens."""

import re
from itertools import chain
from pathlib import Path

from alerting.console.rendering import stylesheet

PACKAGE = Path(__file__).parents[2] / "alerting"
TEMPLATES = PACKAGE / "console" / "templates"
TOKENS = TEMPLATES / "web" / "tokens.css"
SIZES = {"label": "12px", "body": "14px", "lead": "16px", "title": "20px", "figure": "28px"}


def written_words():
    """Return the words of templates and programs, with dashes; one that a value completes ends
    with a dash, or without its digits."""
    files = chain(PACKAGE.rglob("*.html*"), PACKAGE.rglob("*.js"), PACKAGE.rglob("*.py"))
    return {
        word for file in files for word in re.findall(r"[\w-]+", file.read_text(encoding="utf-8"))
    }


def spellings(name):
    """Return how a class may be written: whole, or as what comes before a value."""
    return {name, re.sub(r"\d+$", "", name)} | {
        name[: dash.end()] for dash in re.finditer("-", name)
    }


def test_rules_are_of_classes_that_pages_use():
    selectors = re.findall(r"([^{}]+)\{", re.sub(r"/\*.*?\*/", "", stylesheet(), flags=re.DOTALL))
    names = set(re.findall(r"\.([A-Za-z_][\w-]*)", " ".join(selectors)))
    known = written_words()
    unused = {name for name in names if not spellings(name) & known}
    assert unused == set()


def test_the_type_of_pages_has_five_sizes():
    tokens = TOKENS.read_text(encoding="utf-8")
    stated = {
        name: f"{float(re.search(rf'--{name}: ([.0-9]+)rem', tokens)[1]) * 16:g}px"
        for name in SIZES
    }
    others = [
        (file.name, declaration)
        for file in (*TEMPLATES.rglob("*.css"), *TEMPLATES.rglob("*.html"))
        for declaration in re.findall(
            r"(?<![-\w])font(?:-size)?(?::|=\")\s*([^;}\"]+)", file.read_text(encoding="utf-8")
        )
        if not re.match(rf"var\(--({'|'.join(SIZES)})\)|inherit", declaration)
    ]
    assert (stated, others) == (SIZES, [])
