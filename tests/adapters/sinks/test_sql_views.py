"""The views for reports on the tables of a sink, in each kind of database."""

import logging
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from alerting.adapters.receivers import sql_sink as module
from alerting.adapters.receivers.sql_sink import SqlReceiver
from alerting.adapters.sources.sql import engine_of
from alerting.ports import StoredReading
from alerting.usecases.sink_delivery import alarm_messages, reading_message
from tests.helpers.mariadb import mariadb_server
from tests.helpers.postgres import postgres_server
from tests.helpers.receivers import surroundings
from tests.helpers.report_tables import (
    HOUR,
    LIMITS,
    MINUTE,
    acknowledge,
    alarm,
    close,
    sql_sink,
    week_of_messages,
)

NOW = datetime(2026, 1, 8, 12, tzinfo=UTC)
VIEWS = {
    "alarm_history",
    "alarm_now",
    "asset",
    "definition",
    "forecast",
    "reading",
    "report_week",
    "score",
}
SERVERS = {
    "postgresql": lambda _: postgres_server(),
    "mariadb": mariadb_server,
    "sqlite": lambda folder: iter([f"sqlite:///{folder}/reports.db"]),
}


@pytest.fixture(scope="module", params=SERVERS)
def url(request, tmp_path_factory):
    yield from SERVERS[request.param](tmp_path_factory.mktemp(request.param))


def send(url, sink, messages):
    receiver = SqlReceiver(sink, surroundings(url))
    try:
        assert {answer.verdict for answer in receiver.send(messages)} <= {"accepted"}
    finally:
        receiver.close()


def ask(url, query):
    engine = engine_of("test", url)
    with engine.connect() as connection:
        found = [dict(row) for row in connection.execute(sa.text(query)).mappings()]
    engine.dispose()
    return found


def views(url):
    engine = engine_of("test", url)
    found = set(sa.inspect(engine).get_view_names())
    engine.dispose()
    return found


def test_every_view_has_rows_whose_keys_are_those_of_asset_and_definition(url):
    sink = sql_sink(table="star_{sends}")
    send(url, sink, week_of_messages(sink, NOW))
    found = {name: ask(url, f"SELECT * FROM star_{name}") for name in VIEWS}  # noqa: S608
    assert [name for name, rows in found.items() if not rows] == []
    for key in ("asset", "definition"):
        known = [row[key] for row in found[key]]
        assert len(known) == len(set(known))
        used = {row[key] for rows in found.values() for row in rows if key in row}
        assert used == set(known)
    assert {row["title"] for row in found["definition"]} == {"Too hot", "Too moist", None}
    episodes = [row["episode"] for row in found["alarm_history"]]
    assert len(episodes) == len(set(episodes))


def test_an_alarm_has_the_state_of_its_last_change_however_its_instants_lie(url):
    """A person acknowledges by the clock, and an alarm is over by the time of its readings."""
    sink = sql_sink(table="last_{sends}")
    one = acknowledge(alarm(NOW), 5 * MINUTE)
    for number in range(8):  # its changes get numbers of two digits
        one = one.with_transition("commented", NOW + (6 + number) * MINUTE, "look", "ben")
    one = close(one, 4 * MINUTE).with_transition("feedback", NOW + HOUR, "false alarm", "ben")
    goes_on = alarm(NOW + MINUTE, definition="too-moist")
    send(url, sink, [m for a in (one, goes_on) for m in alarm_messages(sink, a, 0)])
    (row,) = ask(url, "SELECT * FROM last_alarm_history WHERE definition = 'too-hot'")
    assert (row["state"], row["answer"], row["acknowledged_by"]) == ("over", "false alarm", "ben")
    assert (row["seconds_to_acknowledge"], row["seconds_open"]) == (
        pytest.approx(300),
        pytest.approx(240),
    )
    assert [r["definition"] for r in ask(url, "SELECT * FROM last_alarm_now")] == ["too-moist"]
    weeks = ask(url, "SELECT * FROM last_report_week ORDER BY definition")
    assert [str(week["week"]) for week in weeks] == ["2026-01-05", "2026-01-05"]
    figures = ("alarms", "high_alarms", "acknowledged_alarms", "open_alarms", "false_alarms")
    assert [[int(week[name]) for name in figures] for week in weeks] == [
        [1, 1, 1, 0, 1],
        [1, 1, 0, 1, 0],
    ]


def test_a_forecast_says_for_when_it_is(url):
    sink = sql_sink(table="ahead_{sends}")
    send(url, sink, week_of_messages(sink, NOW))
    (row,) = ask(url, "SELECT * FROM ahead_forecast WHERE ahead_s = 600 ORDER BY at DESC LIMIT 1")
    expected, at = (str(row[name]).replace("T", " ")[:16] for name in ("expected_at", "at"))
    assert (at, expected) == ("2026-01-08 11:50", "2026-01-08 12:00")


