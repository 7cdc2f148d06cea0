"""Pages of reports: what they show, what they conclude, and in which language."""

import json
import re
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from alerting.definitions.alert_definition import Costs
from alerting.definitions.asset_documents import Asset
from alerting.definitions.wording.language import language
from alerting.episodes.episode import RecommendationResult
from alerting.episodes.lifecycle import ReportedMiss
from alerting.learning.selection.decision_rules import explain
from alerting.readings.history import History
from alerting.reporting.definition.conclusion import conclude, head_sentences, mail_sentences
from alerting.reporting.definition.decision_reason import DecisionMade, summarise_decision
from alerting.reporting.definition.operators_and_money import Amount
from alerting.reporting.definition.period_data import ValueGrade, ValueMetrics
from alerting.reporting.definition.report_metrics import compute_metrics
from alerting.reporting.estimates import to_document
from alerting.reporting.report_page import draw, render_page
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.issue_reports import announce_reports
from tests.builders import at, oven, too_hot
from tests.helpers.learning.proposals import carried_out, proposal
from tests.helpers.pseudo_language import pseudo_language, words_left
from tests.helpers.reports import store_report
from tests.in_memory_platform import Mailbox, in_memory_platform
from tests.report_material import (
    CLASSIFIER,
    END,
    GOOD_PROBLEMS,
    MODELS,
    START,
    THRESHOLD,
    H,
    episode,
    good_material,
    problems,
    threshold_material,
)

GOOD = good_material()
ALARMS = GOOD.episodes
NOTHING = replace(
    GOOD, episodes=[], problems=problems(), scores=GOOD.scores.iloc[:0], models=(), evaluated={}
)
SAID_RIGHT = [("true_alarm", False, "anna")]
OF_THRESHOLD = threshold_material([episode(3, definition=THRESHOLD, said=SAID_RIGHT)])


def page_of(material, **changes):
    figures = replace(compute_metrics(material), **changes)
    return render_page(figures, conclude(figures), draw(figures, material))


@pytest.fixture(scope="module")
def good_page():
    return page_of(GOOD)


def test_the_page_stands_alone_without_scripts_and_its_figures_have_the_colours_of_the_page(
    good_page,
):
    opened = Counter(re.findall(r"<([a-z]\w*)\b(?![^>]*/>)", good_page))
    closed = Counter(re.findall(r"</(\w+)>", good_page))
    never_closed = {"meta", "link", "br", "path", "use", "rect", "input"}
    assert {tag for tag in opened | closed if opened[tag] != closed[tag]} <= never_closed
    assert "script" not in opened
    links = re.findall(r'(?:src|href)="([^"]*)"', good_page)
    assert not [link for link in links if not link.startswith("#")]
    assert not re.search(r"url\((?!#)|@import", good_page)
    drawings = re.findall(r'<svg class="drawing[^>]*>', good_page)
    assert len(drawings) == 3 + 1 + 6  # drivers, six alerts
    assert all('role="img" aria-label="' in drawing for drawing in drawings)
    assert page_of(GOOD) == good_page


def test_the_first_screen_answers_whether_to_trust_it_and_the_rest_is_folded(good_page):
    text = re.sub(r"<[^>]+>", "", good_page.split("<h2>Timeline")[0])
    words = (
        "7 of 9 problems were predicted, typically 1 h 59 min ahead.",
        "2 false alarms. 1 of 11 alarms has no outcome yet.",
        "7 of 9 predicted, 8 of 10 right; after about 25 more weeks of data the shares are known "
        "within ten points.",
        "Trust it",
        "Actions",
        "45 % to 94 %; 7 of 9 problems",
        "avoided ones left out: 78 %",
    )
    assert [said for said in words if said not in text] == []
    first, folds = good_page.split('<details class="fold">', 1)
    assert 'class="headline' in first
    assert 'class="numbers"' in first
    assert folds.count("<table") > 5
    assert "details::details-content { content-visibility: visible" in good_page
    source = (
        "too-moist revision 3 · 2026-01-05 00:00 to 2026-02-02 00:00 UTC · model version 1 (run "
        "run-1) · model version 2 (run run-2) · outcome rules 4"
    )
    assert good_page.count(source) == 1


def test_the_bar_of_variables_that_move_together_names_them():
    (first, *others) = GOOD.episodes
    (reason, *more) = first.contributions
    members = (reason.variable, "fan_speed", "steam")
    told = replace(first, contributions=(replace(reason, members=members), *more))
    page = page_of(replace(GOOD, episodes=[told, *others]))
    assert re.search(r"\bfan speed, steam and 1 more\b", page)
    assert "of several that move together, to the risk" in page


