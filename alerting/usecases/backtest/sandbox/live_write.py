"""What a pretended platform has no business doing."""

from typing import NoReturn


class LiveWrite(Exception):
    """A pretended platform was asked for something that only a live one may do: a fault in the program."""


def refuse(what: str) -> NoReturn:
    raise LiveWrite(f"a pretended platform does not {what}")
