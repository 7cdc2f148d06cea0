"""A file in another unit than the variable is converted or asked about, never stored silently."""

import math
from datetime import UTC, datetime, timedelta

import pytest

from alerting.adapters.files.readings_and_events import ReadingsFile
from alerting.definitions.asset_documents import Asset, Variable
from alerting.definitions.file_form import FileForm
from alerting.definitions.sources import parse_source
from alerting.ports import WantedHistory
from alerting.usecases.ingestion.tables import check_readings
from alerting.usecases.sources.store_rows import deliver
from tests.helpers.tables import NOW, SIX, Importer
from tests.in_memory_platform import memory_platform

START = datetime(2025, 12, 1, tzinfo=UTC)


def scale(importer, unit="kg", asset="a"):
    variables = {"mass": Variable(type="number", unit=unit)}
    importer.plant.assets.store_assets([Asset(name=asset, variables=variables)])
    return importer


def content(title, *values):
    rows = (f"2015-01-01T06:0{i}:00Z,{value}\n" for i, value in enumerate(values))
    return f"ts,{title}\n{''.join(rows)}"


@pytest.mark.parametrize("title", ["mass [g]", "mass (g)", "mass"])
def test_values_are_converted_into_the_unit_of_the_variable(tmp_path, title):
    importer = scale(Importer(tmp_path, asset="a"))
    cells = ("1500", "900.5") if title != "mass" else ("1500 g", "900.5 g")
    done = importer.readings(content(title, *cells))
    assert importer.variables() == {"mass": (None, "kg")}
    assert [v["mass"] for v in importer.rows.values()] == [1.5, 0.9005]
    said = ("values are converted from g into kg", "values are converted into kg: 2 from g")
    assert any(note.endswith(said) for note in done.notes)


def test_each_asset_has_its_unit_and_a_new_one_that_of_the_file(tmp_path):
    importer = scale(scale(Importer(tmp_path, asset_column="machine")), unit="g", asset="b")
    rows = "".join(f"2015-01-01T06:00:00Z,{asset},1500\n" for asset in "abc")
    importer.readings(f"ts,machine,mass [kg]\n{rows}")
    stored = {asset: v["mass"] for (asset, _), v in importer.plant.readings.values.items()}
    assert stored == {"a": 1500.0, "b": 1_500_000.0, "c": 1500.0}
    assert importer.variables("c")["mass"][1] == "kg"


def test_another_quantity_is_refused_and_an_unknown_unit_is_asked_about(tmp_path):
    importer = scale(Importer(tmp_path, asset="a"))
    importer.expect_refusal(
        "the column of mass is in °C, and mass of a in kg",
        "--rename",
        content=content("mass [°C]", 20),
        rename={"mass [°C]": "mass"},
    )
    done = importer.readings(content("mass [Stk]", 20), rename={"mass [Stk]": "mass"})
    assert any("in Stk, the variable in kg: the same unit?" in note for note in done.notes)


def test_a_unit_in_the_cells_counts_before_one_that_is_stated(tmp_path):
    importer = scale(Importer(tmp_path, asset="a"))
    file = importer.file(content("mass", "1500 g", "900.5 g"))
    source = ReadingsFile(file, FileForm(asset="a"))
    check_readings(source, importer.plant, units={"mass": "g"}).write(now=NOW, actor="me")
    assert [v["mass"] for v in importer.rows.values()] == [1.5, 0.9005]


def test_a_second_import_changes_nothing_and_the_file_can_be_taken_back(tmp_path):
    importer = scale(Importer(tmp_path, asset="a", duplicates="mean"))
    text = content("mass [g]", 1500, 333.3) + "2015-01-01T06:01:00Z,333.5\n"
    importer.readings(text)
    assert [v["mass"] for v in importer.rows.values()] == [1.5, pytest.approx(0.3334)]
    assert importer.readings(text).new == 0
    assert importer.readings(text, take_back=True).removed == 2


