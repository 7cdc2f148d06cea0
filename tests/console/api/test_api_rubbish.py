"""Every parameter and body of the whole API and of every page gets rubbish: each is refused with a
sentence, none is a 500.

The walk is made from the API's own description, so that a new operation is walked the day it is
written. What is answered is compared with what is declared.
"""

import json
from datetime import timedelta
from itertools import product
from urllib.parse import quote, urlencode

import pytest
from fastapi.testclient import TestClient

from alerting.adapters.memory.platform import memory_platform
from alerting.adapters.mongo.mongo import MongoStores
from alerting.adapters.scored_files import PredictFolder
from alerting.console.app import create_app
from alerting.console.plant.import_jobs import Imports
from alerting.stores.database.documents import SCHEMA
from tests.builders import at
from tests.helpers.console.api import TOKENS
from tests.helpers.console.pages import csrf_of
from tests.helpers.console.rubbish import (
    ADMIN,
    ADMIN_TOKEN,
    VALID,
    body_of,
    filled,
    no_messages,
    operations,
    path_of,
    required,
)
from tests.helpers.databases import empty_database
from tests.helpers.samples import a_share_of
from tests.in_memory_platform import HandClock, MemoryModels, in_memory_platform

pytestmark = pytest.mark.usefixtures("streams_end")
DIGITS = "9" * 20_000
TEXTS = [
    "", " ", "\0", "a\0b", "\u202eabc", "x" * 201, "x" * 20_000, "💥", "../../etc/passwd", "$where",
    (
        "{'$gt': "
        "''}"
    ), "[", "((((((",
    "*a" * 90, "a\r\nset-cookie: b", "\x1b[31m", "nan", "-1", "\ufffe", "éa\u0301",
]  # fmt: skip
TIMES = [
    "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59Z",
    "9999-12-31T23:59:59-14:00",
    "1899-12-31T23:59:59Z", "2200-01-01T00:00:01Z", "1900-01-01T00:00:00Z", "2199-12-31T00:00:00Z",
    "-62135596800", "253402300799",
    "99999999999999999999", "1e300", "nan", "inf", "2026-02-30T00:00:00Z", "2026-01-01",
    "yesterday", "", "2026-01-05T00:00:00", DIGITS,
]  # fmt: skip
NUMBERS = [
    "",
    "0",
    "-1",
    "1.5",
    "1e9",
    "NaN",
    "Infinity",
    "0x10",
    " 5 ",
    "٣",
    "true",
    "9223372036854775808",
    DIGITS,
]
CURSORS = [
    "abc",
    "\0",
    "====",
    "MCA",
    "OTk5OTk5OTk5OTk5OTk5OTk5OTkgeA",
    "LTk5OTk5OTk5OTk5OTk5IHg",
    "💥",
    "x" * 300,
]
JSON_VALUES = [
    "null", "true", "-1", "0", "1e308", "1e999", "NaN", "-Infinity", "9" * 5000, '""', '" "',
    '"\\ud800"', '"\\u0000"', '"\\u202e"',
    "[]", "{}", '[["x"]]', '{"$gt": ""}', "[" * 900 + "]" * 900, '"' + "x" * 3000 + '"',
    '"99999999999999d"', '"' + "9" * 48 + 'w"',
    '"99999999d"', '"-1h"', '"0001-01-01T00:00:00Z"', '"9999-12-31T23:59:59Z"',
    '"0001-01-01T00:00:00+14:00"', '"2199-12-31T00:00:00Z"',
]  # fmt: skip
BODIES = [
    "", "{", "[]", "null", "NaN", "{}", "[" * 30_000, "[" * 30_000 + "]" * 30_000,
    '{"a":' * 10_000 + "1" + "}" * 10_000, "9" * 60_000,
    '{"\\ud800": 1}', '{"' + "x" * 50_000 + '": 1}',
    "{" + ",".join(f'"k{i}": 1' for i in range(5000)) + "}", '"\\ud800"', "\ufeff{}",
    '{"verdict": "unsure", "verdict": 1}',
]  # fmt: skip


@pytest.fixture
def platform(two_prepared):
    """A filled platform on a real server, which refuses more than the stores in memory."""
    database = two_prepared[0].database
    made = MongoStores(database).platform(MemoryModels(), {}, HandClock(), memory_platform)
    yield filled(made)
    empty_database(database, {SCHEMA})