def test_each_figure_stands_beside_that_of_the_period_before():
    page = page_of(replace(GOOD, previous=replace(GOOD, episodes=ALARMS[:5])))
    before = re.findall(r'<dd class="before">before: (.*?)</dd>', page)
    shares = ["56 % (27 % to 81 %)", "100 % (57 % to 100 %)", "0 (0 to 0.92)"]
    lead = "1 h 59 min (1 h 59 min to 1 h 59 min)"
    assert before[:6] == [*shares, lead, "100 % (57 % to 100 %)", "1.5 %"]


LONG = replace(episode(300, outcome="no"), closed_at=START + 310 * H)
SLOW = replace(ALARMS[0], detected_at=ALARMS[0].raised_at + 5 * H)
PERIOD = GOOD.evaluated["oven-1"]
GAP = (PERIOD[0] + H, PERIOD[0] + (PERIOD[1] - PERIOD[0]) / 2)
MARKUP = CLASSIFIER.model_copy(update={"title": "<script>alert(1)</script> & moist"})
TITLED = {"oven-1": History(Asset(name="oven-1", title="Kühlband Süd"))}
# what the page of this material shows, and what it does not
SHOWN = {
    "good": (GOOD, (), ("that it lasts", "found too late to act", "No alarm could come in")),
    "few problems": (
        replace(GOOD, problems=problems(40.5, 101), episodes=[episode(38.5, outcome="in_time")]),
        ("only 2 problems: anything from 9.5 % to 91 % is possible",),
        (),
    ),
    "a long false alarm counts more than once": (
        replace(GOOD, episodes=[*ALARMS, LONG]),
        (
            "8 of 13 counted alarms",  # one of eleven counts as three
            "counts once for each 4 h that it lasts",
            "7 right, 5 false",
        ),
        (),
    ),
    "what people wrote is escaped": (
        replace(
            GOOD, definition=MARKUP, episodes=[replace(e, asset="<b>oven</b>") for e in ALARMS]
        ),
        ("&lt;script&gt;alert(1)&lt;/script&gt; &amp; moist",),
        ("<script", "<b>oven"),
    ),
    "a threshold": (
        OF_THRESHOLD,
        (),
        ("came unannounced", "The model</h2>", "Problems announced in time"),
    ),
    "nothing": (NOTHING, ("No instant was evaluated", "No model was in service"), ()),
    "a threshold without data": (
        replace(threshold_material([]), evaluated={}),
        (),
        ("model is in service",),
    ),
    "titles of assets": (
        replace(GOOD, histories=TITLED),
        ('<td class="asset">Kühlband Süd</td>',),
        (">oven-1<",),
    ),
    "time in which no alarm could come": (
        replace(GOOD, gaps={"oven-1": (GAP,)}),
        ("No alarm could come in", "The longest gap in the readings"),
        (),
    ),
    "an evaluation that was late": (
        replace(GOOD, episodes=[SLOW, *ALARMS[1:]]),
        ("by the time of the readings; 1 was found too late to act",),
        (),
    ),
}


def test_a_page_shows_what_there_is_to_say_and_nothing_else():
    wrong = {}
    for name, (material, shown, hidden) in SHOWN.items():
        page = page_of(material)
        wrong[name] = [s for s in shown if s not in page] + [h for h in hidden if h in page]
    assert {name: words for name, words in wrong.items() if words} == {}


def test_the_report_of_a_threshold_lists_all_its_alarms_and_speaks_of_no_model():
    said = ("true_alarm", "false_alarm", "unsure")
    alarms = [
        episode(3 + 5 * n, definition=THRESHOLD, said=[(said[n % 3], False, "anna")])
        for n in range(14)
    ]
    page = page_of(threshold_material([replace(alarm, contributions=()) for alarm in alarms]))
    assert page.partition("<h2>All alarms</h2>")[2].partition("</details>")[0].count(
        "<tr>"
    ) == 1 + len(alarms)
    texts = re.sub(r"<style>.*?</style>|<[^>]+>", " ", page, flags=re.S)
    assert not re.search(r"\b(model|train|retrain|score)", texts)


def test_only_a_worth_that_is_a_gain_or_a_loss_in_both_bounds_has_a_colour():
    costs = Costs(currency="EUR", miss=900, intervention=20)
    material = replace(GOOD, definition=CLASSIFIER.model_copy(update={"costs": costs}))
    money = compute_metrics(material).money
    frames = {(1, 900): ["gain"], (-170, 930): [""], (-5000, -4100): ["loss"]}
    assert {
        worth: re.findall(
            'class="number worth ?(\\w*)"',
            page_of(material, money=replace(money, net=Amount(*worth))),
        )
        for worth in frames
    } == frames


