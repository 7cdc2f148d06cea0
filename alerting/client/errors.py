"""Errors of the client."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


class ClientError(Exception):
    """A call that did not succeed; the message says why, and never has the token."""


class NoAnswer(ClientError):
    """No answer came, or not all of it; whether the platform did what was asked is not known."""


class FaultOfCall(NamedTuple):
    """One fault of what was sent: its place (fields joined by points), the fault, and a hint,
    empty without one."""

    path: str
    message: str
    hint: str


class ApiProblem(ClientError):
    """A refusal by the platform (RFC 9457). `faults`: each with its place, if there are any.

    `status` 404: there is none of this name; 409, 412: somebody else was first; 422: what was sent
    has a fault; 503: try again later.
    """

    def __init__(self, status: int, title: str, detail: str, faults: Sequence[FaultOfCall]) -> None:
        super().__init__(f"{status} {title}: {detail}")
        self.status = status
        self.title = title
        self.detail = detail
        self.faults = tuple(faults)


def read_problem(status: int, reason: str, document: object) -> ApiProblem:
    """Return the error of a refusal. `document`: its body as read, whatever it is."""
    found: Mapping[str, Any] = document if isinstance(document, dict) else {}
    faults = [
        FaultOfCall(*(str(fault.get(name, "")) for name in FaultOfCall._fields))
        for fault in found.get("faults") or ()
        if isinstance(fault, dict)
    ]
    detail = found.get("detail", "the answer is no problem document: is this the platform?")
    return ApiProblem(status, str(found.get("title", reason)), str(detail), faults)
