"""Names of assets and event types from the texts of a file: `Ofen 2` means the asset Ofen_2, or the
one with this title."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from unicodedata import normalize

from alerting.definitions.asset_documents import NAME_LENGTH, NAME_PATTERN, Asset, EventType
from alerting.definitions.faults import UserError, shown
from alerting.definitions.wording.language import ENGLISH, join_with_and
from alerting.readings.foreign_columns import TITLE_LENGTH, without_accents

Titles = Mapping[str, str | None]
"""Titles by name; None of a name without one."""
_WITHOUT_NAME = {
    "asset": "{text} is not a name of an asset: letters, digits, _ . - only, at most {most}; give "
    "an "
    "asset this title (alerting import assets), or write a name",
    "event type": "{text} is not a name of an event type: letters, digits, _ . - only, at most "
    "{most}; write "
    "a name",
}
_ALMOST = {
    "asset": "{text} is almost {other}: write {name} if it is meant, or give it or another asset "
    "this "
    "title (alerting import assets)",
    "event type": "{text} is almost {other}: write {name} if it is meant, else another name",
}
_ALMOST_EARLIER = {
    "asset": "{text} is almost {other} on an earlier line: write both alike if they are one "
    "asset, or "
    "give each its title (alerting import assets)",
    "event type": "{text} is almost {other} on an earlier line: write both alike if they are one "
    "event type, "
    "else other names",
}
_MISSING = {
    "asset": "there is no asset",
    "event type": "there is no event type",
}
_FURTHER = str.maketrans("łŁđĐı", "lLdDi")


def titles_by_name(declared: Iterable[Asset | EventType]) -> dict[str, str | None]:
    """Return the titles of assets or event types by name."""
    return {one.name: one.title for one in declared}


def is_name(text: str) -> bool:
    """Return whether a text is a legal name as it stands."""
    return len(text) <= NAME_LENGTH and re.fullmatch(NAME_PATTERN, text) is not None


def name_from_text(text: str, prefix: str = "") -> str | None:
    """Return the name after a prefix that a text gives: `Ofen 2` gives `Ofen_2`.

    None for a text without a letter, or with letters that no name can hold: these would be lost.
    """
    spelled = without_accents(text).translate(_FURTHER)
    kept = re.sub(r"[^A-Za-z0-9_.-]+", "_", spelled).strip("_.-")
    is_lossy = any(letter.isalpha() and not letter.isascii() for letter in spelled)
    name = prefix + kept
    if is_lossy or not re.search("[A-Za-z]", kept) or not text.isprintable() or not is_name(name):
        return None
    return name


class TextNames:
    """Names of the assets or event types of one file or delivery, by the texts of its rows.

    A text that is a legal name, with the prefix, is this name. Another text means the one that has
    it as title, else a name is derived. A text that differs from a known name or title, or from
    another text, in capitals and marks only is refused: it may mean the same thing.
    """

    def __init__(self, what: str, prefix: str = "", stored: Callable[[], Titles] = dict) -> None:
        """`what`: asset, or event type. `stored`: gives the titles of those that there are; asked
        only for a text that is no name."""
        self.what = what
        self.texts: dict[str, str] = {}
        """Texts by name, of names that are not written in the file."""
        self.prefix = prefix
        self._read_stored = stored
        self._names: dict[str, str] = {}
        self._legal: list[str] = []
        self._written: dict[str, str] = {}
        self._others: dict[str, str] = {}

    @property
    def missing(self) -> str:
        """Return the reason why a line without a text is bad."""
        return _MISSING[self.what]

    def read(self, given: str) -> str:
        """Return the name for a text. Raises ValueError with the reason if it has none."""
        name = self._names.get(given)
        if name is None:
            name = self._find(given)
            self._names[given] = name
        return name

    def read_option(self, given: str, option: str) -> str:
        """Return the name for the text of an option. Raises UserError if it has none."""
        try:
            return self.read(given)
        except ValueError as reason:
            raise UserError(f"{option}: {reason.args[0]}") from None

    def new_titles(self) -> dict[str, str]:
        """Return the titles of new ones by name: the texts from which the names were derived."""
        return {name: text for name, text in self.texts.items() if name not in self._stored}

    def _find(self, given: str) -> str:
        name = f"{self.prefix}{given}"
        if is_name(name):
            if self._others and name not in self._stored:
                self._refuse_similar(given, self._others.get(_comparable(name)))
            self._legal.append(given)
            return name
        text = _one_spaced(given)
        found = self._titled(text) or self._derive(given, text)
        self._others[_comparable(self.prefix + text)] = text
        if text != found:
            self.texts.setdefault(found, text)
        return found

    def _titled(self, text: str) -> str | None:
        names = [n for n in self._by_title.get(text, ()) if n.startswith(self.prefix)]
        usual = name_from_text(text, self.prefix)
        if len(names) > 1 and usual not in names:
            raise ValueError(
                f"{shown(text)} is the title of {join_with_and(*names[:5])}; write the name"
            )
        return usual if usual in names else next(iter(names), None)

    def _derive(self, given: str, text: str) -> str:
        name = name_from_text(text, self.prefix) if len(text) <= TITLE_LENGTH else None
        if name is None:
            raise ValueError(
                ENGLISH.say(
                    _WITHOUT_NAME[self.what], text=shown(self.prefix + given), most=NAME_LENGTH
                )
            )
        key = _comparable(name)
        title = self._stored.get(name)
        if name not in self._stored or (
            title is not None and _comparable(title) == _comparable(text)
        ):
            self._refuse_stored(text, self._by_comparable.get(key))
        self._refuse_similar(text, self._others.get(key) or self._find_written(key))
        return name

    def _find_written(self, key: str) -> str | None:
        """Return a text with this key that is a name as it stands."""
        while self._legal:
            given = self._legal.pop()
            self._written[_comparable(self.prefix + given)] = given
        return self._written.get(key)

    def _refuse_stored(self, text: str, other: str | None) -> None:
        if other is not None:
            title = self._stored.get(other)
            also = f"{other} ({shown(title)})" if title else other
            raise ValueError(
                ENGLISH.say(_ALMOST[self.what], text=shown(text), other=also, name=other)
            )

    def _refuse_similar(self, text: str, other: str | None) -> None:
        if other is not None and _one_spaced(other) != _one_spaced(text):
            raise ValueError(
                ENGLISH.say(_ALMOST_EARLIER[self.what], text=shown(text), other=shown(other))
            )

    @cached_property
    def _stored(self) -> Titles:
        return self._read_stored()

    @cached_property
    def _by_title(self) -> Mapping[str, list[str]]:
        found = defaultdict[str, list[str]](list)
        for name, title in self._stored.items():
            if title is not None:
                found[_one_spaced(title)].append(name)
        return found

    @cached_property
    def _by_comparable(self) -> Mapping[str, str]:
        """Return the names by the keys of them and of their titles."""
        titles = {
            _comparable(title): name for name, title in self._stored.items() if title is not None
        }
        return titles | {_comparable(name): name for name in self._stored}


def _one_spaced(text: str) -> str:
    return re.sub(r"[ \u00a0\u2007\u2009\u202f]+", " ", normalize("NFC", text)).strip(" ")


def _comparable(text: str) -> str:
    """Return a text in small letters, with one space for all marks between words and numbers."""
    return " ".join(re.findall(r"[^\W_]+", without_accents(text).casefold()))
