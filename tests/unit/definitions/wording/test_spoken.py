"""Shares, points and titles as operators read them."""

import pytest

from alerting.definitions.wording.spoken import inside_sentence, spoken_points


@pytest.mark.parametrize(
    ("difference", "text"),
    [(0.634, "63 points"), (0.1, "10 points"), (0.025, "2.5 points"), (0.01, "1 point"), (0.0, "0 points"), (1.0, "100 points")],
)
def test_a_difference_of_risks_is_given_in_points_with_a_decimal_below_ten(difference, text):
    assert spoken_points(difference) == text


@pytest.mark.parametrize(
    ("title", "text"),
    [
        ("Belt speed set-point", "belt speed set-point"),
        ("Zone 2 temperature", "zone 2 temperature"),
        ("Belt-speed", "belt-speed"),
        ("CO2 content", "CO2 content"),
        ("NaOH dose", "NaOH dose"),
        ("Fe content", "Fe content"),
        ("pH of the bath", "pH of the bath"),
        ("X-ray thickness", "X-ray thickness"),
        ("T2 temperature", "T2 temperature"),
        ("", ""),
    ],
)
def test_a_title_inside_a_sentence_begins_small_unless_it_is_an_abbreviation(title, text):
    assert inside_sentence(title) == text
