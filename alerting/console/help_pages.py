"""The documents as pages of the console: rendered, linked with each other, and searched. They are
in English, and nothing of them is requested from elsewhere."""

import posixpath
import re
import sqlite3
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import metadata
from pathlib import Path
from typing import NamedTuple

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

from alerting.console.access import Viewer
from alerting.console.api.parameters import NameQuery
from alerting.console.rendering import HELP, render
from alerting.console.scripts_and_styles import answer_with, tagged
from alerting.definitions.faults import NotFound
from alerting.settings.shipped_files import shipped

pages = APIRouter(include_in_schema=False)
MOST_FOUND = 20
MOST_TERMS = 12
_WORD = re.compile(r"\w{2,}")
_IMAGES = {".svg": "image/svg+xml", ".png": "image/png", ".webp": "image/webp"}
_TEXTS = (".md", ".yaml", ".py", ".toml")
_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")
_REPLACED = {
    "<table>": '<div class="wide" tabindex="0"><table>',
    "</table>": "</table></div>",
    "&lt;br&gt;": "<br>",
}
"""Parts of a rendered document, and what is shown instead; its texts are escaped before."""


class HelpSection(NamedTuple):
    """A heading with the text below it; `title`: that of its page."""

    address: str
    title: str
    heading: str
    text: str


@pages.get("/docs")
def lead_to_help(_: Viewer) -> Response:
    """Lead from the name of the folder to its pages."""
    return RedirectResponse(HELP)


@pages.get(HELP, response_class=HTMLResponse)
@pages.get(HELP + "/{name:path}", response_class=HTMLResponse)
def show_page(request: Request, _: Viewer, name: str = "", q: NameQuery = "") -> Response:
    """Return a document as a page, a picture of one, or the sections that a search finds. Raises
    NotFound."""
    address = f"{HELP}/{name.removesuffix('.md')}".rstrip("/")
    file = find_documents().get(address)
    if file is None:
        raise NotFound(f"there is no page {address}")
    if file.suffix in _IMAGES:
        return answer_with(tagged(file.read_bytes(), _IMAGES[file.suffix]), request)
    content, sections = read_page(address)
    sections_found = search_help(q) if q.strip() else None
    shown = {"content": content, "sections": sections, "found": sections_found, "wanted": q}
    return HTMLResponse(render("help/help.html", request, **shown))


@cache
def find_documents() -> Mapping[str, Path]:
    """Return documents and their pictures, examples and their folders by address."""
    docs = shipped("docs")
    examples = docs.parent / "config" / "examples"
    inside = [path for folder in (docs, examples) for path in sorted(folder.rglob("*"))]
    return {
        _address(path.relative_to(docs.parent).as_posix()): path
        for path in (docs.parent / "README.md", *docs.parent.glob("CONTRIBUTING.md"), *inside)
        if path.suffix in (*_TEXTS, *_IMAGES) or (path.is_dir() and examples in path.parents)
    }


def _address(path: str) -> str:
    """Return the address of a file by its path from the folder of README.md."""
    name = "" if path == "docs/README.md" else path.removeprefix("docs/").removesuffix(".md")
    return f"{HELP}/{name}".rstrip("/")


@cache
def read_page(address: str) -> tuple[Markup, Sequence[HelpSection]]:
    """Return the page of an address in `find_documents`, and its sections, of which the first has
    its title."""
    file = find_documents()[address]
    path = file.relative_to(shipped("docs").parent).as_posix()
    tokens = _MARKDOWN.parse(_markdown_of(file, path))
    sections = [["", path]]
    for number, token in enumerate(tokens):
        if token.type == "heading_open":
            heading = _plain(tokens[number + 1])
            anchor = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
            token.attrSet("id", anchor)
            sections.append([f"#{anchor}", heading])
        elif token.content:
            sections[-1].append(_plain(token))
        _link(path if file.suffix else f"{path}/", token.children or ())
    content = _MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {})
    for part, shown in _REPLACED.items():
        content = content.replace(part, shown)
    read = [
        HelpSection(address + anchor, sections[1][1], heading, " ".join(texts[1:]))
        for anchor, heading, *texts in sections[1:]
    ]
    return Markup(content), read  # noqa: S704 - HTML is off


def _markdown_of(file: Path, path: str) -> str:
    """Return a document, a list of the files of a folder, or an example as Markdown."""
    if file.is_dir():
        names = [below.name for below in find_documents().values() if below.parent == file]
        return "\n".join([f"# {path}", "", *(f"- [{name}]({name})" for name in names)])
    if not file.exists():  # a wheel has README.md in its description
        return metadata("alerting")["Description"]
    text = file.read_text(encoding="utf-8")
    return text if file.suffix == ".md" else f"# {path}\n\n~~~~~~\n{text}\n~~~~~~"


def _plain(token: Token) -> str:
    """Return the text of a token without marks."""
    parts = token.children or [token]
    return "".join(" " if part.type == "softbreak" else part.content for part in parts)


def _link(path: str, parts: Sequence[Token]) -> None:
    """Change links and pictures of a document to addresses of the console; a link to a file that is
    not shown becomes text."""
    tags: list[str] = []
    for part in parts:
        if part.type == "image":
            part.attrSet("src", _target(path, str(part.attrGet("src"))))
        elif part.type == "link_open":
            target = _target(path, str(part.attrGet("href")))
            tags.append("a" if target else "span")
            part.tag = tags[-1]
            part.attrs = {"href": target} if target else {}
        elif part.type == "link_close":
            part.tag = tags.pop()


def _target(path: str, target: str) -> str:
    """Return where a link of a document leads in the console; empty for a file that is not
    shown."""
    file, mark, anchor = target.partition("#")
    if target.startswith(("#", "https://")):
        return target
    address = _address(posixpath.normpath(posixpath.join(posixpath.dirname(path), file)))
    return address + mark + anchor if address in find_documents() else ""


def search_help(text: str) -> list[HelpSection]:
    """Return the sections that fit a text best, at most `MOST_FOUND`, with the part of their text
    that fits. A word counts by its rarity (BM25), and more in a heading. Records and examples are
    not searched."""
    terms = _WORD.findall(text)[:MOST_TERMS]
    if not terms:
        return []
    rows = _search_index().execute(
        "SELECT address, title, heading, snippet(help, 3, '', '', '…', 25) FROM help "
        "WHERE help MATCH ? ORDER BY bm25(help, 0, 3, 8, 1) LIMIT ?",
        (" OR ".join(f'"{term}"' for term in terms), MOST_FOUND),
    )
    return [HelpSection(*map(str, row)) for row in rows.fetchall()]


@cache
def _search_index() -> sqlite3.Connection:
    """Return the sections of all documents, indexed in memory by the stems of their words."""
    index = sqlite3.connect(":memory:", check_same_thread=False)
    index.execute(
        "CREATE VIRTUAL TABLE help USING fts5"
        "(address UNINDEXED, title, heading, text, tokenize = 'porter unicode61')"
    )
    for address, file in find_documents().items():
        if file.suffix == ".md" and "/" not in address.removeprefix(f"{HELP}/"):
            index.executemany("INSERT INTO help VALUES (?, ?, ?, ?)", read_page(address)[1])
    return index