def judged(**changes):
    return conclude(compute_metrics(replace(GOOD, **changes)))


def wrong_alarms(end, every):
    return [*ALARMS, *(episode(hour, outcome="no") for hour in range(5, end, every))]


def test_an_alert_is_trusted_by_what_its_demands_say():
    trusted = judged()
    assert trusted.sentence == (
        "Trust it: 7 of 9 problems were predicted, typically 1 h 59 min ahead; "
        "8 of 10 alarms with an outcome were right; 0.5 false alarms a week."
    )
    surely_wrong = judged(episodes=wrong_alarms(640, 11))
    assert {
        "meets every demand": trusted.trust,
        "misses a demand": judged(episodes=wrong_alarms(500, 45)).trust,
        "surely misses a demand": surely_wrong.trust,
    } == {
        "meets every demand": "yes",
        "misses a demand": "with_care",
        "surely misses a demand": "no",
    }
    allowed = "where 3 a week and asset are allowed"
    assert any(allowed in action for action in surely_wrong.actions)


def test_a_budget_is_said_for_all_assets_together():
    metrics = compute_metrics(replace(GOOD, evaluated={f"oven-{i}": PERIOD for i in range(1, 6)}))
    judgement = conclude(metrics)
    assert "at most 15 false alarms a week on all 5 assets together (3 on each)" in judgement.rule
    weekly = metrics.outcomes["false_alarm"] / ((END - START) / timedelta(weeks=1))
    assert (
        f"{weekly:.3g} false alarms a week on all 5 assets together ({weekly / 5:.3g} on each)"
        in judgement.sentence
    )


def test_what_is_too_little_for_a_conclusion_is_said_with_what_to_do():
    few = judged(problems=problems(*GOOD_PROBLEMS[:3]), episodes=ALARMS[:3])
    one = judged(problems=problems(GOOD_PROBLEMS[0]), episodes=ALARMS[:1])
    nothing = judged(episodes=[], problems=problems(), evaluated={})
    no_alarm = conclude(compute_metrics(threshold_material()))
    by_word = conclude(compute_metrics(threshold_material([episode(3, definition=THRESHOLD)])))
    assert {j.trust for j in (few, one, nothing, no_alarm, by_word)} == {"cannot_tell"}
    assert [j.actions[0] for j in (few, one, judged(problems=problems(), episodes=[]))] == [
        "Choose a longer period: 3 problems are too few for a conclusion.",
        "Choose a longer period: 1 problem is too few for a conclusion.",
        "Choose a longer period: no problem occurred, which is too little for a conclusion.",
    ]
    assert (nothing.sentence, *nothing.actions) == (
        "Too early for a conclusion: the alert was not evaluated in this period; no alarm has "
        "an outcome.",
        "No instant was evaluated: check that the definition is active, readings arrive, and a "
        "model is in service.",
    )
    assert no_alarm.sentence.startswith("Too early for a conclusion: no alarm has an outcome")
    assert no_alarm.actions == (
        "Wait, or choose a longer period. It cannot be checked yet: at least 50 % of the alarms "
        "with an outcome right (no alarms with an outcome).",
    )
    assert by_word.actions[0].startswith("Give the definition a problem")
    assert "problems" not in by_word.rule


def test_what_is_wrong_with_an_alert_is_named_with_what_to_try():
    late = [episode(h - 0.2, outcome="too_late") for h in GOOD_PROBLEMS[7:]]
    said_wrong = [("false_alarm", False, "anna")]
    against = [episode(h - 2, outcome="in_time", said=said_wrong) for h in GOOD_PROBLEMS]
    mostly_wrong = [episode(60.0 + 30 * i, outcome="no") for i in range(9)]
    scores = GOOD.scores
    named = {
        "2 of 9 problems came unannounced: look for common features in the list below.": {
            "episodes": [*ALARMS, *late]
        },
        "2 warnings came too late to act: lengthen the horizon, or evaluate more often.": {
            "episodes": [*ALARMS, *late]
        },
        "no better than the last known value": {
            "scores": scores.assign(persistence=scores["score"])
        },
        "do not read the score as a risk": {
            "scores": scores.assign(score=0.5 + scores["score"] / 2)
        },
        "version 1 is provisional": {"models": MODELS[:1]},
        "ask for verdicts": {"episodes": [replace(e, feedback=()) for e in ALARMS]},
        "Operators contradict the data (9 of 9": {"episodes": against},
        "Only 3 of 12 alarms with an outcome were right: try other limits": {
            "episodes": [*ALARMS[:3], *mostly_wrong]
        },
    }
    unsaid = [
        words for words, change in named.items() if words not in "\n".join(judged(**change).actions)
    ]
    assert unsaid == []


