"""Lines that state an instant of an asset again: refused, merged into the last values, or into
their mean."""

from datetime import timedelta

import pytest

from alerting.adapters.files import chunks

MINUTE = timedelta(minutes=1)
# as a German historian writes: semicolons, decimal commas, instants that two collectors have
# written
TWICE = """Zeit;Anlage;Temperatur [°C];Rezept
01.01.2015 06:00:00;oven-1;200,5;A
01.01.2015 06:00:00;oven-1;201,5;
01.01.2015 06:00:00;oven-2;100,0;B
01.01.2015 06:00:00;oven-1;203,5;C
01.01.2015 06:01:00;oven-1;210,0;C
01.01.2015 06:01:00;oven-2;101,0;B
01.01.2015 06:01:00;oven-2;;D
"""
LAYOUT = {"asset_column": "Anlage", "zone": "UTC"}


@pytest.mark.parametrize("block", [4 << 20, 60])
@pytest.mark.parametrize(
    ("rule", "six", "note"),
    [
        ("last", 203.5, "the last value of each variable counts"),
        ("mean", (200.5 + 201.5 + 203.5) / 3, "the mean counts"),
    ],
)
def test_duplicates_are_refused_or_merged_across_blocks_and_counted(
    importer, monkeypatch, rule, six, note, block
):
    monkeypatch.setattr(chunks, "BLOCK_BYTES", block)
    reason = "another value than on an earlier line of"
    way_out = "--duplicates last or mean merges the lines of one instant"
    importer.expect_refusal("line 3, column Temperatur", reason, way_out, content=TWICE, **LAYOUT)
    result = importer.readings(TWICE, duplicates=rule, **LAYOUT)
    assert importer.values == {
        ("oven-1", 0 * MINUTE): {"Temperatur": pytest.approx(six), "Rezept": "C"},
        ("oven-2", 0 * MINUTE): {"Temperatur": 100.0, "Rezept": "B"},
        ("oven-1", MINUTE): {"Temperatur": 210.0, "Rezept": "C"},
        ("oven-2", MINUTE): {"Temperatur": 101.0, "Rezept": "D"},
    }
    assert (result.rows, result.new, result.repeated, result.rejected) == (4, 4, 3, 0)
    assert (result.understood.lines, result.understood.rows) == (7, 4)
    said = "3 lines state an instant of an earlier one again: "
    assert any(n.startswith(said) and note in n for n in result.notes)


def test_a_last_sample_of_bad_quality_is_bad_and_a_mean_is_that_of_the_good_ones(importer):
    content = (
        "ts,x,x_q\n2015-01-01 06:00:00,1,good\n2015-01-01 06:00:00,3,uncertain\n2015-01-01 "
        "06:00:00,99,bad\n"
    )
    layout = {"asset": "a", "quality_suffix": "_q"}
    merged = {
        rule: importer.alone(content, duplicates=rule, **layout).plant.readings.rows
        for rule in ("last", "mean")
    }
    assert {rule: [(row.values, row.quality) for row in rows] for rule, rows in merged.items()} == {
        "last": [({}, {"x": "bad"})],
        "mean": [({"x": 2.0}, {"x": "uncertain"})],
    }
