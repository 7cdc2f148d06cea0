"""Every field of a source changes what is stored, where from, or what is said of it: a field that
nothing reads fails here."""

import os
import sqlite3
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import openpyxl

from alerting.adapters.sources.addresses_and_secrets import resolver
from alerting.adapters.sources.file_drops import FolderDrop, SourceFiles
from alerting.adapters.sources.sql import SqlReader
from alerting.definitions.faults import UserError
from alerting.definitions.source_fields import (
    AmqpSource,
    MqttSource,
)
from alerting.definitions.sources import FilesSource, HttpSource, SqlSource, parse_source
from alerting.ports import WantedHistory
from alerting.usecases.sources.poll import Readers, poll
from alerting.usecases.sources.status import SOURCES, source_statuses
from alerting.usecases.sources.store_rows import deliver, require_active
from alerting.usecases.sources.stream import BrokerMessage, store_messages, subscription
from tests.builders import at
from tests.helpers.fields import leaves
from tests.helpers.lane_stores import LaneStore
from tests.in_memory_platform import memory_platform

ROW = {
    "ts": "2026-01-05 12:00", "at": "2026-01-05 13:00", "asset": "oven-1", "machine": "m",
    "type": "stop", "class": "jam",
    "end": "2026-01-05 12:30", "until": "2026-01-05 12:40", "quality": "uncertain", "q": "0",
    "t": 1.5, "u": 2.5,
}  # fmt: skip
EVENTS = {"delivers": "events"}


def contents(platform, name="s"):
    """Return everything that was stored, with the latencies in force and the status of the
    source."""
    found = []
    for asset in platform.assets.all():
        history = platform.readings.load(WantedHistory(asset, None, None))
        latencies = {name: asset.latency(name, timedelta(0)) for name in asset.variables}
        stored = history.readings.to_json(), history.events.to_json(), str(history.doubts)
        found.append((asset.model_dump_json(), *stored, str(latencies)))
    status = [replace(s, silent=timedelta(0)) for s in source_statuses(platform, at(30))]
    return (
        found,
        str(status),
        str(platform.assets.event_types()),
        platform.deliveries.progress(name).fault,
    )


def of_http(_, **changes):
    platform = memory_platform()
    platform = replace(platform, assets=LaneStore(platform.sources.place, "assets"))
    document = {"name": "s", "kind": "http", **changes}
    SOURCES.apply(platform, [document], "ada", at(0))
    source = parse_source(document)
    try:
        require_active(source)
        deliver(platform, source, [ROW], at(0), by="s")
    except UserError as refusal:
        return str(refusal)
    return contents(platform)


INPUTS = ("twice", "bad_line", "long", "workbook")  # what the file holds
LONG_LINES = [
    "ts;asset;VarName;Value",
    *(f"01.02.2026 12:0{i};oven-1;{name};{i}" for i in range(3) for name in ("t", "u")),
]


def of_files(folder, **changes):
    platform = memory_platform()
    for part in ("in", "other"):
        (folder / part).mkdir(parents=True)
        lines = [
            "ts;asset;t;u;u_q",
            "01.02.2026 12:00;oven-1;1,5;1.234;bad",
            "03.02.2026 12:01;oven-1;x;5.678;good",
        ]
        lines += ["03.02.2026 12:02;oven-1;y°;3.456;good"] + (
            ["03.02.2026 12:02;oven-1;3,5;3.456;good"] if "twice" in changes else []
        )
        lines += [";oven-1;3,5;3.456;good"] if "bad_line" in changes else []
        lines = LONG_LINES if "long" in changes else lines
        path = folder / part / "a.csv"
        path.write_bytes("\n".join(lines).encode("cp1252"))
        if "workbook" in changes:
            book = openpyxl.Workbook()
            for number, month in enumerate(("May", "June")):
                sheet = book.create_sheet(month)
                sheet.append(["ts", "asset", "t"])
                sheet.append([f"0{1 + number}.02.2026 12:00", "oven-1", 1.5])
            book.save(path)
        os.utime(path, (path.stat().st_mtime - 60,) * 2)
    own = {name: value for name, value in changes.items() if name not in INPUTS}
    own = {
        name: value.replace("FOLDER", str(folder)) if isinstance(value, str) else value
        for name, value in own.items()
    }
    document = {
        "name": "s",
        "kind": "files",
        "pattern": f"{folder}/in/*",
        "variables": {"u_q": {}},
        **own,
    }
    SOURCES.apply(platform, [document], "ada", at(0))
    try:
        poll(
            platform,
            Readers(SourceFiles(resolver({})), SqlReader(resolver({}))),
            "s",
            at(0),
        )
    except UserError as refusal:
        return str(refusal)
    left = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    return *contents(platform), left, parse_source(document).every


