"""Text that is shown: control characters are removed, or written out where an operator is to see
them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerting.definitions.wording.clean_text import clean_text

pytestmark = pytest.mark.fast

HIDDEN = [
    *map(chr, (*range(0x09), *range(0x0E, 0x20), *range(0x7F, 0x85), *range(0x86, 0xA0))),
    "\u202e",
    "\u2066",
    "\u061c",
]


@pytest.mark.parametrize(
    ("text", "removed", "written_out"),
    [
        ("a\x1b[2Jb", "ab", "a\\x1b[2Jb"),
        ("\x9b31mred", "red", "\\x9b31mred"),
        ("a\u202eb", "ab", "a\\u202eb"),
        ("a\x07b", "ab", "a\\x07b"),
        ("soft\u00adhyphen\u200b", "softhyphen", "softhyphen"),
        ("one\r\ntwo\tthree", "one\ntwo three", "one\ntwo three"),
        ("é ≤ 温 💥", "é ≤ 温 💥", "é ≤ 温 💥"),
        ("half \ud800", "half \ufffd", "half \ufffd"),
    ],
)
def test_control_characters_are_removed_or_written_out(text, removed, written_out):
    assert clean_text(text) == removed
    assert clean_text(text, visible=True) == written_out


@given(st.text(alphabet=st.one_of(st.characters(), st.sampled_from(HIDDEN))))
def test_no_control_character_is_left_and_a_second_time_changes_nothing(text):
    for visible in (False, True):
        shown = clean_text(text, visible=visible)
        assert not [c for c in HIDDEN if c in shown]
        assert clean_text(shown, visible=visible) == shown
