"""A pseudo-language: each text of the platform stands in brackets, and each of its words is a mark
that is a third longer. A word that stays on a page is outside the language files, and a text that
is cut off has too little room in some language."""

import re
from functools import cache
from html.parser import HTMLParser
from math import ceil
from types import MappingProxyType

from babel import Locale

from alerting.definitions.wording.language import Language
from tools.languages import all_texts

OPEN = "\u27e6"
CLOSE = "\u27e7"
MARK = "\u0175"  # a letter, so that a browser breaks lines as in words
_WORD = re.compile(r"[^\W\d_]+")
_LEFT = re.compile(r"[^\W\d_]{2,}")
_SENTENCE = re.compile(r"(.*?)([.:!?]?\s*)", re.DOTALL)
_VALUES_AND_TAGS = re.compile(r"(\{\w+\}|<[^>]*>)")
_READ_ALOUD = ("aria-label", "title", "alt", "placeholder")


@cache
def pseudo_language(*_):
    """Return the language, with German numbers and dates."""
    texts = {}
    for entry in filter(lambda one: one.id, all_texts()):
        forms = [entry.id] if isinstance(entry.id, str) else list(entry.id)
        marked = tuple(_mark(form) for form in forms)
        texts |= dict.fromkeys(forms, marked if len(marked) > 1 else marked[0])
    return Language("de", Locale("de"), MappingProxyType(texts))


def dates_and_units():
    """Return the words with which the language writes dates and durations, and the platform's own
    name and units: no text of a
    language file."""
    names = pseudo_language().locale
    dates = (names.months["format"]["abbreviated"], names.days["format"]["abbreviated"])
    return {one.strip(".") for of in dates for one in of.values()} | {
        "min",
        "kg",
        "kN",
        "Pa",
        "UTC",
        "Alerting",
    }


def _mark(text):
    body, end = _SENTENCE.fullmatch(text).groups()
    parts = _VALUES_AND_TAGS.split(body)
    marked = "".join(part if i % 2 else _WORD.sub(_longer, part) for i, part in enumerate(parts))
    return f"{OPEN}{marked}{CLOSE}{end}"


def _longer(word):
    return MARK * ceil(len(word[0]) * 4 / 3)


def words_left(page, names):
    """Return the words of a page, read or read aloud, that are neither marks nor among these
    names."""
    return words_of_text("\n".join(texts_of(page)), names)


def words_of_text(text, names):
    """Return the words of a plain text that are neither marks nor among these names."""
    passed = {name.lower() for name in names}
    return sorted(
        word
        for word in {*_LEFT.findall(text)}
        if set(word.lower()) != {MARK} and word.lower() not in passed
    )


def bare_words(message, people):
    """Return the words of a message that are neither marks nor in one of these whole texts of
    people."""
    for text in sorted(people, key=len, reverse=True):
        message = re.sub(rf"(?<!\w){re.escape(text)}(?!\w)", " ", message)
    return words_of_text(message, dates_and_units() - {"UTC"})


def written_by_people(platform):
    """Return the texts that people wrote of a plant: names, titles, units and guidance, each as a
    whole."""
    texts = {type.name for type in platform.assets.event_types()}
    for asset in platform.assets.all():
        texts |= {asset.name, asset.title or ""}
        for name, variable in asset.variables.items():
            texts |= {name, variable.title or "", variable.unit or ""}
    for document in platform.definitions.documents():
        texts |= {document["name"], document.get("title") or ""}
        texts |= {text.rstrip(".") for text in document.get("guidance", {}).values()}
    begin_sentences = {text[:1].upper() + text[1:] for text in texts}
    return {text for text in texts | begin_sentences if len(text) > 1}


def texts_of(page):
    """Return all texts of a page that people see or hear."""
    reader = _Reader()
    reader.feed(page)
    return reader.found


class _Reader(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []
        self.tag = ""

    def handle_starttag(self, tag, attrs):
        self.tag = tag
        self.found += [value for name, value in attrs if name in _READ_ALOUD and value]

    def handle_data(self, data):
        if self.tag != "style" and data.strip():
            self.found.append(data.strip())
