import re
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser

import pytest

from alerting.definitions.assets import Asset
from alerting.definitions.model import Costs
from alerting.readings.history import History
from alerting.reporting.definition.conclusion import conclude
from alerting.reporting.definition.metrics import compute_metrics
from alerting.reporting.definition.money import Amount
from alerting.reporting.page.page import draw, render_page
from alerting.reporting.page.sentences import head_sentences
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


def page_of(material, **changes):
    figures = replace(compute_metrics(material), **changes)
    return render_page(figures, conclude(figures), draw(figures, material))


@pytest.fixture(scope="module")
def good_page():
    return page_of(good_material())


class Reader(HTMLParser):
    """Collects links and tags, and fails on tags that do not close."""

    def __init__(self, page):
        super().__init__()
        self.links = []
        self.tags = set()
        self.open = []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.links += [v for k, v in attributes if k in ("src", "href", "xlink:href")]
        if tag not in ("meta", "link", "br", "path", "use", "rect", "input"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if self.open and self.open[-1] == tag:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag not in ("path", "use", "rect"):
            assert self.open.pop() == tag


def test_the_page_stands_alone_without_scripts(good_page):
    page = good_page
    read = Reader(page)
    assert not read.open
    assert "script" not in read.tags
    assert not [link for link in read.links if not link.startswith("#")]
    assert not re.search(r"url\((?!#)|@import", page)


def test_figures_have_no_colour_of_their_own(good_page):
    drawings = re.findall(r"<svg.*?</svg>", good_page, re.DOTALL)
    assert len(drawings) == 3 + 1 + 6  # drivers, six alerts
    assert all('role="img" aria-label="' in drawing for drawing in drawings)
    assert all("var(--" in drawing for drawing in drawings)
    assert not [drawing for drawing in drawings if re.search(r"#[0-9a-f]{6}\b", drawing)]


def test_the_page_says_once_where_its_numbers_come_from(good_page):
    words = (
        "too-moist revision 3 · 2026-01-05 00:00 to 2026-02-02 00:00 UTC · model version 1 (run "
        "run-1) · "
        "model version 2 (run run-2) · outcome rules 3"
    )
    assert good_page.count(words) == 1


def test_the_first_screen_answers_whether_to_trust_it_and_what_to_change(good_page):
    text = re.sub(r"<[^>]+>", "", good_page.split("<h2>Timeline")[0])
    assert "7 of 9 problems were predicted, typically 1 h 59 min ahead." in text
    assert "2 false alarms. 1 of 11 alarms has no outcome yet." in text
    assert (
        "7 of 9 predicted, 8 of 10 right; after about 25 more weeks of data the shares are known "
        "within ten points." in text
    )
    assert "Trust it" in text
    assert "Actions" in text
    assert "45 % to 94 %; 7 of 9 problems" in text
    assert "avoided ones left out: 78 %" in text


def test_few_cases_are_told_with_the_range_of_what_is_possible():
    page = page_of(
        replace(
            good_material(),
            problems=problems(40.5, 101),
            episodes=[episode(38.5, outcome="in_time")],
        )
    )
    assert "only 2 problems: anything from 9.5 % to 91 % is possible" in page


def test_a_long_false_alarm_that_counts_more_than_once_is_explained(good_page):
    long = replace(episode(300, outcome="no"), closed_at=START + 310 * H)
    material = good_material()
    page = page_of(replace(material, episodes=[*material.episodes, long]))
    assert "8 of 13 counted alarms" in page, "one of eleven counts as three"
    assert "counts once for each 4 h that it lasts" in page
    assert "7 right, 5 false" in page
    assert "that it lasts" not in good_page


def test_what_people_wrote_is_escaped():
    m = good_material()
    definition = CLASSIFIER.model_copy(update={"title": "<script>alert(1)</script> & moist"})
    page = page_of(
        replace(
            m, definition=definition, episodes=[replace(e, asset="<b>oven</b>") for e in m.episodes]
        )
    )
    assert "<script" not in page
    assert "<b>oven" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; moist" in page


def test_a_threshold_page_shows_no_empty_model_or_problem_sections():
    page = page_of(
        threshold_material([episode(3, definition=THRESHOLD, said=[("true_alarm", False, "anna")])])
    )
    assert "came unannounced" not in page
    assert "The model</h2>" not in page
    assert "Problems announced in time" not in page


def test_an_empty_period_makes_a_page_too():
    m = replace(
        good_material(),
        episodes=[],
        problems=problems(),
        scores=good_material().scores.iloc[:0],
        models=(),
        evaluated={},
    )
    page = page_of(m)
    assert "No instant was evaluated" in page
    assert "No model was in service" in page


def test_the_same_figures_make_the_same_page(good_page):
    assert page_of(good_material()) == good_page


def test_tables_are_folded_below_headline_and_worth_and_unfolded_in_print(good_page):
    first, folds = good_page.split('<details class="fold">', 1)
    assert 'class="headline' in first
    assert 'class="numbers"' in first
    assert folds.count("<table") > 5
    assert "details::details-content { content-visibility: visible" in good_page


def test_the_report_of_a_threshold_lists_all_its_alarms_and_speaks_of_no_model():
    said = ("true_alarm", "false_alarm", "unsure")
    alarms = [
        episode(3 + 5 * n, definition=THRESHOLD, said=[(said[n % 3], False, "anna")])
        for n in range(14)
    ]
    page = page_of(threshold_material([replace(alarm, contributions=()) for alarm in alarms]))
    listed = page.partition("<h2>All alarms</h2>")[2].partition("</details>")[0]
    assert listed.count("<tr>") == 1 + len(alarms)
    texts = re.sub(r"<style>.*?</style>|<[^>]+>", " ", page, flags=re.S)
    assert not re.search(r"\b(model|train|retrain|score)", texts)
    empty = replace(threshold_material([]), evaluated={})
    assert "model is in service" not in page_of(empty)


def test_assets_are_named_by_their_titles():
    material = good_material()
    titled = History(Asset(name="oven-1", title="Kühlband Süd"))
    page = page_of(replace(material, histories={"oven-1": titled}))
    assert '<td class="asset">Kühlband Süd</td>' in page
    assert ">oven-1<" not in page


def test_a_long_title_leaves_the_lanes_of_the_timeline_their_width():
    long = Asset(name="oven-1", title="Kühlband Süd hinter Ofen 2 " * 7)
    page = page_of(replace(good_material(), histories={"oven-1": History(long)}))
    timeline = page[page.index("<svg") : page.index("</svg>")]
    assert timeline.count("Kühlband Süd") == 1
    assert "Ofen 2 Kühlband" not in timeline
    assert long.title.strip() in page


def test_problems_that_the_readings_showed_in_time_and_an_evaluation_only_later_are_told(good_page):
    material = good_material()
    first, *others = material.episodes
    slow = replace(first, detected_at=first.raised_at + 5 * H)
    told = "by the time of the readings; 1 was found too late to act"
    assert told in page_of(replace(material, episodes=[slow, *others]))
    assert "found too late to act" not in good_page


def test_time_in_which_no_alarm_could_come_is_told_above_the_figures(good_page):
    material = good_material()
    start, end = material.evaluated["oven-1"]
    gap = (start + H, start + (end - start) / 2)
    page = page_of(replace(material, gaps={"oven-1": (gap,)}))
    told = page.index("No alarm could come in")
    assert told < page.index("Timeline")
    assert "The longest gap in the readings" in page
    assert "No alarm could come in" not in good_page


@pytest.mark.parametrize(
    ("worth", "frame"), [((1, 900), "gain"), ((-170, 930), ""), ((-5000, -4100), "loss")]
)
def test_only_a_worth_that_is_a_gain_or_a_loss_in_both_bounds_has_a_colour(worth, frame):
    costs = Costs(currency="EUR", miss=900, intervention=20)
    material = good_material()
    material = replace(material, definition=material.definition.model_copy(update={"costs": costs}))
    money = replace(compute_metrics(material).money, net=Amount(*worth))
    [found] = re.findall('class="number worth ?(\\w*)"', page_of(material, money=money))
    assert found == frame


def judged(**changes):
    return conclude(compute_metrics(replace(good_material(), **changes)))


def test_an_alert_that_meets_every_demand_is_trusted_and_its_sentence_has_the_numbers():
    judgement = judged()
    assert judgement.trust == "yes"
    assert judgement.sentence == (
        "Trust it: 7 of 9 problems announced in time, typically 1 h 59 min ahead; "
        "8 of 10 alarms with an outcome were right; 0.5 false alarms a week."
    )


def test_an_alert_that_misses_a_demand_is_used_with_care():
    wrong = [episode(h, outcome="no") for h in range(5, 500, 45)]
    assert judged(episodes=[*good_material().episodes, *wrong]).trust == "with_care"


def test_an_alert_that_surely_misses_a_demand_is_not_relied_on():
    wrong = [episode(h, outcome="no") for h in range(5, 640, 11)]
    judgement = judged(episodes=[*good_material().episodes, *wrong])
    assert judgement.trust == "no"
    assert any("where 3 a week and asset are allowed" in action for action in judgement.actions)


def test_a_budget_is_said_for_all_assets_together():
    material = good_material()
    [(_, interval)] = material.evaluated.items()
    metrics = compute_metrics(
        replace(material, evaluated={f"oven-{i}": interval for i in range(1, 6)})
    )
    judgement = conclude(metrics)
    assert "at most 15 false alarms a week on all 5 assets together (3 on each)" in judgement.rule
    weekly = metrics.outcomes["false_alarm"] / ((END - START) / timedelta(weeks=1))
    assert (
        f"{weekly:.3g} false alarms a week on all 5 assets together ({weekly / 5:.3g} on each)"
        in judgement.sentence
    )


def test_too_few_problems_cannot_tell():
    judgement = judged(problems=problems(*GOOD_PROBLEMS[:3]), episodes=good_material().episodes[:3])
    assert judgement.trust == "cannot_tell"
    assert (
        judgement.actions[0] == "Choose a longer period: 3 problems are too few for a conclusion."
    )


def test_one_and_no_problem_are_said_in_their_own_words():
    one = judged(problems=problems(GOOD_PROBLEMS[0]), episodes=good_material().episodes[:1])
    assert one.actions[0] == "Choose a longer period: 1 problem is too few for a conclusion."
    none = judged(problems=problems(), episodes=[])
    assert (
        none.actions[0]
        == "Choose a longer period: no problem occurred, which is too little for a conclusion."
    )


def test_the_first_sentences_state_only_what_is_known_of_false_alarms():
    def said(*episodes):
        return head_sentences(compute_metrics(replace(good_material(), episodes=list(episodes))))[1]

    waiting = episode(30.0, outcome=None)
    hit = good_material().episodes[0]
    assert said(waiting) == "1 alarm was raised; it has no outcome yet."
    assert (
        said(waiting, episode(60.0, outcome=None))
        == "2 alarms were raised; none has an outcome yet."
    )
    assert said(hit) == "No false alarm was found among 1 alarm with an outcome."
    assert said(hit, waiting) == (
        "No false alarm was found among 1 alarm with an outcome. 1 of 2 alarms has no outcome yet."
    )


def test_nothing_judged_says_what_to_look_at():
    judgement = judged(episodes=[], problems=problems(), evaluated={})
    assert judgement.sentence == (
        "Too early for a conclusion: the alert was not evaluated in this period; no alarm has "
        "an outcome."
    )
    assert judgement.actions == (
        "No instant was evaluated: check that the definition is active, readings arrive, and a "
        "model is in service.",
    )


def test_missed_problems_and_late_warnings_are_named():
    late = [episode(h - 0.2, outcome="too_late") for h in GOOD_PROBLEMS[7:]]
    actions = judged(episodes=[*good_material().episodes, *late]).actions
    assert (
        "2 of 9 problems came unannounced: look for common features in the list below." in actions
    )
    assert (
        "2 warnings came too late to act: lengthen the horizon, or evaluate more often." in actions
    )


def test_a_model_no_better_than_the_last_value_is_named():
    scores = good_material().scores
    actions = judged(scores=scores.assign(persistence=scores["score"])).actions
    assert any("no better than the last known value" in a for a in actions)


def test_a_score_that_is_no_probability_is_named():
    scores = good_material().scores
    actions = judged(scores=scores.assign(score=0.5 + scores["score"] / 2)).actions
    assert any("do not read the score as a risk" in a for a in actions)


def test_a_provisional_champion_is_named():
    assert any("version 1 is provisional" in a for a in judged(models=MODELS[:1]).actions)


def test_silence_of_operators_and_their_contradictions_are_named():
    silent = [replace(e, feedback=()) for e in good_material().episodes]
    assert any("ask for verdicts" in a for a in judged(episodes=silent).actions)
    against = [
        episode(h - 2, outcome="in_time", said=[("false_alarm", False, "anna")])
        for h in GOOD_PROBLEMS
    ]
    assert any(
        "Operators contradict the data (9 of 9" in a for a in judged(episodes=against).actions
    )


def test_a_threshold_without_a_problem_is_told_to_get_one():
    judgement = conclude(compute_metrics(threshold_material([episode(3, definition=THRESHOLD)])))
    assert judgement.trust == "cannot_tell"
    assert judgement.actions[0].startswith("Give the definition a problem")
    assert "problems" not in judgement.rule


@pytest.mark.parametrize(
    "material",
    [
        threshold_material(),
        replace(good_material(), episodes=[], problems=problems(), evaluated={}),
        replace(
            good_material(),
            problems=problems(*GOOD_PROBLEMS[:3]),
            episodes=good_material().episodes[:3],
        ),
        threshold_material(
            [
                episode(h, definition=THRESHOLD, said=[("false_alarm", False, "anna")])
                for h in range(10)
            ]
        ),
        good_material(),
    ],
    ids=["nothing raised", "nothing judged", "too few problems", "all false", "good"],
)
def test_a_page_says_that_every_demand_is_met_exactly_where_the_alert_is_trusted(material):
    figures = compute_metrics(material)
    judgement = conclude(figures)
    page = render_page(figures, judgement, draw(figures, material))
    assert judgement.trust == "yes" or judgement.actions
    assert not ("Too early for a conclusion" in page and "every demand is met" in page)
    assert ("every demand is met" in page) == (judgement.trust == "yes" and not judgement.actions)


def test_an_alert_without_any_episode_says_what_cannot_be_checked():
    judgement = conclude(compute_metrics(threshold_material()))
    assert judgement.sentence.startswith("Too early for a conclusion: no alarm has an outcome")
    assert judgement.actions == (
        "Wait, or choose a longer period. It cannot be checked yet: at least 50 % of the alarms "
        "with an outcome right "
        "(no alarms with an outcome).",
    )


def test_alerts_of_which_most_are_wrong_are_named_with_what_to_try():
    wrong = [episode(60.0 + 30 * i, outcome="no") for i in range(9)]
    actions = judged(episodes=[*good_material().episodes[:3], *wrong]).actions
    assert any(
        action.startswith("Only 3 of 12 alarms with an outcome were right: try other limits")
        for action in actions
    )
