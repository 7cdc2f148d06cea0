"""The quality of samples, as files say it."""

import pytest

from alerting.definitions.asset_documents import Asset, Variable
from tests.helpers.tables import SIX, Importer
from tests.memory_plant import Assets, Plant

HEAD = "ts,x,y,x_q,y_q\n"
BY_SUFFIX = (
    HEAD
    + """2015-01-01 06:00:00,1,5,192,good
2015-01-01 06:01:00,2,I/O Timeout,64,BadNoCommunication
2015-01-01 06:02:00,,6,24,
"""
)
STATUS = {"quality": "status", "quality_suffix": None}


@pytest.fixture
def importer(tmp_path):
    return Importer(tmp_path, asset="oven-1", quality_suffix="_q")


def samples(importer):
    readings = importer.plant.readings
    return {
        (ts - SIX).seconds // 60: (readings.values[name, ts], readings.quality.get((name, ts), {}))
        for name, ts in readings.values
    }


def test_each_value_may_have_a_quality_of_its_own(importer):
    result = importer.readings(BY_SUFFIX)
    assert samples(importer) == {
        0: ({"x": 1.0, "y": 5.0}, {}),
        1: ({"x": 2.0}, {"x": "uncertain", "y": "bad"}),
        2: ({"y": 6.0}, {"x": "bad"}),
    }
    assert (result.variables, result.bad_quality, result.uncertain) == (
        {"x": "number", "y": "number"},
        2,
        1,
    )
    assert any("2 samples are of bad quality" in note for note in result.notes)
    # a number of bad quality is not called a cell that is no number
    columns = [(c.name, c.bad, dict(c.bad_cells)) for c in result.understood.columns]
    assert columns == [("x", 0, {}), ("y", 0, {})]
    assert importer.readings(BY_SUFFIX).new == 0


def test_one_column_may_speak_of_the_whole_row_and_the_worse_of_two_qualities_counts(importer):
    rows = (
        "ts,x,y,status\n2015-01-01 06:00:00,1,5,Good\n2015-01-01 06:01:00,2,,Bad\n2015-01-01 "
        "06:02:00,,,Bad\n2015-01-01 06:03:00,,,\n"
    )
    assert samples(importer.alone(rows, **STATUS)) == {
        0: ({"x": 1.0, "y": 5.0}, {}),
        1: ({}, {"x": "bad"}),
        2: ({}, {"x": "bad", "y": "bad"}),
    }
    two = "ts,x,x_q,status\n2015-01-01 06:00:00,1,64,good\n2015-01-01 06:01:00,2,good,bad\n"
    both = importer.alone(two, quality="status")
    assert samples(both) == {0: ({"x": 1.0}, {"x": "uncertain"}), 1: ({}, {"x": "bad"})}


def test_a_quality_that_nobody_understands_is_a_bad_line_with_its_place(importer):
    dodgy = HEAD + "2015-01-01 06:00:00,1,5,good,good\n2015-01-01 06:01:00,1,5,dodgy,good\n"
    told = "line 3, column x_q: 'dodgy' is not a quality: write good, uncertain or bad"
    importer.expect_refusal(told, content=dodgy)
    assert importer.readings(dodgy, skip_bad=True).rejected == 1
    assert [(line.line, line.column) for line in importer.rejects] == [(3, "x_q")]


def test_a_zero_is_understood_only_when_it_is_said_what_it_is(importer):
    rows = "ts,x,x_q\n2015-01-01 06:00:00,1,good\n2015-01-01 06:01:00,2,0\n"
    told = (
        "line 3, column x_q: '0' may be a status code of OPC UA or a quality of OPC DA (0 is good "
        "there and bad here)"
    )
    importer.expect_refusal(told, content=rows)
    found = {
        codes: samples(importer.alone(rows, quality_codes=codes))[1][1]
        for codes in ("opc-ua", "opc-da")
    }
    assert found == {"opc-ua": {}, "opc-da": {"x": "bad"}}


def test_a_file_of_bad_samples_only_is_imported_where_the_variable_is_known(importer):
    rows = "ts,x,x_q\n2015-01-01 06:00:00,No Data,bad\n"
    importer.expect_refusal("no value in any column that could be a variable", content=rows)
    importer.plant = Plant(Assets(Asset(name="oven-1", variables={"x": Variable()})))
    assert importer.readings(rows).new == 1
    assert samples(importer) == {0: ({}, {"x": "bad"})}


def test_two_lines_that_disagree_whether_a_sample_is_bad_contradict_each_other(importer):
    rows = (
        "ts,x,x_q\n2015-01-01 06:00:00,1,good\n2015-01-01 06:00:00,1,bad\n2015-01-01 "
        "06:01:00,,bad\n2015-01-01 06:01:00,,bad\n"
    )
    importer.expect_refusal("line 3, column x: another value than", content=rows)
    assert importer.readings(rows, skip_bad=True).repeated == 1


def test_columns_of_quality_must_be_there(importer):
    rows = "ts,x\n2015-01-01 06:00:00,1\n"
    missing = [
        (rows, {}, "no column has the title of another column"),
        (rows, STATUS, "there is no column 'status'"),
        (rows, {"quality_suffix": None, "quality_codes": "opc-da"}, "--quality-codes goes with"),
    ]
    assert importer.unsaid(missing) == []