def of_sql(folder, **changes):
    platform = memory_platform()
    folder.mkdir(exist_ok=True)
    for name in ("one", "second"):
        with sqlite3.connect(folder / f"{name}.db") as database:
            for table in ("results", "others"):
                database.execute(
                    f"CREATE TABLE {table} (id int, number int, ts text, asset text, t real)"
                )
                rows = [
                    (i, 9 - i, f"2026-01-05 12:0{i}", "oven-1", i + len(table) + len(name))
                    for i in range(6)
                ]
                database.executemany(f"INSERT INTO {table} VALUES (?, ?, ?, ?, ?)", rows)  # noqa: S608
            database.execute(
                "CREATE TABLE other AS SELECT id, number, ts, asset, t * 2 AS t FROM results"
            )
    secret = folder / "secret"
    secret.write_text(f"sqlite:///{folder}/second.db")
    secret.chmod(0o600)
    environ = {"ONE": f"sqlite:///{folder}/one.db", "TWO": f"sqlite:///{folder}/second.db"}
    given = {
        "name": "s",
        "kind": "sql",
        "url": {"env": "ONE"},
        "table": "results",
        "cursor": "id",
        **changes,
    }
    if "file" in given["url"]:
        given["url"] = {"file": str(secret)}
    document = {name: value for name, value in given.items() if value is not None}
    SOURCES.apply(platform, [document], "ada", at(0))
    reader = SqlReader(resolver(environ, lambda name: environ[name]))
    pieces = [len(piece.rows) for piece in reader.read(parse_source(document), None)]
    poll(platform, Readers(FolderDrop(), reader), "s", at(0))
    return (
        *contents(platform),
        pieces,
        platform.deliveries.progress("s").cursor,
        parse_source(document).every,
    )


def of_messages(kind, separator):
    def run(_, **changes):
        platform = memory_platform()
        document = {
            "name": "s",
            "kind": kind,
            "url": {"env": "ONE"},
            "topic": f"line{separator}{{asset}}",
            **changes,
        }
        document |= {
            "topic": document["topic"].replace("/", separator),
        }
        source = parse_source(document)
        received = datetime(2026, 1, 6, tzinfo=UTC)
        bodies = [b'{"ts": "2026-01-05T12:00Z", "asset": "oven-1", "t": 1}', b"1.5"]
        topic = f"line{separator}oven-2"
        store_messages(
            platform,
            source,
            [BrokerMessage(topic, body, received, lambda: None) for body in bodies],
            at(0),
        )
        environ = {"ONE": "mqtt://one", "TWO": "mqtt://two"}
        secret = resolver(environ)(source.url) if source.url.file is None else source.url.file
        return *contents(platform), subscription(source), secret

    run.__name__ = f"of_{kind}"
    return run


