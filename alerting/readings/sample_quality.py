"""Quality of samples according to their source: good, uncertain, or bad; and its notation in the
usual systems.

A sample of bad quality has no value: it is neither evaluated, nor used for learning, nor stored. An
uncertain one counts like a good one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Literal, TypeAlias, cast

from alerting.deferred import np, npt

Quality = Literal["uncertain", "bad"]
Grade = Literal["good", "uncertain", "bad"]
Codes = Literal["opc-ua", "opc-da"]
Instants: TypeAlias = "npt.NDArray[np.int64]"
_WORD = re.compile(r"(good|uncertain|bad)(?![a-z])", re.IGNORECASE)
_CAMEL = re.compile(r"(Good|Uncertain|Bad)[A-Z]")
_NUMBER = re.compile(r"-?\d{1,10}|0[xX][0-9a-fA-F]{1,8}")
_SHORT = 1 << 16
_STATUS = 1 << 32
_DA_GRADES: Mapping[int, Grade] = {
    **dict.fromkeys(range(0, 32, 4), "bad"),
    **dict.fromkeys((64, 68, 80, 84, 88), "uncertain"),
    **dict.fromkeys((192, 216), "good"),
}


@cache
def no_instants() -> Instants:
    """Return no instants."""
    return np.empty(0, np.int64)


@dataclass(frozen=True)
class Doubts:
    """Instants (ms) of samples whose quality is not good, by variable with some."""

    bad: Mapping[str, Instants] = field(default_factory=dict)
    uncertain: Mapping[str, Instants] = field(default_factory=dict)


NO_DOUBTS = Doubts()


def join_instants(parts: Sequence[Mapping[str, Instants]]) -> dict[str, Instants]:
    """Return the instants of several parts by variable, increasing."""
    return {
        name: np.unique(np.concatenate([part[name] for part in parts if name in part]))
        for name in sorted({name for part in parts for name in part})
    }


def find_members(ts: Instants, instants: Instants) -> npt.NDArray[np.bool_]:
    """Return which of the instants are in another, increasing list of instants."""
    if not len(instants):
        return np.zeros(len(ts), np.bool_)
    position = np.minimum(np.searchsorted(instants, ts), len(instants) - 1)
    found: npt.NDArray[np.bool_] = instants[position] == ts
    return found


def grade(text: str, codes: Codes | None = None) -> Grade | None:
    """Return the quality of a text; None for any other text.

    Also None for a number that may be a code of both kinds, unless `codes` names the kind.

    Understood are the words good, uncertain and bad; names of OPC UA status codes
    (BadSensorFailure, Bad_SensorFailure) and these codes as numbers (0x808C0000, 2156658688), by
    their two highest bits (OPC UA part 4, StatusCode); and the quality of OPC DA (192, 64, 0 and
    the additions of its lower bits; OPC DA 3.0, 6.8).
    """
    word = _WORD.match(text.replace("_", " ")) or _CAMEL.match(text)
    if word:
        return cast(Grade, word[1].lower())
    kind = codes or _kind(text)
    if kind is None or not _NUMBER.fullmatch(text):
        return None
    number = _as_number(text)
    return (
        _status(number)
        if kind == "opc-ua"
        else _DA_GRADES.get(number & 0xFC)
        if 0 <= number < _SHORT
        else None
    )


def why_no_quality(text: str, codes: Codes | None) -> str:
    """Return the reason why a text is no quality, in plain words."""
    if codes is None and _NUMBER.fullmatch(text) and _kind(text) is None:
        zero = " (0 is good there and bad here)" if text == "0" else ""
        return (
            f"{text!r} may be a status code of OPC UA or a quality of OPC DA{zero}: choose one "
            "with --quality-codes"
        )
    return (
        f"{text!r} is not a quality: write good, uncertain or bad, a status code of OPC UA, or "
        "192, 64 or 0 of OPC DA"
    )


def _kind(text: str) -> Codes | None:
    """Return the only kind of code that a number can be; None where both are possible."""
    if not _NUMBER.fullmatch(text):
        return None
    number = _as_number(text)
    if not 0 <= number < _SHORT or (text[1:2] in ("x", "X") and len(text) == len("0x00000000")):
        return "opc-ua"
    return "opc-da" if 4 <= number < 256 else None


def _as_number(text: str) -> int:
    return int(text, 16 if text[1:2] in ("x", "X") else 10)


def _status(number: int) -> Grade | None:
    """Return the quality by the highest two of 32 bits, also of a negative number."""
    if not -_STATUS // 2 <= number < _STATUS:
        return None
    severity = number % _STATUS * 4 // _STATUS
    return "good" if severity == 0 else "uncertain" if severity == 1 else "bad"
