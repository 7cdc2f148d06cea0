"""Client of the API: it reads the platform's own description, and offers each operation by its id.

    with Client("https://alerting.plant.example", token) as client:
        for episode in client.iterate("list_episodes", open=True):
            print(episode["message"])

It imports nothing else of the platform, and needs httpx alone.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import cached_property, partial
from inspect import Parameter, Signature
from keyword import iskeyword
from time import sleep
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx

_JSON = "application/json"


class ApiProblem(Exception):
    """A refusal by the platform (RFC 9457). `faults`: each with its `path`, `message` and `hint`.

    `status` 404: there is none of this name; 409, 412: somebody else was first; 422: what was sent
    has a fault; 503: try again later.
    """

    def __init__(
        self, status: int, title: str, detail: str, faults: tuple[Mapping[str, str], ...]
    ) -> None:
        super().__init__(f"{status} {title}: {detail}")
        self.status = status
        self.title = title
        self.detail = detail
        self.faults = faults


class Client(httpx.Client):
    """Client of the API. `client.show_asset("oven-1")` is `client.call("show_asset", "oven-1")`."""

    def __init__(self, address: str, token: str, **options: Any) -> None:
        """Prepare requests; nothing is sent yet. Raises ValueError for what cannot be a token.

        `address`: of the console, with its path prefix if it has one. `options`: of `httpx.Client`,
        such as `timeout`, or `verify` with the plant's certificate authority.
        """
        if token.split() != [token] or not (token.isascii() and token.isprintable()):
            raise ValueError("the token is empty, or has blanks or letters that no token has")
        super().__init__(
            **{
                "base_url": address,
                "headers": {"authorization": f"Bearer {token}"},
                "timeout": 60.0,
                **options,
            }
        )

    @cached_property
    def operations(self) -> Mapping[str, Mapping[str, Any]]:
        """Return the operations of this platform by id, as its description (OpenAPI) states them,
        each with `method` and `path`. Raises ApiProblem or ConnectionError."""
        return {
            described["operationId"]: described | {"method": method.upper(), "path": path}
            for path, methods in self._ask(
                "GET", "/api/v1/openapi.json", {"200": {"content": (_JSON,)}}
            )["paths"].items()
            for method, described in methods.items()
            if "text/event-stream" not in described["responses"].get("200", {}).get("content", ())
        }

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        if operation.startswith("_"):
            raise AttributeError(operation)
        return partial(self.call, operation)

    def call(self, operation: str, /, *values: Any, **parameters: Any) -> Any:
        """Return the answer of an operation: the value of JSON, else text or bytes, None of none.

        `values`: the parts of the path in their order, then the body: a value for JSON, a text for
        YAML, bytes or an open file. `parameters`: the others (`from_` is sent as `from`, `if_match`
        as `if-match`); None leaves one out. What reads, or has an idempotency key, is sent up to
        three times while the platform is away, all else once. Raises TypeError for a call that the
        platform does not offer, before it is sent; ApiProblem for a refusal; ConnectionError
        without an answer: it is not known then whether it was done.
        """
        described = self.operations.get(operation)
        if described is None:
            raise TypeError(
                f"there is no operation {operation!r}; near to it: "
                f"{', '.join(get_close_matches(operation, self.operations)) or 'none'}"
            )
        taken = _parameters(described)
        signature = Signature([parameter for parameter, _, _ in taken])
        sent = {
            name: value.isoformat() if hasattr(value, "isoformat") else value
            for name, value in parameters.items()
            if value is not None
        }
        try:
            bound = signature.bind(*values, **sent).arguments
        except TypeError as fault:
            raise TypeError(f"{fault}: {operation}{signature}") from None
        places: dict[str, dict[str, Any]] = {"path": {}, "query": {}, "header": {}, "body": {}}
        for parameter, place, name in taken:
            if parameter.name in bound:
                places[place][name] = bound[parameter.name]
        if empty := [name for name, value in places["path"].items() if value in (None, "")]:
            raise TypeError(f"{operation} needs {', '.join(empty)}")
        body = bound.get("body")
        is_file = isinstance(body, str | bytes) or hasattr(body, "read")
        return self._ask(
            described["method"],
            described["path"].format_map(
                {
                    name: quote(str(value), safe="").replace(".", "%2E")
                    for name, value in places["path"].items()
                }
            ),
            described["responses"],
            params=places["query"],
            headers={name: uuid4().hex for _, _, name in taken if name == "idempotency-key"}
            | {name: str(value) for name, value in places["header"].items()}
            | (
                {}
                if body is None
                else {
                    "content-type": next(
                        (
                            kind
                            for kind in described["requestBody"]["content"]
                            if is_file and kind != _JSON
                        ),
                        _JSON,
                    )
                }
            ),
            content=body
            if is_file or body is None
            else json.dumps(body, default=lambda value: value.isoformat()),
        )

    def iterate(self, operation: str, /, *values: Any, **parameters: Any) -> Iterator[Any]:
        """Yield each item of an operation that answers with a list, page by page. Raises as `call`
        does."""
        cursor: dict[str, Any] | None = {}
        while cursor is not None:
            page = self.call(operation, *values, **parameters | cursor)
            yield from page if isinstance(page, list) else page["items"]
            following = page.get("next") if isinstance(page, dict) else None
            cursor = following and {
                name: following
                for _, _, name in _parameters(self.operations[operation])
                if name in ("cursor", "before", "after")
            }

    def _ask(
        self,
        method: str,
        path: str,
        described: Mapping[str, Any],
        pauses: Sequence[float] = (0.5, 1.0),
        **parts: Any,
    ) -> Any:
        # a change is repeated under its key alone, and no file is: its content has been read then
        pauses = (
            pauses
            if method == "GET"
            or ("idempotency-key" in parts["headers"] and not hasattr(parts["content"], "read"))
            else ()
        )
        try:
            answer = self.request(method, path, **parts)
        except httpx.RequestError as fault:
            if not pauses:
                raise ConnectionError(
                    f"{method} {path}: {type(fault).__name__}: {fault}"
                ) from fault
            answer = httpx.Response(503)
        if not pauses or answer.status_code not in (429, 502, 503, 504):
            return _read(answer, described)
        pause = answer.headers.get("retry-after", "")
        sleep(min(30.0, float(pause)) if pause.isdecimal() else pauses[0])
        return self._ask(method, path, described, pauses[1:], **parts)


def _parameters(operation: Mapping[str, Any]) -> list[tuple[Parameter, str, str]]:
    """Return each parameter of an operation with its place and its name in a request: the parts of
    the path and the body, which can be given by place, and the others."""
    return [
        (
            Parameter(
                parameter["name"].replace("-", "_") + "_" * iskeyword(parameter["name"]),
                kind,
                default=Parameter.empty if parameter.get("required") else None,
            ),
            parameter["in"],
            parameter["name"],
        )
        for kind, places in (
            (Parameter.POSITIONAL_OR_KEYWORD, ("path", "body")),
            (Parameter.KEYWORD_ONLY, ("query", "header")),
        )
        for parameter in [
            *operation.get("parameters", ()),
            *[
                {"name": "body", "in": "body"} | part
                for key, part in operation.items()
                if key == "requestBody"
            ],
        ]
        if parameter["in"] in places
    ]


def _read(answer: httpx.Response, described: Mapping[str, Any]) -> Any:
    kind = answer.headers.get("content-type", "").partition(";")[0]
    if answer.is_success and (
        not answer.content
        or any(kind in response.get("content", ()) for response in described.values())
    ):
        if kind == _JSON:
            return answer.json()
        return answer.text if kind.startswith("text/") else answer.content or None
    problem = answer.json() if kind == "application/problem+json" else {}
    raise ApiProblem(
        answer.status_code,
        problem.get("title", answer.reason_phrase),
        problem.get("detail", "no answer of the API: is this the address of the platform?"),
        tuple(problem.get("faults") or ()),
    )
