"""A person of line 1 cannot learn from any answer that line 2 exists: every route answers in a
plant of both lines as in a plant of line 1 alone, byte for byte."""

import json
import os
import re
from contextlib import contextmanager
from dataclasses import fields
from html import unescape
from itertools import product
from urllib.parse import urlencode

import pytest
from fastapi.testclient import TestClient

from alerting.adapters.predictions.job_files import JobFolder
from alerting.console.app import create_app
from alerting.console.imports.imports import Imports
from tests.builders import at
from tests.helpers.console.route_table import EXPECTED, OF_THE_PLANT, routes_of
from tests.helpers.console.two_lines import (
    BEGINNING,
    FIRST,
    NOW,
    PLANT,
    SECOND,
    SHARED,
    TOKENS_FILE,
    UNKNOWN,
    in_a_browser,
    names_of,
    plant,
    sender,
)

LINES = (names_of(FIRST), names_of(SECOND))
EPISODES = [id for line in LINES for id in (*line.episodes[:2], *line.episodes[-2:], UNKNOWN)]
EPISODES.append(BEGINNING)
DEFINITIONS = [name for line in LINES for name in (*line.definitions[:2], line.definitions[-1])]
DEFINITIONS += [SHARED, "of-all-ovens", UNKNOWN, f"{SECOND}-ho"]
ASSETS = [name for line in LINES for name in line.assets[:3]]
ASSETS += [PLANT, UNKNOWN, f"{SECOND}-ove"]
OF_BOTH = {
    "route": [*(f"{line.line}-route" for line in LINES), "all", "of-both-lines", UNKNOWN],
    "report": [id for line in LINES for id in line.reports] + [f"{SHARED}:2026-W02:1", UNKNOWN],
    "job": [id for line in LINES for id in line.jobs] + ["0" * 12],
    "label": [id for line in LINES for id in line.labels] + ["0" * 16],
    "shelf": [id for line in LINES for id in line.shelves] + [UNKNOWN],
    "silence": [id for line in LINES for id in line.silences] + [UNKNOWN],
}
PATHS = {
    "/episodes/{id}": EPISODES,
    "/definitions/{name}": DEFINITIONS,
    "/definitions/{name:without_colon}": DEFINITIONS,
    "/revisions/{number}": ["1", "9"],
    "/previews/{id}": ["0" * 12],
    "/assets/{asset}": ASSETS,
    "/plant/{name}": DEFINITIONS,
    "/proposals/{name}": DEFINITIONS,
    "/assets/{name}": ASSETS,
    "/assets/{name:without_colon}": ASSETS,
    "/scripts/{name}": ["trends.js", UNKNOWN],
    "/platform/sources/{name}": [f"{line.line}-source" for line in LINES],
    "/sinks/{name}": [f"{line.line}-sink" for line in LINES],
    "/sinks/{name:without_colon}": [f"{line.line}-sink" for line in LINES],
    "/sources/{name}": [f"{line.line}-source" for line in LINES],
    "/sources/{name:without_colon}": [f"{line.line}-source" for line in LINES],
    "/models/{name}": DEFINITIONS,
    "/{act}": ["decide", "train", "cancel", "rollback", "point", "dismiss"],
    "/reports/{id}": OF_BOTH["report"],
    "/predict-jobs/{id}": OF_BOTH["job"],
    "/import/{id}": ["0" * 12],
    "/shelves/{id}": OF_BOTH["shelf"],
    "/silences/{id}": OF_BOTH["silence"],
    "/labels/{id}": OF_BOTH["label"],
    "/routes/{name}": OF_BOTH["route"],
    "/routes/{name:without_colon}": OF_BOTH["route"],
    "/tables/{table}": [*(f"{line.line}-table" for line in LINES), UNKNOWN],
    "/access/people/{name}": ["bea", UNKNOWN],
    "/access/tokens/{key}": [UNKNOWN],
    "/access/sessions/{key}": [UNKNOWN],
    "/account/sessions/{key}": [UNKNOWN],
    "/tokens/{id}": [UNKNOWN],
    "/f/{token}": [UNKNOWN],
    "/password/{code}": [UNKNOWN],
}
"""The values of each parameter of a path, by where it stands."""
QUERIES = {
    "definition": DEFINITIONS,
    "asset": [*ASSETS, "*", "*-oven", f"{SECOND}*"],
    "actor": [f"{line.line}-engineer" for line in LINES] + ["bea", "ada", "platform"],
    "subject": [*DEFINITIONS, LINES[1].episodes[0], f"{SECOND}-source", f"{SECOND}-route", "bea"],
    "what": ["definition applied", "scope changed", "signed in"],
    "group": [f"{line.line}-crew" for line in LINES] + [FIRST, SECOND, "hall"],
    "by": ["position", "line", "shift", "all", "problem", "episodes"],
    "past": ["true"],
    "plant": ["true"],
    "open": ["true"],
    "days": ["7", "90"],
    "mark": ["bad", "not_to_learn_from"],
    "from": ["2026-01-05T00:00Z", "2026-01-11T00:00Z", "1"],
    "to": ["2026-01-12T00:00Z", "1"],
    "before": ["2"],
    **{
        name: []
        for name in ("wait", "code", "state", "iss", "error", "reason", "accept_load", "name")
    },
    "since": ["2026-01-05T00:00Z"],
    "at": ["2026-01-11T00:00Z", "2026-01-05T13:20Z"],
    "reported": [f"{line.line}-moist" for line in LINES],
    "at_most": ["2"],
    "limit": ["2"],
    "page": ["2"],
    "kind": ["mqtt"],
    "after": ["pressure", f"{FIRST}-hot"],
    "variable": ["temperature", "moisture"],
    "start": ["2026-01-05T00:00Z", "threshold-1", "empty", UNKNOWN],
    "end": ["2026-01-12T00:00Z"],
    "points": ["50"],
    "line": [*ASSETS, FIRST, SECOND],
    "severity": ["high"],
    "shift": [f"{line.line}-route" for line in LINES],
    "mine": ["yes"],
    "hours": ["12"],
    "span": ["28d"],
    "period": ["shift", "month"],
    "find": ["temperature"],
    "x": ["temperature"],
    "y": ["moisture"],
    "above": ["210"],
    "below": ["201"],
    "for": ["1m"],
    "statistics": ["true"],
    "part": ["true", *ASSETS],
    "source": [f"{line.line}-source" for line in LINES] + [UNKNOWN],
    "text": ["hot", SECOND],
    "state": ["active", "faulty"],
    "asset_column": ["asset"],
    "time": ["ts"],
    "cursor": [],
    "next": [],
}
"""The values of each parameter of a query."""
TOGETHER = (
    ("find", "above"),
    ("asset", "span"),
    ("asset", "x"),
    ("asset", "reported", "at"),
    ("definition", "asset"),
    ("by", "group"),
    ("by", "past"),
    ("actor", "limit"),
)
"""Parameters that are also given together."""
OF_EACH_LINE = {
    "definition": [f"{FIRST}-hot", f"{SECOND}-hot", SHARED],
    "asset": [f"{FIRST}-oven", f"{SECOND}-oven", "*-oven"],
    "from": ["2026-01-05T00:00Z"],
    "to": ["2026-01-12T00:00Z"],
    "start": ["2026-01-05T00:00Z"],
}
"""The values that a parameter has beside every value of another one."""