def test_no_value_becomes_infinite_by_a_conversion(tmp_path):
    importer = scale(Importer(tmp_path, asset="a"), unit="g")
    importer.readings(content("mass [kg]", 1.5, 2.5, "-1.5e307"))
    values = [v["mass"] for v in importer.rows.values()]
    assert (values[:2], all(map(math.isfinite, values))) == ([1500.0, 2500.0], True)


def hourly(first, hours, factor=1.0, title="mass"):
    rows = (
        f"{START + timedelta(hours=first + h):%Y-%m-%dT%H:%M:%SZ},{factor * (5 + h % 7 / 10)}\n"
        for h in range(hours)
    )
    return f"ts,{title}\n{''.join(rows)}"


def test_a_second_file_a_thousand_times_as_high_is_asked_about(tmp_path):
    importer = scale(Importer(tmp_path, asset="a"))
    importer.readings(hourly(0, 200))
    asked = [
        [note for note in importer.check(text).understood.notes if "another unit?" in note]
        for text in (
            hourly(200, 200, 1000),
            hourly(-200, 200, 1000),  # of before
            hourly(-9000, 200, 1000),  # of long before
            hourly(0, 200, 1000),  # of the same times
            hourly(200, 200),
            hourly(0, 200),
            hourly(200, 200, 1000, "mass [g]"),
            hourly(0, 200, 1000, "mass [g]"),
        )
    ]
    assert [len(notes) for notes in asked] == [1, 1, 1, 1, 0, 0, 0, 0]
    assert asked[0] == ["mass is 1,000 times as high from 2025-12-09 on (another unit?)"]
    assert any("`mass [g]`" in n for n in importer.check(hourly(200, 200, 1000)).understood.notes)


def test_few_of_many_stored_rows_are_read_beside_a_coarse_file(tmp_path, monkeypatch):
    importer = scale(Importer(tmp_path, asset="a"))
    seconds = "".join(
        f"{START + timedelta(seconds=s):%Y-%m-%dT%H:%M:%SZ},{5 + s % 7 / 10}\n"
        for s in range(40_000)
    )
    importer.readings(f"ts,mass\n{seconds}")
    load = importer.plant.readings.load
    read = []

    def counted(*args, **options):
        history = load(*args, **options)
        read.append(len(history.readings))
        return history

    monkeypatch.setattr(importer.plant.readings, "load", counted)
    importer.check(hourly(400, 2000))
    assert 1000 < sum(read) < 20_000


def sent(values, **source):
    platform = memory_platform()
    mass = Variable(type="number", unit="kg")
    platform.assets.store_assets([Asset(name="a", variables={"mass": mass})])
    document = parse_source({"name": "s", "kind": "http", "asset": "a", **source})
    rows = [{"ts": (SIX + timedelta(minutes=i)).isoformat(), **v} for i, v in enumerate(values)]
    delivery = deliver(platform, document, rows, NOW, by=None)
    stored = platform.readings.load(WantedHistory(platform.assets.get("a"), None, None)).readings
    return stored.get("mass", []), [row.reason for row in delivery.refused]


@pytest.mark.parametrize(
    ("source", "field"), [({"variables": {"mass": {"unit": "g"}}}, "mass"), ({}, "mass [g]")]
)
def test_messages_are_converted(source, field):
    stored, refused = sent([{field: 1500}, {field: 900.5}], **source)
    assert ([*stored], refused) == ([1.5, 0.9005], [])


def test_a_message_in_another_quantity_is_refused_with_its_reason():
    stored, [reason] = sent([{"mass": 20}], variables={"mass": {"unit": "°C"}})
    assert ([*stored], "is in °C, and the variable in kg" in reason) == ([], True)


def test_each_message_is_in_the_unit_of_its_own_column():
    titles = [{"mass [g]": 1500}, {"mass [kg]": 2.5}, {"mass": 3.5}, {"mass [g]": 4500}]
    assert [*sent(titles)[0]] == [1.5, 2.5, 3.5, 4.5]


def test_a_message_that_would_be_infinite_in_the_declared_unit_is_refused():
    stored, [reason] = sent([{"mass": 1.5}, {"mass": 1e305}], variables={"mass": {"unit": "Gg"}})
    assert ([*stored], "1e+305 is too large in kg" in reason) == ([1_500_000.0], True)
