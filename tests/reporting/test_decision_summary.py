"""Why a model went into service or did not, in one sentence of a report."""

import pytest

from alerting.definitions.wording.language import language
from alerting.reporting.definition.decisions import summarise_decision

pytestmark = pytest.mark.fast

EVIDENCE = {
    "events": 12,
    "acted_left_out": {"challenger_ap": 0.61, "champion_ap": 0.64},
    "crps": {"challenger": 1.2, "champion": 1.5, "share_better": 0.99},
}


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        (
            "promote",
            "Seine Prognosen waren besser und seine Warnungen nicht schlechter (mittlerer CRPS "
            "1,2, zuvor 1,5).",
        ),
        (
            "keep",
            "Seine Warnungen waren besser, aber seine Prognosen schlechter (mittlerer CRPS 1,2, "
            "zuvor 1,5).",
        ),
    ],
)
def test_a_decision_by_forecasts_is_not_explained_by_warnings(verdict, expected):
    summary = summarise_decision(verdict, 1, "", "", {**EVIDENCE, "decided_by": "forecasts"})
    assert language("de").translate(summary) == expected


def test_a_decision_by_warnings_is_explained_by_them_beside_forecasts():
    assert summarise_decision("keep", 1, "", "", EVIDENCE).startswith(
        "It was no better on 12 problems"
    )


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("de", "waren seine Werte vor den 5 Problemen nicht höher, als der Zufall erklärt"),
        (
            "fr",
            "pas plus élevés que ce que le hasard explique",
        ),
    ],
)
def test_a_first_model_with_later_scores_by_chance_is_not_called_better_than_chance(code, expected):
    evidence = {"found_by_chance": {"found": 1, "problems": 5, "share": 0.4}}
    summary = summarise_decision("provisional", None, "", "", evidence)
    assert summary.startswith("First model. In the validation period its scores before the 5")
    assert expected in language(code).translate(summary)
