"""Reports and their mails in the language of the plant: no word of the platform stays in
English."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from alerting.definitions.model import Costs
from alerting.definitions.wording.language import language
from alerting.episodes.episode import RecommendationResult
from alerting.episodes.misses import ReportedMiss
from alerting.readings.history import History
from alerting.reporting.base.table import to_document
from alerting.reporting.definition.conclusion import conclude
from alerting.reporting.definition.decisions import DecisionMade, summarise_decision
from alerting.reporting.definition.metrics import compute_metrics
from alerting.reporting.page.page import draw, render_page
from alerting.reporting.page.sentences import head_sentences, mail_sentences
from alerting.usecases.definitions.sync import apply
from alerting.usecases.reports.issue import announce_reports
from tests.builders import at, oven, too_hot
from tests.helpers.marked_language import marked_language, words_left
from tests.helpers.reports import store_report
from tests.in_memory_platform import Mailbox, in_memory_platform
from tests.report_material import (
    CLASSIFIER,
    THRESHOLD,
    H,
    episode,
    good_material,
    problems,
    threshold_material,
)


def test_the_sentences_of_a_definition():
    metrics = compute_metrics(good_material())
    german, french = (head_sentences(metrics, language=language(code)) for code in ("de", "fr"))
    assert german[:2] == (
        "7 von 9 Problemen wurden vorhergesagt, typischerweise 1 h 59 min im Voraus.",
        "2 Fehlalarme. 1 von 11 Alarmen hat noch kein Ergebnis.",
    )
    assert french[0] == "7 problèmes sur 9 ont été prédits, typiquement 1 h 59 min à l\u2019avance."
    assert french[1] == "2 fausses alarmes. 1 alarme sur 11 n\u2019a pas encore d\u2019issue."


def test_a_mail_begins_with_the_conclusion_and_ends_with_the_first_advice():
    metrics = compute_metrics(good_material())
    said = mail_sentences(metrics, conclude(metrics), language=language("de"))
    assert said == (
        "Verlässlich.",
        *head_sentences(metrics, language=language("de")),
        "Der Bericht rät: 2 von 9 Problemen kamen unangekündigt: in der Liste unten nach "
        "Gemeinsamem suchen.",
    )


@pytest.mark.parametrize(
    ("code", "subject"),
    [
        ("en", "Report 2026-W02: too-hot"),
        ("de", "Bericht 2026-W02: too-hot"),
        ("fr", "Rapport 2026-W02\u00a0: too-hot"),
    ],
)
def test_a_mail_is_in_the_language_of_the_plant(code, subject):
    platform = replace(in_memory_platform(Mailbox("mail")), language=code)
    platform.assets.store_assets([oven()])
    apply(platform, [too_hot(schedule={"report_recipients": ["mail"]})], "engineer", at(0), "test")
    store_report(platform, announced=False, language=code)
    assert announce_reports(platform, at(9000)) == 1
    (notification,) = platform.notifications.due(at(9000), 9)
    assert notification.content.subject == subject
    assert notification.content.text == "Trust it."


@pytest.fixture(scope="module")
def full_material():
    """Return a period with everything that a page can show: model, decisions, drift, money,
    operators, misses, data, retuning."""
    material = good_material()
    rng = np.random.default_rng(0)
    readings = pd.DataFrame(
        {"moisture": rng.normal(4, 0.4, 4_000)},
        index=pd.date_range(material.start, periods=4_000, freq="10min").as_unit("ms"),
    )
    costs = Costs(miss=900, miss_per_minute=150, false_alarm=50, intervention=20)
    advice = RecommendationResult((), 0.8, 0.2, helps=True, message="unten drehen")
    decisions = [
        DecisionMade(
            at=material.start + n * H, verdict=verdict, promoted=verdict == "promote", version=n,
            champion=n - 1,
            reason="English", actor="anna", run_id=None,
            expected={"event_recall": 0.9, "false_alarms_per_week": 0.1},
            summary=summarise_decision(verdict, n - 1, "anna", "Rejected by anna: zu spät (x)",
            {"events": n}),
        )
        for n, verdict in enumerate(("promote", "keep", "cannot_tell", "stale", "rejected",
        "rollback", "gave_way"), 1)
    ]  # fmt: skip
    wrong = [
        episode(h, outcome="no", value=0.5 + h / 1_000, said=[("unsure", True, "anna")])
        for h in range(61, 73, 2)
    ]
    return replace(
        material,
        definition=CLASSIFIER.model_copy(update={"costs": costs}),
        episodes=[*(replace(e, recommendation=advice) for e in material.episodes), *wrong],
        decisions=decisions,
        histories={"oven-1": History(oven(), readings)},
        misses=[
            ReportedMiss("too-moist", "oven-1", material.start + H, "weich", "anna", material.end)
        ],
        gaps={"oven-1": ((material.start, material.start + H),)},
        models=[
            replace(m, summary=summarise_decision("provisional", None, "", "", {}))
            for m in material.models
        ],
        previous=material,
        withdrawn=2,
        not_notified=3,
    )


SAME_EVERYWHERE = {
    "SHAP",
    "ROC",
    "AUC",
    "UTC",
    "EUR",
    "min",
    "oven",
    "zone",
    "Jan",
    "Feb",
    "Dez",
    "run",
}
NAMES = SAME_EVERYWHERE | {
    "too",
    "moist",
    "hot",
    "Biscuits",
    "moisture",
    "anna",
    "weich",
    "unten",
    "drehen",
    "threshold",
    "zu",
    "spät",
}
BY_PEOPLE = {"lowered", "steam", "valve"}
OF_THE_EPISODE = {
    "risk",
    "is",
    "at",
    "or",
    "above",
    "temperature",
    "its",
    "usual",
    "the",
    "horizon",
    "not",
    "over",
}


def test_a_page_of_a_definition_has_no_word_outside_the_language_files(full_material):
    metrics = compute_metrics(full_material)
    of_plant = marked_language()
    drawn = draw(metrics, full_material, language=of_plant)
    judgement = conclude(metrics)
    page = render_page(metrics, judgement, drawn, language=of_plant, unseen=True)
    assert words_left(page, NAMES | BY_PEOPLE | OF_THE_EPISODE) == []
    assert metrics.drivers
    assert metrics.money
    assert metrics.model.decisions


def test_a_page_of_a_threshold_has_no_word_outside_the_language_files():
    material = threshold_material(
        [episode(3, definition=THRESHOLD, said=[("true_alarm", False, "anna")])]
    )
    metrics = compute_metrics(material)
    of_plant = marked_language()
    page = render_page(
        metrics, conclude(metrics), draw(metrics, material, language=of_plant), language=of_plant
    )
    assert words_left(page, NAMES | BY_PEOPLE | OF_THE_EPISODE) == []


def test_an_empty_page_has_no_word_outside_the_language_files():
    material = replace(good_material(), episodes=[], problems=problems(), models=(), evaluated={})
    material = replace(material, scores=material.scores.iloc[:0])
    metrics = compute_metrics(material)
    of_plant = marked_language()
    page = render_page(
        metrics, conclude(metrics), draw(metrics, material, language=of_plant), language=of_plant
    )
    assert words_left(page, NAMES) == []


def test_a_word_outside_the_language_files_is_found():
    assert words_left('<p aria-label="Save">¤ oven</p><b>it</b>', {"oven"}) == ["Save", "it"]


@pytest.mark.parametrize(
    ("code", "sentence"), [("de", "Nicht verlässlich"), ("fr", "À utiliser avec prudence")]
)
def test_texts_are_stored_in_english_and_said_in_the_language_of_the_page(code, sentence):
    metrics = compute_metrics(good_material())
    judgement = conclude(metrics)
    page = render_page(
        metrics,
        replace(judgement, trust="no" if code == "de" else "with_care"),
        draw(metrics, good_material()),
        language=language(code),
    )
    assert f'<html lang="{code}">' in page
    assert sentence in page
    assert (
        json.loads(json.dumps(to_document(metrics)))["event_recall"]["basis"] == "7 of 9 problems"
    )