def test_the_first_sentences_state_only_what_is_known_of_false_alarms():
    waiting = episode(30.0, outcome=None)
    hit = ALARMS[0]
    found = [
        head_sentences(compute_metrics(replace(GOOD, episodes=alarms)))[1]
        for alarms in ([waiting], [waiting, episode(60.0, outcome=None)], [hit], [hit, waiting])
    ]
    assert found == [
        "1 alarm was raised; it has no outcome yet.",
        "2 alarms were raised; none has an outcome yet.",
        "No false alarm was found among 1 alarm with an outcome.",
        "No false alarm was found among 1 alarm with an outcome. 1 of 2 alarms has no outcome yet.",
    ]


def test_a_page_says_that_every_demand_is_met_exactly_where_the_alert_is_trusted():
    few = replace(GOOD, problems=problems(*GOOD_PROBLEMS[:3]), episodes=ALARMS[:3])
    said = [("false_alarm", False, "anna")]
    all_false = [episode(h, definition=THRESHOLD, said=said) for h in range(10)]
    found = []
    for material in (threshold_material(), NOTHING, few, threshold_material(all_false), GOOD):
        judgement = conclude(compute_metrics(material))
        page = page_of(material)
        found.append((judgement.trust, "every demand is met" in page, bool(judgement.actions)))
        assert not ("Too early for a conclusion" in page and "every demand is met" in page)
    assert found == [
        ("cannot_tell", False, True),
        ("cannot_tell", False, True),
        ("cannot_tell", False, True),
        ("no", False, True),
        ("yes", False, True),
    ]


def test_sentences_and_mails_are_in_the_language_of_the_plant():
    metrics = compute_metrics(GOOD)
    german, french = (head_sentences(metrics, language=language(code)) for code in ("de", "fr"))
    assert german[:2] == (
        "7 von 9 Problemen wurden vorhergesagt, typischerweise 1 h 59 min im Voraus.",
        "2 Fehlalarme. 1 von 11 Alarmen hat noch kein Ergebnis.",
    )
    assert french[:2] == (
        "7 problèmes sur 9 ont été prédits, typiquement 1 h 59 min à l\u2019avance.",
        "2 fausses alarmes. 1 alarme sur 11 n\u2019a pas encore d\u2019issue.",
    )
    assert mail_sentences(metrics, conclude(metrics), language=language("de")) == (
        "Verlässlich.",
        *german,
        "Der Bericht rät: 2 von 9 Problemen kamen unangekündigt: in der Liste unten nach "
        "Gemeinsamem suchen.",
    )


def test_the_first_model_is_called_so():
    metrics = compute_metrics(full_material())
    latest = metrics.model.decisions[-1]
    for champion, words in (
        (None, "The first model, version 4, went into"),
        (3, "A new model, ve"),
    ):
        made = replace(latest, promoted=True, verdict="promote", version=4, champion=champion)
        of_model = replace(metrics, model=replace(metrics.model, decisions=[made]))
        assert any(text.startswith(words) for text in head_sentences(of_model))


def announced_in(code):
    """Return subject and text of the mail that tells a plant of this language of a report."""
    platform = replace(in_memory_platform(Mailbox("mail")), language=code)
    platform.assets.store_assets([oven()])
    apply(platform, [too_hot(schedule={"report_recipients": ["mail"]})], "engineer", at(0), "test")
    store_report(platform, announced=False, language=code)
    assert announce_reports(platform, at(9000)) == 1
    (notification,) = platform.notifications.due(at(9000), 9)
    return notification.content.subject, notification.content.text


def test_a_mail_has_the_subject_of_its_language_and_the_sentences_of_the_report():
    assert {code: announced_in(code) for code in ("en", "de", "fr")} == {
        "en": ("Report 2026-W02: too-hot", "Trust it."),
        "de": ("Bericht 2026-W02: too-hot", "Trust it."),
        "fr": ("Rapport 2026-W02\u00a0: too-hot", "Trust it."),
    }


def summary_of(verdict, ground, **values):
    made = proposal(verdict=verdict, reason=explain(ground, **values))
    return summarise_decision(carried_out(made, "anna"))