def values_at(path):
    """Return the paths of a route with every value of its parameters."""
    parts = re.split(r"(\{[^}]+\})", path)
    choices = []
    for n, part in enumerate(parts):
        if not part.startswith("{"):
            choices.append([part])
            continue
        before = f"{parts[n - 1]}{part}"
        fits = [found for ending, found in PATHS.items() if before.endswith(ending)]
        assert fits, f"say in PATHS which values {part} of {path} has"
        choices.append(max(fits, key=len))
    return ["".join(chosen) for chosen in product(*choices)]


def queries_of(route):
    """Return the queries of a route: none, each value of each parameter alone, and some together
    with those of other parameters."""
    parameters = route.dependant.query_params
    names = [parameter.alias for parameter in parameters]
    unknown = [name for name in names if name not in QUERIES]
    assert not unknown, f"say in QUERIES which values {unknown} of {route.path} have"
    required = {p.alias for p in parameters if p.field_info.is_required()}
    sets = [set()] + [{name} for name in names if QUERIES[name]]
    sets += [{*pair} for pair in TOGETHER if {*pair} <= {*names}]
    found = {}
    for wanted in {frozenset(one | required) for one in sets}:
        given = sorted(wanted)
        for varied in given or [None]:
            values = [
                QUERIES[name] if name == varied else OF_EACH_LINE.get(name, QUERIES[name])
                for name in given
            ]
            found |= dict.fromkeys(tuple(zip(given, v, strict=True)) for v in product(*values))
    return [dict(query) for query in found]


