"""Texts of pictures in mails: as long as there is room, in letters that this machine can draw."""

import re
from functools import lru_cache
from typing import NamedTuple

_FURTHER_FONTS = ("Noto Sans CJK SC", "WenQuanYi Zen Hei", "Droid Sans Fallback", "Noto Sans Thai")


class Fonts(NamedTuple):
    """The families of a picture's texts, those of further scripts where they are installed, and
    all characters that they have."""

    names: list[str]
    characters: frozenset[int]


def drawable(text: str, most: int = 60) -> str:
    """Return a text as a picture shows it: cut to `most` letters, with `…` for what no font of this
    machine has. The description beside the picture has it whole."""
    drawn = fonts().characters
    shown = re.sub("\0+", "…", "".join(c if ord(c) in drawn else "\0" for c in text))
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"


@lru_cache(1)
def fonts() -> Fonts:
    """Return the fonts of this machine that pictures use."""
    from matplotlib.font_manager import (  # noqa: PLC0415 - only mails and trainings need it
        findfont,
        fontManager,
        get_font,
    )

    installed = {font.name for font in fontManager.ttflist}
    names = ["DejaVu Sans", *(name for name in _FURTHER_FONTS if name in installed)]
    characters = (get_font(findfont(name)).get_charmap() for name in names)
    return Fonts(names, frozenset().union(*characters))
