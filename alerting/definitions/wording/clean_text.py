"""Clean texts of documents for display: without control characters, and without characters that
turn or hide text.

Applied where text leaves the platform: messages, logs, terminals, pages, problem documents.
"""

import re
from collections.abc import Mapping
from typing import Any

_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ "
    r"-/]*[@-~]|(?:\x1b\]|\x9d)[^\x07\x1b\x9c\x9d]*(?:\x07|\x1b\\|\x9c)|\x1b[@-Z\\^_]"
)
"""Commands to a terminal: colours and cursor (CSI), titles and links (OSC), and the short ones."""
_BREAKS = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
# marks, embeddings, overrides, isolates
_DIRECTION = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_NO_WIDTH = re.compile(
    "[\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u2060-\u2065\u206a-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb"
    "\U000e0000-\U000e0fff]"  # tags
)
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f]")
_WRITTEN_OUT = re.compile(f"{_CONTROLS.pattern}|{_DIRECTION.pattern}")
_NO_TEXT = re.compile("[\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")  # lone surrogates, no characters
_FORMULA = re.compile(
    r"((?P<first>^)|[;\t\r\n])(?P<blank>[ \"\xa0\u200b\ufeff\x00]*)"
    r"(?P<cell>[=+\-@\uff1d\uff0b\uff0d\uff20][^;\t\r\n]*)"
)
"""What a spreadsheet program takes for a formula: at the beginning of a text, or of a part of it
where the program divides lines at semicolons or tabs."""
_NUMBER = re.compile(r"[+-][0-9][0-9.,]*([eE][+-]?[0-9]+)?[ \"]*")
_PLAIN = re.compile(r"[\n\x20-\x7e\u00a0-\u00ac\u00ae-\u0233]*")


def clean_text(text: str, *, visible: bool = False) -> str:
    """Return the text with its line ends as `\\n`, tabs as spaces, and without characters that
    control a terminal, or turn or hide text.

    `visible`: control characters and changes of direction are written out (`\\x1b`, `\\u202e`)
    instead of removed. Characters that no encoding can write become U+FFFD. Idempotent.
    """
    if _PLAIN.fullmatch(text):
        return text
    if visible:
        text = _WRITTEN_OUT.sub(_write_out, text)
    text = _BREAKS.sub("\n", _ESCAPES.sub("", text)).replace("\t", " ")
    for removed in (_NO_WIDTH, _DIRECTION, _CONTROLS):
        text = removed.sub("", text)
    return _NO_TEXT.sub("\ufffd", text)


def _write_out(character: re.Match[str]) -> str:
    code = ord(character[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def clean_line(text: str) -> str:
    """Return the result of `clean_text` on one line, with single spaces. Idempotent."""
    return " ".join(clean_text(text).split())


def spreadsheet_text(text: str) -> str:
    """Return the text of a CSV cell with an apostrophe before everything that a spreadsheet program
    would take for a formula; numbers within the text stay. Idempotent."""
    marked = _FORMULA.sub(_mark_formula, text)
    return f"'{marked}" if marked[:1] in ("\t", "\r") else marked


def _mark_formula(match: re.Match[str]) -> str:
    behind = match.string[match.end() : match.end() + 1]
    is_whole = behind not in (";", "\t") or behind == match[1]  # for each way to divide lines
    if match["first"] is None and is_whole and _NUMBER.fullmatch(match["cell"]):
        return match[0]
    return f"{match[1]}{match['blank']}'{match['cell']}"


def clean(value: Any) -> Any:
    """Return a document in which every text is cleaned, names of fields included."""
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, Mapping):
        return {clean(key): clean(item) for key, item in value.items()}
    return [clean(item) for item in value] if isinstance(value, list | tuple) else value
