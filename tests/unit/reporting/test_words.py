import pytest

from alerting.reporting.words import number, percent, seconds


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0.0, "0"), (0.51234, "0.512"), (12.0, "12"), (999.6, "1\u202f000"), (671, "671"), (12345.6, "12\u202f346")],  # noqa: RUF001
)
def test_numbers_are_short(value, text):
    assert number(value) == text


@pytest.mark.parametrize(("value", "text"), [(None, "–"), (0.0, "0 %"), (0.0331, "3.3 %"), (0.0999, "10 %"), (1.0, "100 %")])  # noqa: RUF001
def test_shares_are_percent(value, text):
    assert percent(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 s"),
        (59.6, "1 min"),
        (7140, "1 h 59 min"),
        (7200, "2 h"),
        (-90, "-1 min 30 s"),
        (90_000, "1 d 1 h"),
        (86_460, "1 d"),
    ],
)
def test_lengths_of_time_have_two_units(value, text):
    assert seconds(value) == text
