"""The phrase of the thing that a definition watches."""

import pytest

from alerting.definitions.wording.language import language
from alerting.kinds.registry import parse_definition
from tests.builders import oven, too_hot, too_moist

pytestmark = pytest.mark.fast
VARIABLES = oven().variables
WITHOUT = {key: value for key, value in too_hot().items() if key not in ("variable", "above")}
LEARNED = {"learned": {"quantile": 0.999}}


def threshold(**fields):
    return {**WITHOUT, "variable": "temperature", **fields}


CASES = {
    "Zone 2 temperature above 215 °C for 3 min": too_hot(**{"for": "3m"}),
    "Zone 2 temperature above 215 °C or Zone 2 temperature below 100 °C": too_hot(below=100),
    "Zone 2 temperature between 1 and 2 °C": threshold(inside={"low": 1, "high": 2}),
    "Zone 2 temperature outside 1 to 2 °C": threshold(outside={"low": 1, "high": 2}),
    "Zone 2 temperature is 3 °C": threshold(equals=3),
    "Zone 2 temperature above its limit": threshold(above={"attribute": "limit"}),
    "Zone 2 temperature unusually high": threshold(above=LEARNED),
    "change of Zone 2 temperature in 1 h above 5 °C": too_hot(above=5, rate_per="1h"),
    "Zone 2 temperature beyond the limits of its severities": threshold(
        levels={"high": {"above": 3}}
    ),
    "Zone 2 temperature above 1 °C and (moisture above 2 % or moisture below 1 %)": {
        **WITHOUT,
        "all": [
            {"variable": "temperature", "above": 1},
            {"any": [{"variable": "moisture", "above": 2}, {"variable": "moisture", "below": 1}]},
        ],
    },
    "moisture above 4.5 % for 5 min, 30 min ahead": too_moist(),
    "event stop, 30 min ahead": too_moist(problem={"event": "stop"}),
    "moisture is 1 % in the unit just made": too_moist(
        problem={"variable": "moisture", "equals": 1}, horizon="0s"
    ),
    "a lasting shift of Zone 2 temperature": {
        **WITHOUT,
        "kind": "control_chart",
        "variable": "temperature",
    },
    "value of moisture: of now between rare results, else up to 3 h ahead": {
        **WITHOUT,
        "kind": "forecast",
        "variable": "moisture",
        "horizon": "3h",
    },
    "variables that no longer fit together": {**WITHOUT, "kind": "anomaly"},
}


def test_a_phrase_says_what_a_definition_watches_in_the_language_of_the_reader():
    said = {phrase: parse_definition(one).describe(VARIABLES) for phrase, one in CASES.items()}
    assert said == {phrase: phrase for phrase in CASES}
    phrase = parse_definition(too_hot(above=215.5, **{"for": "3m"})).describe(VARIABLES)
    german = language("de").translate(phrase).replace("\u00a0", " ")
    assert german == "Zone 2 temperature über 215,5 °C für 3 min"