@pytest.fixture
def client(platform, tmp_path):
    """A client in one event loop: a client outside of a `with` starts one for each of many thousand
    requests."""
    app = create_app(
        platform,
        TOKENS,
        predict_files=PredictFolder(tmp_path / "predictions"),
        source_readers=no_messages,
        import_files=Imports(tmp_path / "imports"),
    )
    with TestClient(app, raise_server_exceptions=False, follow_redirects=False) as sending:
        yield sending


class Walk:
    """Sends, and keeps what was wrong with the answers."""

    def __init__(self, client):
        self.client = client
        self.wrong = []
        self.sent = 0

    def send(self, operation, method, path, what, declared, **request):
        request.setdefault("headers", ADMIN)
        answer = self.client.request(method, path, **request)
        self.sent += 1
        if answer.status_code >= 500 or str(answer.status_code) not in declared:
            self.wrong.append((operation, what[:80], answer.status_code, answer.text[:200]))
        elif answer.status_code >= 400:
            self.check_problem(operation, what, answer)
        return answer

    def check_problem(self, operation, what, answer):
        said = answer.headers["content-type"] == "application/problem+json" and answer.json()
        if (
            not said
            or said["status"] != answer.status_code
            or len(said["detail"]) < 10
            or len(answer.content) > 20_000
        ):
            self.wrong.append((operation, what[:80], answer.status_code, answer.text[:200]))


def rubbish_for(parameter):
    shape = parameter["schema"]
    shapes = shape.get("anyOf", [shape])
    kinds = {s.get("format") or s.get("type") for s in shapes}
    if parameter["name"] == "cursor":
        return CURSORS
    if "date-time" in kinds:
        return TIMES
    return NUMBERS if kinds & {"integer", "number", "boolean"} else TEXTS


def quoted(text):
    return quote(text, safe="")


def test_rubbish_in_every_parameter_is_refused_or_finds_nothing(client):
    walk = Walk(client)
    parameters = [
        (*one, parameter) for one in operations() for parameter in one[2].get("parameters", ())
    ]
    for number, (path, method, operation, _, parameter) in enumerate(parameters):
        name = parameter["name"]
        for text in a_share_of(rubbish_for(parameter), number):
            is_inside = parameter["in"] == "path"
            if is_inside and text in ("", "../../etc/passwd"):
                continue
            where = path_of(path, **({name: quoted(text)} if is_inside else {}))
            query = required(operation, {} if is_inside else {name: text})
            what = (f"{method} {path}", method, where, f"{name}={text!r}")
            walk.send(*what, operation["responses"], params=query)
    assert walk.wrong == []
    assert walk.sent > 300


def test_periods_of_any_two_instants_are_refused_or_answered(client):
    walk = Walk(client)
    for path, method, operation, _ in operations():
        if {p["name"] for p in operation.get("parameters", ())} >= {"from", "to"}:
            for start, end in product(TIMES[:10], TIMES[:10]):
                period = {"from": start, "to": end}
                walk.send(path, method, path, f"{period}", operation["responses"], params=period)
    assert walk.wrong == []
    assert walk.sent >= 200


def bodies_of(name, fields):
    """Yield bodies that are none, and valid ones with rubbish in one field."""
    yield from BODIES
    for number, field in enumerate(fields):
        rest = {key: given for key, given in VALID[name].items() if key != field}
        others = "".join(f"{json.dumps(key)}: {json.dumps(given)}, " for key, given in rest.items())
        for value in a_share_of(JSON_VALUES, number):
            yield f'{{{others}"{field}": {value}}}'


def test_rubbish_in_every_body_is_refused(client):
    walk = Walk(client)
    headers = {**ADMIN, "content-type": "application/json"}
    taken = [(one, body_of(one[2], one[3])) for one in operations()]
    for (path, method, operation, _), body in taken:
        for content in bodies_of(*body) if body else ():
            request = {"content": content.encode("utf-8", "surrogatepass"), "headers": headers}
            where = (f"{method} {path}", method, path_of(path), content[-120:])
            walk.send(*where, operation["responses"], **request)
    assert walk.wrong == []
    assert {body[0] for _, body in taken if body} == set(VALID)
    assert walk.sent > 400


KINDS = (
    *("text/plain", "multipart/form-data", "multipart/form-data; boundary=\x01"),
    *("application/xml", "é", ""),
)