REAL_TIMES = re.compile(rb'"ended_at":"[^"]*","state":"cancelled"')
"""All that may differ between two answers: the time at which a predict job is cancelled."""


class Plant:
    """A plant behind its application."""

    def __init__(self, folder, *lines):
        self.platform = plant(*lines)
        files = JobFolder(folder / "-".join(lines))
        for job in self.platform.predict_jobs.all():
            files.create(job.id)
            files.scores(job.id).write_text(f"scores of {job.definition}")
            os.utime(files.scores(job.id), (0, 0))
        app = create_app(
            self.platform,
            TOKENS_FILE,
            now=lambda: at(NOW),
            predict_files=files,
            import_files=Imports(folder / f"imports-{'-'.join(lines)}"),
            passwords=None,
        )
        self.client = TestClient(app, raise_server_exceptions=False, follow_redirects=False)
        self.routes = routes_of(app)

    def answer(self, who, method, address, **body):
        """Return status, headers and body of the answer to a person, by token or by cookie."""
        self.client.cookies.clear()
        headers = {**who.headers, **body.pop("headers", {})}
        found = self.client.request(method, address, headers=headers, **body)
        content = REAL_TIMES.sub(b"", found.content)
        return found.status_code, sorted(found.headers.items()), content


class Both:
    """The same plant with line 1 alone, and with both lines."""

    def __init__(self, alone, both):
        self.alone = alone
        self.both = both
        self.routes = self.both.routes
        self.last = 0
        """The status of the last answer of the plant of both lines."""

    def differences(self, who, method, address, **body):
        """Return all differences between the two answers, also of the pages that follow."""
        return list(self._compare(who, method, address, **body))

    def _compare(self, who, method, address, **body):
        """Yield in what the two answers differ, or name line 2."""
        alone = self.alone.answer(who, method, address, **body)
        both = self.both.answer(who, method, address, **body)
        self.last = both[0]
        where = f"{who.role} {method} {address}"
        if both != alone:
            yield f"{where}: {shorten(alone, both)}"
        elif both[0] >= 500:
            yield f"{where}: {both[0]}"
        asked = f"{address}{body}"
        told = str(both)
        if any(name in told and name not in asked for name in TELLTALES):
            yield f"{where}: names line 2"
        for cursor in cursors_in(both[2]) if method == "GET" else ():
            base = re.sub(r"[?&]cursor=[^&]*", "", address)
            mark = "&" if "?" in base else "?"
            following = f"{base}{mark}cursor={cursor}"
            if following != address:
                yield from self._compare(who, method, following, **body)


TELLTALES = (SECOND, *LINES[1].episodes[:-1], *LINES[1].shelves, *LINES[1].jobs)
TELLTALES += (*LINES[1].labels, *LINES[1].silences)


def cursors_in(content):
    """Return the cursors to older things that an answer names."""
    text = unescape(content.decode("utf-8", "replace"))
    found = re.findall(r'"next":"([^"]+)"', text) + re.findall(r"[?&]cursor=([^\"&]+)", text)
    return sorted({*found})[-1:] if found else []


