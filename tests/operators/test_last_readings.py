"""Since when an alert without readings has none, in three languages."""

from datetime import timedelta
from types import SimpleNamespace

import pytest

from alerting.definitions.wording.language import LANGUAGES, Styled, language, translatable
from alerting.detection.evaluation_results_and_texts import (
    NO_READINGS_FOR_MODEL,
    stale_message,
    waiting_message,
)
from alerting.ports import NewestReading
from alerting.usecases.operators.known_plant import LATE, Gap, with_last_readings
from tests.builders import at

pytestmark = pytest.mark.fast
SINCE = "2026-01-05 00:10 UTC"
OF_MODEL = translatable(NO_READINGS_FOR_MODEL, duration=Styled(10_800, "duration"))
NAMED = {  # reason, assets: with a last reading 10 min in, or now
    "waiting": (waiting_message("Pressure"), ("silent",), f"Pressure has no reading since {SINCE}"),
    "stale": (
        stale_message("Druck", timedelta(hours=1)),
        ("silent",),
        f"Druck hat seit {SINCE} keinen Messwert",
    ),
    "of a model": (OF_MODEL, ("silent",), f"aucune mesure depuis {SINCE}"),
    "one asset still sends": (OF_MODEL, ("silent", "live"), "no readings in the last"),
    "no reading ever": (waiting_message("Pressure"), ("never",), "since this alert is in service"),
    "another reason": (LATE, ("silent",), "its evaluation is late"),
}


@pytest.mark.parametrize("case", NAMED)
def test_a_gap_says_since_when_its_assets_sent_nothing(case):
    reason, assets, sentence = NAMED[case]
    newest = {name: NewestReading(at(m), at(m)) for name, m in (("silent", 10), ("live", 300))}
    readings = SimpleNamespace(newest_readings=lambda *_: newest)
    [gap] = with_last_readings(readings, [Gap("a", "unknown", reason, assets, at(200))], at(300))
    assert any(sentence in language(code).translate(gap.reason) for code in LANGUAGES)