SHARED = {
    "title": ({}, {"title": "Gateway"}),
    "state": ({}, {"state": "paused"}),
    "delivers": ({}, EVENTS),
    "time": ({}, {"time": "at"}),
    "timezone": ({}, {"timezone": "Asia/Kathmandu"}),
    "asset": ({}, {"asset": "mill"}),
    "asset_column": ({}, {"asset_column": "machine"}),
    "asset_prefix": ({}, {"asset_prefix": "line-"}),
    "variables.name": ({"variables": {"t": {}}}, {"variables": {"t": {"name": "zone"}}}),
    "variables.unit": ({"variables": {"t": {}}}, {"variables": {"t": {"unit": "bar"}}}),
    "others": ({"variables": {"t": {}}}, {"variables": {"t": {}}, "others": "ignore"}),
    "variable": ({"variable": "class", "value": "t"}, {"variable": "machine", "value": "t"}),
    "value": ({"variable": "class", "value": "t"}, {"variable": "class", "value": "u"}),
    "quality": ({}, {"quality": None}),
    "quality_codes": (
        {"quality": "q", "quality_codes": "opc-ua"},
        {"quality": "q", "quality_codes": "opc-da"},
    ),
    "events.type": (EVENTS, {**EVENTS, "events": {"type": "fault"}}),
    "events.type_column": (EVENTS, {**EVENTS, "events": {"type_column": "class"}}),
    "events.type_prefix": (EVENTS, {**EVENTS, "events": {"type_prefix": "m-"}}),
    "events.end_column": (EVENTS, {**EVENTS, "events": {"end_column": "until"}}),
    "events.lasting": (EVENTS, {**EVENTS, "events": {"lasting": False}}),
    "latency": ({}, {"latency": "5m"}),
    "stale_after": ({}, {"stale_after": "1m"}),
}
FILES = {
    "url.env": ({}, {"url": {"env": "LAB"}}),
    "url.file": ({}, {"url": {"file": "/nowhere"}}),
    "pattern": ({}, {"pattern": "FOLDER/other/*"}),
    "every": ({}, {"every": "5m"}),
    "read_by": ({}, {"read_by": "scheduler"}),
    "done": ({}, {"done": "FOLDER/done"}),
    "bad": ({"bad_line": True}, {"bad_line": True, "bad": "FOLDER/bad"}),
    "unchanged_for": ({}, {"unchanged_for": "1h"}),
    "time_format": ({}, {"time_format": "mm.dd.yyyy"}),
    "separator": ({}, {"separator": ","}),
    "decimal": ({}, {"decimal": "."}),
    "encoding": ({}, {"encoding": "cp437"}),
    "header_line": ({}, {"header_line": 2}),
    "sheet": ({"workbook": True, "sheet": "May"}, {"workbook": True, "sheet": "June"}),
    "columns": ({}, {"columns": ["ts", "asset", "v", "u", "u_q"]}),
    "wide": ({"long": True, "variables": {}}, {"long": True, "variables": {}, "wide": True}),
    "types": ({}, {"types": {"t": "number"}}),
    "quality_suffix": ({"variables": {}}, {"variables": {}, "quality_suffix": "_q"}),
    "missing": ({}, {"missing": ["x", "y°"]}),
    "duplicates": ({"twice": True}, {"twice": True, "duplicates": "last"}),
    "bad_lines": ({"bad_line": True}, {"bad_line": True, "bad_lines": "skip"}),
}
SQL = {
    "url.env": ({}, {"url": {"env": "TWO"}}),
    "url.file": ({}, {"url": {"file": "secret"}}),
    "url.airflow_connection": ({}, {"url": {"airflow_connection": "TWO"}}),
    "table": ({}, {"table": "other"}),
    "query": ({}, {"table": None, "query": "SELECT * FROM results WHERE id > 2"}),
    "cursor": ({}, {"cursor": "number"}),
    "chunk": ({}, {"chunk": 4}),
    "read_by": ({}, {"read_by": "scheduler"}),
    "every": ({}, {"every": "5m"}),
}
VALUE = {"topic": "{asset}/{variable}", "stamp": "receipt", "payload": "value"}
MESSAGES = {
    "url.env": ({}, {"url": {"env": "TWO"}}),
    "url.file": ({}, {"url": {"file": "/run/secrets/broker"}}),
    "topic": ({}, {"topic": "{asset}/oven-2"}),
    "payload": (VALUE | {"payload": "json"}, VALUE),
    "stamp": ({}, {"stamp": "receipt"}),
}
ELSEWHERE = {
    *("known_hosts", "key"),  # test_remote_files.py, on a server
    "overlap",  # test_sql_source.py, on a server with instants
    "url.airflow_connection",  # of a broker: refused, see test_mqtt_source.py
    # test_broker_addresses.py, on an encrypted connection
    *(
        "tls.ca",
        "tls.certificate",
        "tls.key",
    ),
    # test_opcua_source.py, on a server
    *(
        "interval",
        "history",
        "security",
        "nodes.asset",
        "nodes.variable",
    ),
    *("exchange", "queue"),  # test_message_sources.py, on the brokers
}
BROKERS = (("mqtt", "/"), ("amqp", "."))
PROOFS = (
    (of_http, SHARED),
    (of_files, FILES),
    (of_sql, SQL),
    *((of_messages(*kind), MESSAGES) for kind in BROKERS),
)


def test_each_field_of_a_source_changes_what_is_stored_or_said(tmp_path):
    def outcome(run, folder, given):
        return str(run(tmp_path / folder, **given)).replace(str(tmp_path / folder), "")

    assert [
        (run.__name__, field)
        for run, fields in PROOFS
        for field, (one, other) in fields.items()
        if outcome(run, f"{run.__name__} {field} a", one)
        == outcome(run, f"{run.__name__} {field} b", other)
    ] == []


def test_no_field_of_a_source_is_without_a_proof():
    brokers = [(model, MESSAGES) for model in (MqttSource, AmqpSource)]
    for model, own in ((HttpSource, {}), (FilesSource, FILES), (SqlSource, SQL), *brokers):
        assert set(leaves(model)) - {"name", "kind"} - ELSEWHERE <= {*SHARED, *own}
        assert {*SHARED, *own} <= set(leaves(model))