def shorten(alone, both):
    """Return the first place at which two answers differ."""
    if alone[0] != both[0]:
        return f"{alone[0]} alone, {both[0]} with both: {both[2][:300]!r}"
    if alone[1] != both[1] and len(alone[2]) == len(both[2]):
        return (
            f"headers {[pair for pair in zip(alone[1], both[1], strict=False) if len({*pair}) > 1]}"
        )
    one = alone[2]
    other = both[2]
    place = next((n for n, pair in enumerate(zip(one, other, strict=False)) if len({*pair}) > 1), 0)
    return f"alone {one[place - 60 : place + 90]!r}, with both {other[place - 60 : place + 90]!r}"


@contextmanager
def both_plants(folder):
    """Give both plants, each in one event loop: outside of a `with` a client starts one for each
    request."""
    alone = Plant(folder, FIRST)
    both = Plant(folder, FIRST, SECOND)
    with alone.client, both.client:
        yield Both(alone, both)


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Both plants, of which nothing is changed."""
    with both_plants(tmp_path_factory.mktemp("jobs")) as made:
        yield made


@pytest.fixture
def fresh(tmp_path):
    """Both plants of one test, which changes them."""
    with both_plants(tmp_path) as made:
        yield made


def addresses_of(route):
    for path in values_at(route.path):
        for query in queries_of(route):
            yield f"{path}?{urlencode(query)}" if query else path


@pytest.mark.parametrize("who", [sender("viewer"), in_a_browser(sender("engineer"))], ids=str)
def test_every_page_and_answer_is_that_of_a_plant_without_line_2(both, who):
    found = []
    for route in both.routes:
        if "GET" in route.methods:
            for address in addresses_of(route):
                found += both.differences(who, "GET", address)
    assert found == []


def test_the_plant_of_the_proof_has_an_answer_for_every_route_to_read(both):
    """A route that has nothing to show of line 1 proves nothing."""
    who = in_a_browser(sender("engineer"))
    silent = []
    for route in both.routes:
        line = f"GET {route.path}"
        if "GET" in route.methods and EXPECTED.get(line) and line not in OF_THE_PLANT:
            answers = (both.alone.answer(who, "GET", address) for address in addresses_of(route))
            if not any(status == 200 and len(body) > 2 for status, _, body in answers):
                silent.append(route.path)
    # which give the preview of its own person
    assert {*silent} == {"/api/v1/previews/{id}", "/previews/{id}"}


# What changes something


def test_a_preview_of_every_oven_tries_those_in_scope(both):
    draft = too_hot_on("*-oven", f"{FIRST}-draft")
    period = {"from": at(0).isoformat(), "to": at(NOW).isoformat()}
    found = []
    for one in (both.alone, both.both):
        body = {"definition": draft, **period}
        started = one.answer(sender("engineer"), "POST", "/api/v1/definitions:preview", json=body)
        preview = json.loads(started[2])
        while preview["state"] not in ("done", "failed"):
            wait = f"/api/v1/previews/{preview['id']}?wait=5"
            preview = json.loads(one.answer(sender("engineer"), "GET", wait)[2])
        found.append(preview["result"])
    assert found[0] == found[1]
    assert {made["asset"] for made in found[1]["shown"]} == {f"{FIRST}-oven"}


def too_hot_on(asset, name):
    """Return the document of a threshold alert on these assets."""
    variables = {"variable": "temperature", "above": 215}
    return {"name": name, "kind": "threshold", "assets": [asset], **variables}


def bodies_of_definitions(line, hot, drafts):
    """Return the bodies of routes that change definitions, by the ending of their path."""
    return {
        "/definitions:check": drafts,
        "/definitions/{name:without_colon}": drafts,
        ":retire": [{"reason": "test"}],
        ":activate": [{"reason": "test"}],
        ":restore": [{"revision": 1}],
        "/definitions/new": [
            {"do": do, "text": json.dumps(d)}
            for do in EDITS
            for d in drafts
            if do == "check" or d["assets"] != ["*-oven"]  # who applies it must see all of them
        ],
        "/edit": [
            {"do": do, "text": json.dumps({**d, "name": name}), "revision": 1}
            for do in EDITS
            for d in drafts
            for name in (hot, f"{line}-moist")
        ],
        # of which one is the newest
        "/retire": [{"revision": str(n), "reason": "test"} for n in range(1, 12)],
        "/activate": [{"revision": str(n), "reason": "test"} for n in range(1, 12)],
        "/restore": [{"revision": str(n), "number": "1"} for n in range(1, 12)],
    }


def bodies_of_the_plant(line, oven):
    """Return the bodies of routes that change sources, models and imports, as the others."""
    gate = {"name": f"{line}-source", "kind": "http", "stale_after": "9m"}
    sink = {"name": f"{line}-sink", "kind": "mqtt", "url": {"env": "BROKER_URL"}}
    asset = {"name": oven, "variables": {"temperature": {"unit": "°F"}}}
    route = {"name": f"{line}-route", "channels": ["mail"]}
    return {
        **{path: [asset] for path in ("/assets:check", "/assets/{name:without_colon}")},
        **{path: [route] for path in ("/routes:check", "/routes/{name:without_colon}")},
        "/new-asset": [{"do": "apply", "text": json.dumps(asset)}],
        "/assets/{name}/edit": [{"do": do, "text": json.dumps(asset)} for do in EDITS],
        "/new-route": [{"do": "apply", "text": json.dumps(route)}],
        "/routes/{name}/edit": [{"do": do, "text": json.dumps(route)} for do in EDITS],
        "/remove": [{"tag": "0" * 16}],
        "/sinks:check": [sink],
        "/sinks/{name:without_colon}": [sink],
        "/dead-letters:retry": [{}],
        "/new-sink": [{"document": str(sink), "act": "apply"}],
        "/sinks/{name}": [{"document": str(sink), "act": "check", "revision": "1"}],
        "/sources:check": [gate],
        "/sources:test": [gate],
        "/sources/{name:without_colon}": [gate],
        **{act: [{}] for act in (":pause", ":resume", ":test", "/look")},
        "/dead-messages:retry": [{}],
        "/new-source": [{"document": str(gate), "act": "apply"}],
        "/sources/{name}": [{"document": str(gate), "act": "apply", "revision": "1"}],
        "/state": [{"act": "pause", "revision": "1"}],
        "/proposals/{name}:apply": [{"action": "retune", "revision": 9}],
        "/proposals/{name}:refuse": [{"action": "approve", "reason": "test"}],
        "/plant/{name}/apply": [{"action": "retune", "revision": "9"}],
        "/plant/{name}/refuse": [{"action": "retrain", "reason": "test"}],
        "/models:approve": [{}],
        "/models:reject": [{"reason": "test"}],
        "/models:rollback": [{"reason": "test"}],
        "/trainings": [{"reason": "test"}],
        "/trainings:cancel": [{"reason": "test"}],
        "/models/{name}/{act}": [{"reason": "test", "answer": "approve"}],
        "/delete": [{}],
    }


def bodies_of_handovers(line, oven):
    """Return the bodies of routes that hand over shifts, of a part of the plant and of all."""
    parts = [{"line": line}, {"line": line, "at": at(NOW - 60).isoformat()}]
    if line == FIRST:
        parts.append({})
    notes = [{**part, "text": "belt squeaks", "asset": oven} for part in parts]
    sides = [{**part, "side": side} for part in parts for side in ("leaving", "coming")]
    sent = [{**part, "route": f"{line}-route"} for part in parts]
    return {
        **dict.fromkeys(("/handover/notes", "/handover/note"), notes),
        **dict.fromkeys(("/handover/signatures", "/handover/sign"), sides),
        **dict.fromkeys(("/handover/messages", "/handover/send"), sent),
    }


def bodies_of(path, line):
    """Return the bodies of a route that name things of a line, or of both; `for` a program or as
    the fields of a form."""
    hot, oven, fan = (f"{line}-{name}" for name in ("hot", "oven", "fan"))
    pairs = [(hot, oven), (f"{FIRST}-hot", oven), (hot, f"{FIRST}-oven"), (SHARED, oven)]
    pairs += [("of-all-ovens", f"{FIRST}-oven")]
    if line == FIRST:
        pairs = [(hot, fan), (SHARED, oven)]
    drafts = [too_hot_on(oven, hot), too_hot_on(oven, f"{line}-new")]
    if line == SECOND:
        drafts += [too_hot_on(oven, f"{FIRST}-hot"), too_hot_on("*-oven", f"{FIRST}-new")]
    instant = at(NOW - 400).isoformat()
    first = names_of(line).episodes[-3]
    of = {
        "/feedback": [{"verdict": "true_alarm", "acted": True}],
        "/ack": [{}],
        "/close": [{"reason": "over"}],
        "/confirm": [{"action": "oil"}],
        "/comment": [{"comment": "so"}],
        "/assign": [{"to": "anna"}],
        "/shelve": [{"lasting": "1h", "reason": "test"}],
        "/take": [{}],
        "/miss": [{"definition": d, "asset": a, "ago": "4h"} for d, a in pairs],
        "/end": [{"reason": "done"}],
        "/cancel": [{}],
        "/test": [{}],
        "/acknowledge": [{"episode": [first]}],
        "/shelves": [
            {"definition": d, "asset": a, "for": "1h", "reason": "test"} for d, a in pairs
        ],
        "/silences": [
            {"kind": "silence", "part": part, "definition": d, "for": "1h", "reason": "test"}
            for d, a in pairs
            for part in (a, None)
            if d != "of-all-ovens" or line == FIRST  # on line 1 alone
        ],
        "/new-silence": [
            {"kind": "maintenance", "part": part, "lasting": "1h", "reason": "test"}
            for part in (oven, fan, PLANT)
        ],
        "/api/v1/silences/{id}/extend": [{"until": at(NOW + 90).isoformat()}],
        "/extend": [{"lasting": "1h"}],
        "/labels": [
            {"asset": oven, "start": instant, "end": at(NOW - 390).isoformat(), "kind": kind}
            | {"reason": "test"}
            for kind in ("bad", "not_to_learn_from")
        ],
        "/labels/{id}:undo": [{}],
        "/undo": [{}],
        "/misses": [
            {"definition": d, "asset": a, "at": instant, "comment": "late"} for d, a in pairs
        ],
        **bodies_of_handovers(line, oven),
        "/predict": [{"asset": asset} for asset in (oven, fan, f"{FIRST}-oven")],
        "/predict-batch": [{"assets": [oven, fan, f"{FIRST}-oven"]}],
        "/predict-jobs": [{"address": "s3://bucket/a.parquet"}],
        "/retry": [
            {"id": f"{names_of(line).episodes[1]}:raised:mail"},
            {"id": f"{names_of(line).episodes[0]}:raised:mail"},
            {"id": f"digest:{line}"},
        ],
        "/readings": [{"ts": instant, "asset": oven, "values": {"temperature": 1.5}}],
        "/events": [{"asset": oven, "type": "stop", "start": instant, "end": instant}],
        **bodies_of_the_plant(line, oven),
        **bodies_of_definitions(line, hot, drafts),
    }
    return next((found for ending, found in of.items() if path.endswith(ending)), None)


EDITS = ("check", "apply")
OF_NO_ASSET = {
    *("/access/people", "/access/scope", "/access/people/{name}", "/access/tokens", "/logout"),
    *("/access/tokens/{key}/revoke", "/access/sessions/{key}/end", "/api/v1/tokens/{id}"),
    *("/api/v1/tokens", "/account/password", "/account/preferences", "/login", "/language"),
    *("/account/sessions/{key}/end", "/f/{token}", "/password/{code}", "/password/{code}/pin"),
    "/api/v1/definitions:preview",  # below
    *("/import", *(f"/import/{{id}}/{act}" for act in ("check", "take-back", "write", "delete"))),
    *("/account/pin", "/account/pin/remove", "/login/directory/logout", "/api/v1/previews/{id}"),
    *("/previews/{id}/end", "/api/v1/definitions:test"),
}
"""Routes to write that name nothing of a line."""


def writes_of(route, line):
    """Return address and body of the requests of a route that write, on things of a line, or of
    both lines."""
    if route.path in OF_NO_ASSET:
        return []
    bodies = bodies_of(route.path, line)
    assert bodies is not None, (
        f"say in bodies_of what {route.path} takes, or that it names nothing of a line"
    )
    names = names_of(line)
    own = {*names.episodes, *names.definitions, *names.shelves, *names.jobs}
    own |= {*names.labels, *names.silences}
    own |= {f"{line}-route", f"{line}-source", f"{line}-sink", *names.assets}
    if line == SECOND:
        own |= {SHARED, "of-all-ovens", "of-both-lines", UNKNOWN, "0" * 12}
    paths = [p for p in values_at(route.path) if p == route.path or {*re.split("[/:]", p)} & own]
    if any(parameter.alias == "source" for parameter in route.dependant.query_params):
        paths.append(f"{route.path}?source={line}-source")
    return list(product(paths, bodies))


def send_writes(both, who, line):
    """Send every request that writes on things of a line, or of both lines; return the differences
    between the answers, and the statuses by route."""
    found = []
    statuses = {}
    browser = in_a_browser(who)
    page = both.both.answer(browser, "GET", "/account")[2].decode()
    csrf = re.search(r'name="csrf" value="([0-9a-f]+)"', page)[1]
    for route in sorted(both.routes, key=lambda route: "/definitions" in route.path):
        for method in route.methods - {"GET", "HEAD"}:
            for path, body in writes_of(route, line):
                if path.startswith("/api/"):
                    asked = {"who": who, "json": body}
                    if method == "PUT":
                        is_new = body["name"].endswith("new")
                        asked["headers"] = {"if-none-match": "*"} if is_new else {"if-match": "1"}
                else:
                    asked = {"who": browser, "data": {"csrf": csrf, **body}}
                found += both.differences(method=method, address=path, **asked)
                statuses.setdefault(route.path, set()).add(both.last)
    return found, statuses


def contents(platform, sender):
    """Return all that the stores of a platform hold, as text by port; but for the audit, and what
    is counted of the deliveries of a sender."""
    found = {}
    for field in fields(platform):
        stored = getattr(getattr(platform, field.name), "__dict__", {})
        found[field.name] = repr(
            {
                name: {k: v for k, v in rows.items() if sender not in str(k)}
                if isinstance(rows, dict)
                else rows
                for name, rows in stored.items()
            }
        )
    return {name: text for name, text in found.items() if name not in ("audit", "clock")}


@pytest.mark.parametrize("role", ["viewer", "operator", "engineer"])
def test_a_request_on_line_2_is_answered_as_on_an_unknown_thing_and_changes_nothing(fresh, role):
    platform = fresh.both.platform
    fresh.both.answer(sender(role), "GET", "/")  # the use of the token is stored
    before = contents(platform, sender(role).name)
    sent = list(platform.channels.values())
    differences, _ = send_writes(fresh, sender(role), SECOND)
    assert differences == []
    after = contents(platform, sender(role).name)
    assert [name for name in before if before[name] != after[name]] == []
    assert [box.messages for box in sent if box.messages] == []


def test_a_person_acts_on_what_is_in_scope_as_in_a_plant_without_line_2(fresh):
    differences, statuses = send_writes(fresh, sender("engineer"), FIRST)
    assert differences == []
    refused = {path for path, found in statuses.items() if min(found) >= 400}
    of_the_plant = {one.split()[1] for one in OF_THE_PLANT if one.startswith(("POST ", "PUT "))}
    assert refused == of_the_plant - OF_NO_ASSET | {
        "/api/v1/definitions/{name}/predict-jobs",  # no object store is configured
        "/episodes/{id}/close",
        *("/silences/{id}/extend", "/api/v1/silences/{id}/extend"),  # ended by then
        "/shelves/{id}/extend",
        # the page of the models was first
        *(f"/api/v1/definitions/{{name}}/models:{act}" for act in ("approve", "reject")),
        "/api/v1/definitions/{name}/models:rollback",  # the model before cannot be read
        "/api/v1/definitions/{name}/trainings:cancel",  # the first one is due by itself
        # from another revision; else tests/console/plant
        *("/plant/{name}/apply", "/api/v1/plant/proposals/{name}:apply"),
        *("/import/{id}/check", "/import/{id}/write", "/import/{id}/delete"),  # deleted by then
        *("/import/{id}/take-back", "/import/{id}/read-again"),
    }
