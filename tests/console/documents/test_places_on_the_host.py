"""Places on the host: no change at the console, in however many steps, names one that was not given
on the host."""

from contextlib import suppress
from itertools import product

import pytest
from fastapi.testclient import TestClient

from alerting.adapters.sources.addresses_and_secrets import resolver
from alerting.adapters.sources.file_drops import SourceFiles
from alerting.console.app import create_app
from alerting.definitions.faults import UserError
from alerting.definitions.routes_and_sinks import SINK_KINDS, parse_sink
from alerting.definitions.sources import (
    KINDS,
    PATH_FIELDS,
    SERVED_PATH_FIELDS,
    new_host_paths,
    parse_source,
)
from alerting.usecases.sources.poll import Readers, poll
from alerting.usecases.sources.status import SOURCES as KIND
from tests.builders import at
from tests.helpers.console.api import ADMIN, TOKENS
from tests.helpers.console.forms import expect_detail
from tests.in_memory_platform import in_memory_platform

pytestmark = pytest.mark.fast
ADDRESSES = [{"env": "A_URL"}, {"env": "NOWHERE_URL"}, {"file": "/run/secrets/a"}]
CERTIFICATES = [
    {"ca": "/etc/a.pem"},
    {"certificate": "/etc/a.pem"},
    {"certificate": "/etc/a.pem", "key": "/etc/a.key"},
    {"certificate": "/etc/a.pem", "key": "/etc/b.key"},
]


def files_places():
    """Yield documents of a source of files: on the host, and at servers."""
    for url, pattern, folder in product([None, *ADDRESSES[:2]], ["/a/*", "/b"], [None, "/c"]):
        for field in ("done", "bad") if folder else (None,):
            found = {"kind": "files", "pattern": pattern}
            found |= {field: folder} if field else {}
            found |= {"url": url} if url else {}
            yield found
            if url and not folder:
                yield {**found, "key": "/etc/a.key"}
                yield {**found, "known_hosts": "/etc/a.key"}


def connected(kinds, **fields):
    """Yield documents of kinds with a server, each with and without certificates."""
    for kind, url in product(kinds, ADDRESSES):
        yield {"kind": kind, "url": url, **fields}
        yield from ({"kind": kind, "url": url, **fields, "tls": tls} for tls in CERTIFICATES)


NODE = {"nodes": {"ns=2;s=a": {"variable": "v", "asset": "a"}}}
ENCRYPTED = {
    "security": "encrypt",
    "tls": {"ca": "/etc/a.pem", "certificate": "/etc/a.pem", "key": "/etc/a.key"},
}
SOURCES = [
    {"kind": "http"},
    *files_places(),
    *connected(["mqtt", "amqp"], topic="a"),
    *({"kind": "sql", "url": url, "table": "t", "cursor": "c"} for url in ADDRESSES),
    *({"kind": "opcua", "url": url, **NODE} for url in ADDRESSES),
    *({"kind": "opcua", "url": url, **NODE, **ENCRYPTED} for url in ADDRESSES),
]
SINKS = [
    *connected(["mqtt"]),
    *({"kind": kind, "url": url} for kind in ("webhook", "sql") for url in ADDRESSES),
]


def places(document):
    """Return what a document does with paths of the host, as a reader of the documents would."""
    address = str(document.get("url"))
    served = SERVED_PATH_FIELDS if document["kind"] == "files" and "url" not in document else ()
    named = {f: document[f] for f in ("known_hosts", "key", *served) if f in document}
    named |= {f"tls.{field}": path for field, path in document.get("tls", {}).items()}
    return {(document["kind"], address, field, path) for field, path in named.items()}


def test_a_change_names_no_place_that_the_document_before_does_not_use():
    for parse, documents in ((parse_source, SOURCES), (parse_sink, SINKS)):
        parsed = [(one, parse({"name": "x", **one})) for one in documents]
        befores = [({"kind": "none"}, None), *parsed]
        pairs = list(product(befores, parsed))
        found = [bool(new_host_paths(given, used)) for (_, used), (_, given) in pairs]
        added = [bool(places(after) - places(before)) for (before, _), (after, _) in pairs]
        wrong = [
            n
            for n, (is_found, is_added) in enumerate(zip(found, added, strict=True))
            if is_found != is_added
        ]
        assert [pairs[n] for n in wrong] == []
        assert len(pairs) > 400


def test_every_field_that_is_a_path_is_compared():
    named = {
        field
        for model in (*KINDS.values(), *SINK_KINDS.values())
        for field, info in model.model_fields.items()
        if f"{info.description}".startswith(("File", "Folder", "Absolute path"))
    }
    assert named == {*PATH_FIELDS, *SERVED_PATH_FIELDS}


