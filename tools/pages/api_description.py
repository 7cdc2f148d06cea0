"""The OpenAPI description as it is stored for comparison, without its prose and problem documents:
`tests/console/api/openapi.txt`."""

import json
from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI

from alerting.console.app import PROGRAMS, describe, list_document_kinds
from alerting.console.documents.document_api import DocumentApi

_PROSE = ("description", "summary", "title", "examples", "tags")


def api_description() -> str:
    """Return a line for each parameter, body and answer of an operation, and each field of a
    schema."""
    found = describe_api()
    lines = [*_operations(found["paths"]), *_schemas(found["components"]["schemas"])]
    return "".join(f"{line}\n" for line in sorted(lines))


def describe_api() -> dict[str, Any]:
    """Return the OpenAPI description of the API, as a console has it."""
    app = FastAPI(openapi_url=None)
    kinds = list_document_kinds()
    app.state.document_kinds = kinds
    for program in (*PROGRAMS, *(DocumentApi(kind).router() for kind in kinds)):
        app.include_router(program)
    describe(app)
    return app.openapi()


def _operations(paths: dict[str, Any]) -> Iterator[str]:
    for path, operations in paths.items():
        for method, one in operations.items():
            name = f"{method.upper()} {path}"
            yield f"{name} {one['operationId']}"
            for given in one.get("parameters", ()):
                yield f"{name} {given['in']} {given['name']}: {_line(given)}"
            for media, body in one.get("requestBody", {}).get("content", {}).items():
                yield f"{name} body {media}: {_line(body)}"
            for status, answer in one["responses"].items():
                content = _line(answer.get("content", {})) if status < "400" else ""
                yield f"{name} {status} {content}".rstrip()


def _schemas(schemas: dict[str, Any]) -> Iterator[str]:
    for name, schema in schemas.items():
        fields = schema.get("properties", {})
        yield f"{name}: {_line({key: schema[key] for key in schema if key != 'properties'})}"
        yield from (f"{name}.{field}: {_line(fields[field])}" for field in fields)


def _line(value: Any) -> str:
    return json.dumps(_plain(value), ensure_ascii=False, sort_keys=True)


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {
            key: _plain(one)
            for key, one in value.items()
            if key not in _PROSE or not isinstance(one, str | list)
        }
    return value
