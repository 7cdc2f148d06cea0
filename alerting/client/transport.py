"""Requests to the API: bounded in time and size, repeated only where that changes nothing."""

import json
import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from time import sleep
from types import TracebackType
from typing import Any, Self, cast
from urllib.parse import quote
from uuid import uuid4

import httpx

from alerting.client.errors import ClientError, NoAnswer, read_problem
from alerting.client.values import FileContent

PREFIX = "/api/v1"
TOKEN = "ALERTING_TOKEN"  # noqa: S105 - the name of a variable
ADDRESS = "ALERTING_ADDRESS"
LOCAL = "http://127.0.0.1:8000"
TRIES = 3
LARGEST_ANSWER = 1 << 30
LONGEST_WAIT = 30.0
_BRIEFLY_AWAY = frozenset({429, 502, 503, 504})
_KEY = "idempotency-key"


class Transport:
    """Sends requests with a token, and reads their answers."""

    def __init__(
        self,
        address: str | None = None,
        token: str | None = None,
        *,
        timeout: float = 60.0,
        verify: bool | str = True,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """Prepare requests; nothing is sent yet. Raises ClientError without a token.

        `address`: of the console, with its path prefix if it has one; `ALERTING_ADDRESS` when left
        out, else that of this machine. `token`: `ALERTING_TOKEN` when left out. `timeout`: seconds
        without progress after which a request ends. `verify`: the file of the plant's certificate
        authority, if the system does not know it. `transport`: of httpx, instead of the network.
        """
        token = token or os.environ.get(TOKEN)
        if not token:
            raise ClientError(f"there is no token: give token=, or set {TOKEN}")
        base = (address or os.environ.get(ADDRESS) or LOCAL).rstrip("/")
        self._http = httpx.Client(
            base_url=base + PREFIX,
            headers={"authorization": f"Bearer {token}"},
            timeout=timeout,
            verify=verify,
            transport=transport,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        headers: Mapping[str, object] | None = None,
        body: object = None,
        file_type: str = "",
    ) -> Any:
        """Return the JSON of an answer, None of one without content. Raises ApiProblem for a
        refusal, NoAnswer if none came."""
        content = self.read_bytes(
            method, path, query=query, headers=headers, body=body, file_type=file_type
        )
        if not content:
            return None
        try:
            return json.loads(content)
        except ValueError as fault:
            raise ClientError(f"{method} {path}: the answer is not JSON") from fault

    def read_text(self, method: str, path: str, **parts: Any) -> str:
        """Return the text of an answer."""
        return self.read_bytes(method, path, **parts).decode()

    def read_bytes(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        headers: Mapping[str, object] | None = None,
        body: object = None,
        file_type: str = "",
    ) -> bytes:
        """Return the content of an answer, of at most 1 GiB. `file_type`: of a body that is a
        file."""
        sent = {name: str(value) for name, value in (headers or {}).items() if value is not None}
        if headers is not None and _KEY in headers:
            sent.setdefault(_KEY, uuid4().hex)
        may_repeat = method == "GET" or _KEY in sent
        content, kind = _encode(body, file_type)
        request = self._http.build_request(
            method,
            path,
            params=_query(query or {}),
            headers=sent | ({"content-type": kind} if kind else {}),
            content=content,
        )
        for tried in range(1, TRIES + 1):
            is_last = tried == TRIES or not may_repeat
            try:
                answer, found = self._send(request)
            except httpx.TransportError as fault:
                if is_last:
                    raise NoAnswer(f"{method} {path}: {type(fault).__name__}: {fault}") from fault
                sleep(_pause(tried, None))
                continue
            if answer.is_success:
                return found
            if is_last or answer.status_code not in _BRIEFLY_AWAY:
                raise read_problem(answer.status_code, answer.reason_phrase, _parsed(found))
            sleep(_pause(tried, answer.headers.get("retry-after")))
        raise AssertionError  # the last try returns or raises

    def _send(self, request: httpx.Request) -> tuple[httpx.Response, bytes]:
        answer = self._http.send(request, stream=True)
        try:
            parts = []
            size = 0
            for part in answer.iter_bytes():
                size += len(part)
                if size > LARGEST_ANSWER:
                    raise ClientError(f"the answer has more than {LARGEST_ANSWER} bytes")
                parts.append(part)
        finally:
            answer.close()
        return answer, b"".join(parts)


def segment(value: object) -> str:
    """Return a value as one part of a path."""
    return quote(str(value), safe="")


def _query(given: Mapping[str, object]) -> httpx.QueryParams:
    found: list[tuple[str, str | int | float | bool | None]] = []
    for name, value in given.items():
        is_list = isinstance(value, Sequence) and not isinstance(value, str)
        values = cast("Sequence[object]", value) if is_list else [value]
        found += [(name, _text(one)) for one in values if one is not None]
    return httpx.QueryParams(found)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _encode(body: object, file_type: str) -> tuple[FileContent | None, str | None]:
    """Return the content of a body and its type: a file, YAML as text, or JSON."""
    if body is None:
        return None, None
    if isinstance(body, bytes) or hasattr(body, "read"):
        return cast("FileContent", body), file_type
    if isinstance(body, str):
        return body.encode(), "application/yaml"
    return json.dumps(body, default=_text).encode(), "application/json"


def _parsed(content: bytes) -> object:
    try:
        return json.loads(content)
    except ValueError:
        return None


def _pause(tried: int, asked: str | None) -> float:
    """Return the seconds before the next try. `asked`: `Retry-After`."""
    usual = 0.5 * 2 ** (tried - 1)
    return min(LONGEST_WAIT, float(asked)) if asked and asked.isdecimal() else usual