def new_platform():
    made = in_memory_platform()
    made.clock.instant = at(600)
    return made


READERS = Readers(SourceFiles(resolver({})), None)


def client_of(platform):
    app = create_app(platform, TOKENS, source_readers=lambda: READERS)
    return TestClient(app, headers=ADMIN)


def apply_there(client, sort, name, document):
    """Apply a document at the console on whatever is there; return the answer."""
    path = f"/api/v1/{sort}s/{name}"
    there = client.get(path)
    match = {"if-match": there.headers["etag"]} if there.is_success else {"if-none-match": "*"}
    return client.put(path, json=document, headers=match)


def test_no_file_is_read_or_moved_in_two_steps(tmp_path):
    secret = tmp_path / "password"
    secret.write_text("hunter2\n")
    document = {"kind": "files", "pattern": str(secret), "bad": "/tmp/b", "unchanged_for": "0s"}
    at_a_server = {**document, "url": {"env": "NOWHERE_URL"}}
    for middle in (*files_places(), {"kind": "http"}, *SOURCES[-8:]):
        client = client_of(new_platform())
        for step in (middle, at_a_server):
            apply_there(client, "source", "drop", step)
        expect_detail(apply_there(client, "source", "drop", document), 422, "on the host")
        named = {"name": "drop", **document}
        looks = [client.post(f"/api/v1/sources:{act}", json=named) for act in ("test", "check")]
        looks.append(client.post("/api/v1/sources/drop:test"))
        assert ["hunter2" in answer.text for answer in looks] == [False] * 3, middle
        assert ["on the host" in answer.text for answer in looks[:2]] == [True, True]
    assert secret.read_text() == "hunter2\n"


def test_a_key_stays_with_its_server():
    platform = new_platform()
    client = client_of(platform)
    place = {"url": {"env": "LAB_URL"}, "key": "/etc/lab.key", "pattern": "/a/*"}
    used = {"name": "lab", "kind": "files", **place}
    KIND.apply(platform, [used], "host", at(0))
    assert apply_there(client, "source", "lab", {**used, "pattern": "/b/*"}).status_code == 200
    other = apply_there(client, "source", "lab", {**used, "url": {"env": "OTHER_URL"}})
    expect_detail(other, 422, "key: a path on the host")


NO_TABLES = {
    "password": "hunter2\n",
    "two lines": "user\nhunter2\n",
    "environment": "MONGO=mongodb://a:hunter2@host\nKEY=hunter2\n",
    "passwd": "root:x:0:0:hunter2:/root\nann:hunter2:1:1::/home\n",
    "yaml": "user: ann\npassword: hunter2\n",
    "json": '{"user": "ann", "password": "hunter2"}',
    "key": "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n",
    "repeated": "hunter2,hunter2\n1,2\n",
    "commas": "hunter2,x\nhunter2,y\n",
    "semicolons": "a;b;c\nhunter2;hunter2;hunter2\n" * 9,
    "quotes": '"hunter2\n"hunter2"\n',
    "many": "\n".join(f"hunter2{n},b" for n in range(99)),
    "tabs": "ts\tasset\thunter2\nhunter2\ta\t1\n",
}
READ_AS = [
    {},
    {"time": "hunter2"},
    {"time": "root", "separator": ":"},
    {"asset": "a"},
    {"asset": "a", "time": "user", "separator": ":"},
    {"others": "ignore", "variables": {"x": {"name": "y"}}},
    {"bad_lines": "skip", "asset": "a", "time": "ts"},
    {"delivers": "events", "time": "a"},
    {"encoding": "latin-1", "time_format": "%d %m %Y", "asset_column": "b"},
]


def test_nothing_of_a_file_that_is_no_table_is_quoted(tmp_path):
    file = tmp_path / "in" / "file"
    file.parent.mkdir()
    quoted = []
    for name_of, content in NO_TABLES.items():
        platform = new_platform()
        client = client_of(platform)
        for number, read_as in enumerate(READ_AS):
            file.write_text(content)
            name = f"s{number}"
            document = {"name": name, "kind": "files", "pattern": str(file), "unchanged_for": "0s"}
            KIND.apply(platform, [{**document, **read_as}], "host", at(number))
            answers = [client.post(f"/api/v1/sources/{name}:test")]
            with suppress(UserError):
                poll(platform, READERS, name, at(number))
            answers += [client.get(f"/api/v1/{page}") for page in ("sources", f"sources/{name}")]
            given = READ_AS[1]["time"]  # what the document itself says
            told = "".join(answer.text for answer in answers).replace(f'"time":"{given}"', "")
            if "hunter2" in told.replace(str(read_as.get("time")), ""):
                quoted.append((name_of, read_as))
    assert quoted == []