def full_material():
    """Return a period with everything that a page can show: model, decisions, drift, money,
    operators, misses, data, retuning."""
    readings = pd.DataFrame(
        {"moisture": np.random.default_rng(0).normal(4, 0.4, 4_000)},
        index=pd.date_range(GOOD.start, periods=4_000, freq="10min").as_unit("ms"),
    )
    costs = Costs(miss=900, miss_per_minute=150, false_alarm=50, intervention=20)
    advice = RecommendationResult((), 0.8, 0.2, helps=True, message="unten drehen")
    decisions = [
        DecisionMade(
            at=GOOD.start + n * H, verdict=verdict, promoted=verdict == "promote", version=n,
            champion=n - 1,
            reason="English", actor="anna", run_id=None,
            expected={"event_recall": 0.9, "false_alarms_per_week": 0.1},
            summary=summary_of(verdict, ground, number=n, actor="anna", why="zu spät.", least=5,
            before=1, version=2, serving=3, since=at(0), compared=1),
        )
        for n, (verdict, ground) in enumerate({"promote": "better", "keep": "not_better",
        "cannot_tell": "too_few_problems", **{v: v for v in ("stale", "rejected", "rollback",
        "gave_way")}}.items(), 1)
    ]  # fmt: skip
    doubted = [
        episode(h, outcome="no", value=0.5 + h / 1_000, said=[("unsure", True, "anna")])
        for h in range(61, 73, 2)
    ]
    return replace(
        GOOD,
        definition=CLASSIFIER.model_copy(update={"costs": costs}),
        episodes=[*(replace(e, recommendation=advice) for e in GOOD.episodes), *doubted],
        decisions=decisions,
        histories={"oven-1": History(oven(), readings)},
        misses=[ReportedMiss("too-moist", "oven-1", GOOD.start + H, "weich", "anna", GOOD.end)],
        gaps={"oven-1": ((GOOD.start, GOOD.start + H),)},
        models=[replace(m, summary=summary_of("provisional", "no_champion")) for m in GOOD.models],
        previous=GOOD,
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


ALL_NAMES = NAMES | BY_PEOPLE | OF_THE_EPISODE


def test_no_page_has_a_word_outside_the_language_files():
    material = full_material()
    metrics = compute_metrics(material)
    assert metrics.drivers and metrics.money and metrics.model.decisions
    of_plant = pseudo_language()
    left = {}
    for name, shown, names in (
        ("definition", material, ALL_NAMES),
        ("threshold", OF_THRESHOLD, ALL_NAMES),
        ("nothing", NOTHING, NAMES),
    ):
        found = compute_metrics(shown)
        drawn = draw(found, shown, language=of_plant)
        page = render_page(
            found, conclude(found), drawn, language=of_plant, unseen=name == "definition"
        )
        left[name] = words_left(page, names)
    assert left == {"definition": [], "threshold": [], "nothing": []}
    assert words_left('<p aria-label="Save">ŵŵ oven</p><b>it</b>', {"oven"}) == ["Save", "it"]


@pytest.mark.parametrize(
    ("code", "trust", "sentence"),
    [("de", "no", "Nicht verlässlich"), ("fr", "with_care", "À utiliser avec prudence")],
)
def test_texts_are_stored_in_english_and_said_in_the_language_of_the_page(code, trust, sentence):
    metrics = compute_metrics(GOOD)
    judgement = replace(conclude(metrics), trust=trust)
    page = render_page(metrics, judgement, draw(metrics, GOOD), language=language(code))
    assert f'<html lang="{code}">' in page
    assert sentence in page
    assert (
        json.loads(json.dumps(to_document(metrics)))["event_recall"]["basis"] == "7 of 9 problems"
    )


def test_an_asset_without_samples_has_a_dash_for_each_figure_of_its_values():
    none = ValueGrade(0, None, None, None, None, None, False, False, False)
    some = ValueGrade(40, 0.5, 0.25, 0.9, 2.0, -0.1, True, False, False)
    figures = compute_metrics(GOOD)
    values = ValueMetrics("moisture", "%", 80, some, {"oven-1": some, "oven-2": none})
    page = render_page(replace(figures, values=values), conclude(figures), draw(figures, GOOD))
    rows = re.findall(r"<tr><td>oven-[12]</td>(.*?)</tr>", page.partition("Variance explained")[2])
    cells = [re.findall(r'<td class="n">(.*?)</td>', row) for row in rows[:2]]
    better = '0.25 <strong class="doubt">better</strong>'
    assert cells == [["40", "0.5", better, "0 %", "90 %", "2"], ["0", *["\u2013"] * 5]]