def test_a_value_that_is_corrected_replaces_its_row_and_others_of_the_instant_are_added(url):
    sink = sql_sink(table="again_{sends}")
    first = StoredReading("oven-1", NOW, {"temperature": 219.5, "recipe": "rye"}, NOW)
    values = {"temperature": 220.5, "recipe": "rye", "runs": False}
    later = StoredReading("oven-1", NOW, values, NOW + MINUTE)
    messages = [reading_message(sink, one, LIMITS) for one in (first, later)]
    send(url, sink, messages)
    send(url, sink, messages[1:])
    found = ask(url, "SELECT * FROM again_reading ORDER BY variable")
    assert [[r["variable"], r["value"], r["text"], r["high_limit"]] for r in found] == [
        ["recipe", None, "rye", None],
        ["runs", 0.0, None, None],
        ["temperature", 220.5, None, 240.0],
    ]


def test_a_value_that_turns_out_bad_has_none(url):
    sink = sql_sink(table="bad_{sends}")
    good = StoredReading("oven-1", NOW, {"temperature": 219.5, "recipe": "rye"}, NOW)
    bad = StoredReading("oven-1", NOW, {"temperature": None, "recipe": None}, NOW + MINUTE)
    send(url, sink, [reading_message(sink, one, LIMITS) for one in (good, bad)])
    found = ask(url, "SELECT * FROM bad_reading")
    assert [(row["value"], row["text"]) for row in found] == [(None, None)] * 2


def test_a_transaction_has_a_bounded_number_of_rows_however_many_messages_wait(url, monkeypatch):
    monkeypatch.setattr(module, "_AT_ONCE", 5)
    sink = sql_sink(table="many_{sends}")
    readings = [
        StoredReading("oven-1", NOW + n * MINUTE, {f"v{i}": 1.0 for i in range(width)}, NOW)
        for n, width in enumerate((2, 2, 2, 7, 1, 1))
    ]
    messages = [reading_message(sink, one, {}) for one in readings]
    pieces = [[len(m.content["values"]) for m in piece] for piece in module._pieces(messages)]
    assert pieces == [[2, 2], [2], [7], [1, 1]]
    send(url, sink, messages)
    assert len(ask(url, "SELECT * FROM many_reading")) == 15


def test_views_are_of_the_tables_that_are_there_and_grow_with_them(url):
    send(url, sql_sink(table="few_{sends}", sends=["alarms"]), [])
    names = {name.removeprefix("few_") for name in views(url) if name.startswith("few_")}
    assert names == VIEWS - {"forecast", "reading", "score"}
    send(url, sql_sink(table="few_{sends}", sends=["scores"]), [])
    assert "few_score" in views(url)
    assert "few_alarm_now" in views(url)


def test_a_table_without_a_pattern_has_its_views_under_its_own_name(url):
    sink = sql_sink(table="plain", sends=["alarms", "acknowledgements"])
    send(url, sink, [*alarm_messages(sink, acknowledge(alarm(NOW), MINUTE), 0)])
    (row,) = ask(url, "SELECT * FROM plain_alarm_now")
    assert row["acknowledged_by"] == "ben"


def test_views_of_another_version_are_replaced_and_others_left_alone(url, monkeypatch, tmp_path):
    sink = sql_sink(table="new_{sends}", sends=["scores"])
    for name in ("dialects.toml", "score.sql"):
        text = (module._VIEWS / name).read_text().replace("definition,", "", 1)
        (tmp_path / name).write_text(text)
    with monkeypatch.context() as older:
        older.setattr(module, "_VIEWS", tmp_path)
        send(url, sink, [])
    assert "definition" not in columns(url, "new_score")
    send(url, sink, [])
    assert "definition" in columns(url, "new_score")
    made = statements(url, sink)
    assert [text for text in made if "VIEW" in text.upper() and "CREATE" in text.upper()] == []


def columns(url, view):
    engine = engine_of("test", url)
    found = [column["name"] for column in sa.inspect(engine).get_columns(view)]
    engine.dispose()
    return found


def statements(url, sink):
    """Return the statements of the next start of a sink."""
    seen = []

    def note(*given):
        seen.append(given[2])

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        send(url, sink, [])
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)
    return [text for text in seen if not text.startswith(("SHOW", "SELECT"))]


def test_rows_go_out_where_no_view_can_be_made_or_the_folder_is_gone(url, monkeypatch, caplog):
    sink = sql_sink(table="bare_{sends}", sends=["alarms"])
    monkeypatch.setattr(module, "_VIEWS", module._VIEWS.with_name("gone"))
    send(url, sink, [*alarm_messages(sink, alarm(NOW), 0)])
    assert not [name for name in views(url) if name.startswith("bare_")]
    monkeypatch.undo()
    engine = engine_of("test", url)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE bare_asset (a int)"))
    engine.dispose()
    with caplog.at_level(logging.WARNING):
        send(url, sink, [*alarm_messages(sink, alarm(NOW + MINUTE), 0)])
    assert "its views cannot be made" in caplog.text
    assert len(ask(url, "SELECT * FROM bare_alarms")) == 2
