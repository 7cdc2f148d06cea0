"""Tables of readings and events: what is stored and declared, what is bad, and what is refused."""

from datetime import timedelta

from alerting.adapters.files.readings_and_events import ReadingsFile
from alerting.definitions.asset_documents import Asset, EventType, Variable
from alerting.definitions.file_form import FileForm
from alerting.usecases.ingestion.tables import check_readings
from tests.builders import at
from tests.helpers.tables import SIX
from tests.memory_plant import Assets, Plant

GOOD = """ts,asset,temperature,Zone 2 [bar],running,recipe
2015-01-01 06:00:00,oven-1,215.5,1,true,plain
2015-01-01 06:01:00,oven-1,,2,false,
2015-01-01 06:00:00,oven-2,99,,,plain
"""
MINUTE = timedelta(minutes=1)


def declared(name="oven-1", **variables):
    return Plant(Assets(Asset(name=name, title="Oven", variables=variables)))


def test_readings_get_their_types_and_assets_their_variables_and_a_second_time_nothing_is_new(
    importer,
):
    result = importer.readings(GOOD)
    assert importer.values == {
        ("oven-1", 0 * MINUTE): {
            "temperature": 215.5,
            "Zone_2": 1.0,
            "running": True,
            "recipe": "plain",
        },
        ("oven-1", MINUTE): {"Zone_2": 2.0, "running": False},
        ("oven-2", 0 * MINUTE): {"temperature": 99.0, "recipe": "plain"},
    }
    assert (result.rows, result.new, result.rejected, result.created) == (
        3,
        3,
        0,
        ("oven-1", "oven-2"),
    )
    assert result.variables == {
        "temperature": "number",
        "Zone_2": "number",
        "running": "boolean",
        "recipe": "category",
    }
    assert (result.first, result.last) == (SIX, SIX + MINUTE)
    assert importer.variables("oven-1")["Zone_2"] == ("Zone 2", "bar")
    assert set(importer.variables("oven-2")) == {"temperature", "recipe"}
    again = importer.readings(GOOD)
    assert (again.rows, again.new, again.created) == (3, 0, ())
    assert len(importer.plant.audit.entries) == 1


def test_what_is_declared_wins_over_what_the_file_looks_like_and_the_unit_shown_is_stored(importer):
    code = Variable(type="category", unit="-")
    given = {"on": Variable(type="boolean"), "heat": Variable(), "wet": Variable(unit="%")}
    importer.plant = declared(code=code, **given)
    rows = "ts,code,on,heat [°C],wet,new [bar]\n2015-01-01 06:00:00,7,1,7,1,5\n"
    shown = importer.readings(rows, asset="oven-1").understood.columns
    values = {"code": "7", "on": True, "heat": 7.0, "wet": 1.0, "new": 5.0}
    assert importer.values == {("oven-1", timedelta(0)): values}
    after = importer.plant.assets.get("oven-1")
    assert (after.title, after.variables["code"]) == ("Oven", code)
    assert after.variables["new"] == Variable(unit="bar")
    assert [column.unit for column in shown[2:]] == [None, "%", "bar"]
    assert [after.variables[column.name].unit for column in shown[2:]] == [None, "%", "bar"]


def test_text_in_a_declared_number_and_a_variable_of_two_types_are_refused(importer):
    importer.plant = declared(x=Variable(type="number"))
    text = "line 2, column x: 'a' is not a number"
    importer.expect_refusal(text, content="ts,x\n2015-01-01 06:00:00,a\n", asset="oven-1")
    importer.plant.assets.store_assets(
        [Asset(name="b", variables={"x": Variable(type="category")})]
    )
    content = "ts,asset,x\n2015-01-01 06:00:00,oven-1,1\n2015-01-01 06:00:00,b,1\n"
    importer.expect_refusal("x is declared as category on b but number on oven-1", content=content)


BAD_LINES = {
    "2015-01-01 25:00,oven-1,5": (
        "line 3, column ts: '2015-01-01 25:00' is not a date and time of the calendar"
    ),
    ",oven-1,5": "line 3, column ts: there is no time",
    "2015-01-01 06:05:00,,5": "line 3, column asset: there is no asset",
    "2015-01-01 06:05:00,06:05,5": "line 3, column asset: '06:05' is not a name of an asset",
    "2015-01-01 06:05:00,oven 1,5": "line 3, column asset: 'oven 1' is almost 'oven-1' on",
    "2015-01-01 06:05:00,oven-1": "line 3: 2 fields where the header names 3",
    "2015-01-01 06:00:00,oven-1,2": (
        "line 3, column x: another value than on an earlier line of the same asset and time"
    ),
}
FRAME = (
    "ts,asset,x\n2015-01-01 06:00:00,oven-1,1\n{}\n2015-01-01 06:10:00,oven-1,3\n2015-01-01 "
    "06:11:00,oven-1,4\n"
)


