"""A language in which every word of the platform is a mark, so that a word that stays on a page is
outside the language files."""

import re
from functools import cache
from html.parser import HTMLParser
from types import MappingProxyType

from babel import Locale

from alerting.definitions.wording.language import Language
from tools.languages import all_texts

_WORD = re.compile(r"[^\W\d_]+")
_LEFT = re.compile(r"[^\W\d_]{2,}")
_VALUES_AND_TAGS = re.compile(r"(\{\w+\}|<[^>]*>)")
_READ_ALOUD = ("aria-label", "title", "alt", "placeholder")


@cache
def marked_language():
    """Return German numbers and dates with a mark in the place of each word of every text."""
    texts = {}
    for entry in all_texts():
        forms = [entry.id] if isinstance(entry.id, str) else list(entry.id)
        marked = tuple(_mark(form) for form in forms)
        texts |= dict.fromkeys(forms, marked if len(marked) > 1 else marked[0])
    return Language("de", Locale("de"), MappingProxyType(texts))


def _mark(text):
    parts = _VALUES_AND_TAGS.split(text)
    return "".join(part if i % 2 else _WORD.sub("¤", part) for i, part in enumerate(parts))


def words_left(page, names):
    """Return the words of a page, read or read aloud, that are neither marks nor among these
    names."""
    return sorted({word for text in texts_of(page) for word in _LEFT.findall(text)} - set(names))


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
