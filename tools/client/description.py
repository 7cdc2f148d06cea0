"""The description of the API, by subject: operations, and the schemas that each subject uses."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from fastapi import APIRouter, FastAPI

from alerting.console.api.openapi import describe
from alerting.console.app import PROGRAMS
from alerting.console.web.later import LaterRoutes

Schema = Mapping[str, Any]
PREFIX = "/api/v1"
JOINED = {
    "health": "platform",
    "access": "platform",
    "notifications": "platform",
    "imports": "readings",
}
"""Small subjects that share a module; every other has its own."""


class Operation(NamedTuple):
    """One operation: its method and path below the prefix, and its part of the description."""

    method: str
    path: str
    content: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The name of the client's method."""
        return str(self.content["operationId"])


def description() -> dict[str, Any]:
    """Return the description of the API, as a console serves it."""
    app = FastAPI(title="Alerting", version="1", openapi_url=None)
    # what answers need: nothing is asked here
    app.state.platform = None
    app.state.source_readers = None
    app.state.sink_opener = None
    for one in PROGRAMS:
        app.router.routes.extend(
            one.routes if isinstance(one, APIRouter) else [LaterRoutes(app, one)]
        )
    describe(app)
    return app.openapi()


def by_module(described: Mapping[str, Any]) -> dict[str, list[Operation]]:
    """Return the operations by module of the client. Raises ValueError for a name used twice."""
    found: dict[str, list[Operation]] = {}
    names: set[str] = set()
    for path, operations in described["paths"].items():
        for method, content in operations.items():
            one = Operation(method.upper(), path.removeprefix(PREFIX), content)
            if one.name in names:
                raise ValueError(f"two operations are called {one.name}: give one operation_id=")
            names.add(one.name)
            (subject,) = content["tags"]
            found.setdefault(JOINED.get(subject, subject), []).append(one)
    return dict(sorted(found.items()))


def references(part: object) -> set[str]:
    """Return the names of schemas to which a part of the description refers."""
    return set(_references(part))


def _references(part: object) -> Iterator[str]:
    if isinstance(part, Mapping):
        for key, value in part.items():
            if key == "$ref":
                yield value.rpartition("/")[2]
            else:
                yield from _references(value)
    elif isinstance(part, list):
        for value in part:
            yield from _references(value)


def shapes_by_module(
    modules: Mapping[str, list[Operation]], schemas: Mapping[str, Schema]
) -> dict[str, set[str]]:
    """Return the schemas by module that uses them, `shared` for those that more than one uses."""
    users: dict[str, set[str]] = {}
    for module, operations in modules.items():
        for name in _used([one.content for one in operations], schemas):
            users.setdefault(name, set()).add(module)
    found: dict[str, set[str]] = {"shared": set()}
    for name, by in users.items():
        found.setdefault(min(by) if len(by) == 1 else "shared", set()).add(name)
    return found


def _used(part: object, schemas: Mapping[str, Schema]) -> set[str]:
    found: set[str] = set()
    rest = references(part)
    while rest:
        name = rest.pop()
        if name not in found:
            found.add(name)
            rest |= references(schemas[name])
    return found - {"Problem", "ProblemFault"}


def sent_shapes(modules: Mapping[str, list[Operation]], schemas: Mapping[str, Schema]) -> set[str]:
    """Return the schemas that bodies of requests use."""
    bodies = [one.content.get("requestBody") for own in modules.values() for one in own]
    return _used(bodies, schemas)