def test_a_bad_line_stops_the_import_or_is_kept_apart_while_the_others_are_taken(importer):
    rows = [(FRAME.format(line), {}, "was not imported", said) for line, said in BAD_LINES.items()]
    assert importer.unsaid(rows) == []
    found = {}
    for line in BAD_LINES:
        made = importer.alone(FRAME.format(line), skip_bad=True)
        counts = (made.outcome.rows, made.outcome.new, made.outcome.rejected)
        rejects = [(bad.line, bad.original) for bad in made.rejects]
        found[line] = (counts, [v["x"] for v in made.values.values()], rejects)
    assert found == {line: ((3, 3, 1), [1, 3, 4], [(3, line)]) for line in BAD_LINES}
    for line, reason in BAD_LINES.items():
        checked = importer.check(FRAME.format(line), skip_bad=True)
        assert f"1 bad line is left out:\n  - {reason}" in checked.understood.notes[-1]


def test_lines_that_repeat_complete_each_other_or_are_empty_are_merged_and_said(importer):
    repeated = importer.readings(FRAME.format("2015-01-01 06:00:00,oven-1,1.0"))
    assert (repeated.rows, repeated.repeated) == (3, 1)
    assert "1 line repeats an earlier one and was counted once" in repeated.notes
    completed = "ts,x,y\n2015-01-01 06:00:00,1,\n2015-01-01 06:00:00,,2\n"
    both = importer.alone(completed, asset="a")
    assert both.values == {("a", timedelta(0)): {"x": 1.0, "y": 2.0}}
    content = "ts,x,void\n2015-01-01 06:00:00,1,\n2015-01-01 06:01:00,,NaN\n"
    made = importer.alone(content, asset="a")
    assert (len(made.values), set(made.variables())) == (1, {"x"})
    assert {
        "1 line holds no value and was skipped",
        "columns without any value were skipped: void",
    } <= set(made.outcome.notes)


def test_stamps_without_a_zone_are_said_to_be_utc_or_read_in_the_zone_given(importer):
    content = "ts,x\n2015-01-01 07:00:00,1\n"
    form = importer.readings(content, asset="a").understood.form
    assert (form.zone, form.zone_from) == ("UTC", "neither --tz nor ALERTING_TIMEZONE names a zone")
    assert importer.readings(content, asset="b", zone="Europe/Berlin").notes == ()
    assert ("b", timedelta(0)) in importer.values


OF_A = {"asset": "a"}
REFUSED = [
    (
        "ts,x\n" + "never,1\n" * 8 + "2015-01-01 06:00:00,1\n",
        OF_A,
        "line 2, column ts",
        "line 6, column ts",
        "and 3 more",
    ),
    ("ts,x\nnever,1\n", {"asset": "a", "skip_bad": True}, "line 2, column ts"),
    ("time,x\n2015,1\n", OF_A, "there is no column 'ts'; name it with --time. Columns: time, x"),
    ("ts,machin\n", {"asset_column": "machine"}, "no column 'machine'; did you mean machin?"),
    ("ts,x\n", {}, "no column 'asset'; name it with --asset-column (or name one asset with --ass"),
    ("ts,asset,x\n", {"asset": "a", "asset_column": "asset"}, "either --asset or --asset-column"),
    (
        "ts,a b,a-b,a_b\n",
        OF_A,
        "the columns 'a b' and 'a_b' would both be called a_b; rename one with --rename",
    ),
    (
        "ts,x\n",
        {"asset": "a", "rename": {"x": "a b"}},
        "'a b' is not a legal name; write for example --rename 'x=a_b'",
    ),
    ("ts,x\n", {"asset": "a", "rename": {"z": "y"}}, "there is no column 'z'"),
    ("ts,x\n", {"asset": "a", "only": ("z",)}, "there is no column 'z'"),
    ("ts,x\n2026-01-05,1\n", {"asset": "#1"}, "--asset: '#1' is not a name of an asset"),
    (
        "ts,x\n",
        {"asset": "a", "zone": "Europe/Berlln"},
        "'Europe/Berlln' is not a time zone; did you mean Europe/Berlin",
    ),
    ("ts,x\n", {"asset": "a", "decimal": ","}, "cannot separate both fields and decimals"),
    ("ts,x\n", OF_A, "has a header but no line"),
    ("ts,x\n2015-01-01,\n", OF_A, "has no value in any column"),
    (
        "ts;x\n2015-01-01;1,5\n",
        {"asset": "a", "decimal": "."},
        "column 'x' holds numbers such as 12,5: add --decimal ,",
    ),
]


def test_what_cannot_be_imported_is_refused_with_what_to_do_and_changes_nothing(importer):
    assert importer.unsaid(REFUSED) == []