def test_a_body_of_another_kind_is_refused(client):
    walk = Walk(client)
    for (path, method, operation, schemas), kind in product(operations(), KINDS):
        if body_of(operation, schemas) is not None:
            headers = {**ADMIN, "content-type": kind.encode("latin-1")}
            request = {"content": b"--x\r\n\xff", "headers": headers}
            where = f"{method} {path}"
            walk.send(where, method, path_of(path), kind, operation["responses"], **request)
    assert walk.wrong == []


HEADERS = [
    {"authorization": b"Bearer \xff\xfe"}, {"authorization": b"Bearer " + b"x" * 20_000},
    {"authorization": b"Bearer"},
    {"cookie": b"alerting_session=\xff.\xff.\xff"},
    {"cookie": b"alerting_session=" + b"9" * 5000 + b".a.b"}, {"cookie": b";;;==="},
    {"cookie": b"alerting_session=..."}, {"content-length": b"9" * 5000},
    {"content-length": "٣".encode()}, {"content-length": b"-1"},
    {"host": b"\xff"}, {"accept": b"\xff" * 1000}, {"x-y": b"z" * 40_000},
]  # fmt: skip


PATHS = ("/api/v1/episodes", "/api/v1/mutes", "/", "/login", "/f/x", "/api/v1/health")


def test_rubbish_in_headers_is_refused():
    """An hour passes between two requests, so that none is refused for the wrong tokens of those
    before."""
    clock = HandClock(at(0))
    wrong = []
    app = create_app(in_memory_platform(), TOKENS, now=clock.now)
    with TestClient(app, raise_server_exceptions=False, follow_redirects=False) as client:
        for method, path, headers in product(("GET", "POST"), PATHS, HEADERS):
            clock.instant += timedelta(hours=1)
            answer = client.request(method, path, headers=headers)
            if answer.status_code >= 500 or answer.status_code == 429:
                wrong.append((method, path, headers, answer.status_code))
    assert wrong == []


# Pages


ODD = ("99999999999999d", "9" * 49 + "d", "99999999d", "\udcff")
ANY_TEXT = list(dict.fromkeys((*TEXTS, *TIMES, *NUMBERS, *ODD)))  # some are in two lists
FORM = {"content-type": "application/x-www-form-urlencoded"}


def fields_of(dependant, walked):
    """Yield the names of the fields of a route, of those of a dependency that many routes share
    (the session's csrf text, who signs) only the ones of its path, once its others are `walked`.

    A dependency is its code: who submits a form is found by a function made for each role.
    """
    for field in (*dependant.query_params, *dependant.path_params, *dependant.body_params):
        yield field.alias
    for inner in dependant.dependencies:
        inside = {field.alias for field in inner.path_params}
        names = list(fields_of(inner, walked))
        code = getattr(inner.call, "__code__", inner.call)
        yield from (inside.intersection(names) if code in walked else names)
        walked.add(code)


def test_rubbish_in_every_field_of_every_page_is_refused(client):
    """Forms are sent from a session with their own csrf text, so that they get as far as they
    can."""
    client.post("/login", data={"token": ADMIN_TOKEN})
    usual = {"lasting": "1h", "reason": "r", "confirm": "yes", "verdict": "unsure"}
    usual["csrf"] = csrf_of(client.get("/"))
    pages = [
        route
        for route in client.app.routes
        if not getattr(route, "include_in_schema", True)
        and hasattr(route, "dependant")
        and route.path != "/logout"
    ]
    wrong = []
    walked = set()
    fields = [
        (route, name) for route in pages for name in sorted(set(fields_of(route.dependant, walked)))
    ]
    sent = [
        (route, name, text)
        for number, (route, name) in enumerate(fields)
        for text in a_share_of(ANY_TEXT, number, 18)
        if f"{{{name}}}" not in route.path or text not in ("", "../../etc/passwd", "\udcff")
    ]
    for route, name, text in sent:
        inside = {name: quoted(text)} if f"{{{name}}}" in route.path else {}
        given = usual | ({} if inside else {name: text.encode("utf-8", "surrogateescape")})
        query = urlencode(given)  # httpx would send the bytes as Python writes them
        where = path_of(route.path, **inside)
        method = min(route.methods)
        request = {"params": query} if method == "GET" else {"content": query, "headers": FORM}
        status = client.request(method, where, **request).status_code
        if status >= 500:
            wrong.append((method, route.path, name, text[:60], status))
    assert wrong == []
    assert len(sent) > 500
