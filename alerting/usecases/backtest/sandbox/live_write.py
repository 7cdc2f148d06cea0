"""Refusal of operations that only a live platform may do."""

from typing import NoReturn


class LiveWrite(Exception):
    """An in-memory platform was asked for an operation that only a live one may do: a fault in the program."""


def refuse(what: str) -> NoReturn:
    raise LiveWrite(f"an in-memory platform does not {what}")