def test_columns_can_be_chosen_and_renamed_and_assets_prefixed(importer):
    content = "time;machine;Temperature °C;other\n2015-01-01 06:00:00;1;20,5;x\n"
    layout = {
        "only": ("Temperature °C",),
        "rename": {"Temperature °C": "t"},
        "asset_prefix": "machine-",
        "decimal": ",",
    }
    importer.readings(content, time="time", asset_column="machine", **layout)
    assert importer.values == {("machine-1", timedelta(0)): {"t": 20.5}}
    assert importer.variables("machine-1") == {"t": ("Temperature", "°C")}


FAILURES = "ts,asset,type,code\n2015-01-01 06:00:00,a,stop,7\n2015-01-01 07:00:00,a,jam,8\n"
STOPS = (
    "ts,asset,type,end\n2015-01-01 06:00:00,a,stop,2015-01-01 06:30:00\n2015-01-01 "
    "07:00:00,a,stop,\n"
)


def test_events_without_an_end_column_are_instant_and_keep_their_attributes(importer):
    result = importer.events(FAILURES)
    stop = importer.plant.readings.events["a", "stop", SIX]
    assert (stop.end, stop.attributes) == (SIX, {"code": 7.0})
    assert importer.plant.assets.types == {
        n: EventType(name=n, duration="instant") for n in ("jam", "stop")
    }
    assert (result.new, importer.events(FAILURES).new) == (2, 0)
    assert importer.plant.assets.get("a") == Asset(name="a")


def test_a_type_comes_from_a_column_with_a_prefix_or_is_named_for_all(importer):
    content = "ts,asset,comp\n2015-01-01 06:00:00,a,1\n"
    importer.events(content, {"type_column": "comp", "type_prefix": "failure-"})
    importer.events("ts,asset\n2015-01-01 06:00:00,a\n", {"type": "stop"})
    assert {key[1] for key in importer.plant.readings.events} == {"failure-1", "stop"}


def test_events_with_an_end_column_are_lasting_and_a_stored_type_is_never_contradicted(importer):
    importer.events(STOPS)
    ends = [e.end for e in importer.plant.readings.events.values()]
    assert ends == [SIX + timedelta(minutes=30), None]
    again = importer.events("ts,asset,type\n2015-01-02 06:00:00,a,stop\n")
    assert again.event_types == {"stop": "lasting"}
    importer.events(FAILURES.replace("stop", "failure"))
    with_end = "ts,asset,type,end\n2015-01-02 06:00:00,a,failure,2015-01-02 06:30:00\n"
    instant = "events of type 'stop' are to be instant, but are stored as lasting already"
    rows = [
        (STOPS, {"duration": "instant"}, instant),
        (with_end, {}, "have ends, but are stored as instant already"),
    ]
    assert importer.unsaid(rows, importer.events) == []


BAD_EVENTS = {
    "2015-01-01 06:00:00,a,,": "line 2, column type: there is no event type",
    "2015-01-01 06:00:00,a,#1,": "line 2, column type: '#1' is not a name of an event type",
    "2015-01-01 06:00:00,a,stop,2015-01-01 05:00:00": (
        "line 2, column end: the end '2015-01-01 05:00:00' lies before the start"
    ),
    "2015-01-01 06:00:00,a,stop,soon": "line 2, column end: 'soon' is not an instant",
}
WITH_GOOD = "ts,asset,type,end\n{}\n2015-01-01 08:00:00,a,stop,\n"
TWICE = "ts,asset,type,end\n" + "2015-01-01 06:00:00,a,stop,2015-01-01 06:30:00\n" * 2


def test_a_bad_event_stops_the_import_or_is_kept_apart_and_a_repeated_one_counts_once(importer):
    rows = [
        *((WITH_GOOD.format(line), {}, said) for line, said in BAD_EVENTS.items()),
        (STOPS, {"duration": "instant"}, "line 2, column end: an instant event has no end"),
        (
            f"{TWICE}2015-01-01 06:00:00,a,stop,2015-01-01 06:31:00\n",
            {},
            "line 4, column end: another value than on an earlier line",
        ),
    ]
    assert importer.unsaid(rows, importer.events) == []
    skipped = {line: importer.events(WITH_GOOD.format(line), skip_bad=True) for line in BAD_EVENTS}
    assert {line: result.rejected for line, result in skipped.items()} == dict.fromkeys(skipped, 1)
    assert len(importer.plant.readings.events) == 1
    assert importer.events(TWICE).repeated == 1


def test_readings_far_from_all_others_and_after_now_are_told_of(importer):
    lines = [f"2026-01-05T{hour:02}:{minute:02}:00Z,1" for hour in range(3) for minute in range(60)]
    stray = ["1970-01-01T02:00:36Z,1", "2026-01-05T05:00:00Z,1", "2036-01-01T00:00:00Z,1"]
    content = "\n".join(["ts,temperature", *stray, *lines]) + "\n"
    source = ReadingsFile(importer.file(content), FileForm(asset="oven-1"))
    checked = check_readings(source, importer.plant, now=at(180))
    assert checked.understood.notes == (
        "1 reading lies 56 years before the others",
        "2 readings lie after now (the newest by 9 years)",
    )
