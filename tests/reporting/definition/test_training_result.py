"""What a training prints, over all kinds: facts beside the lines, and contradictions that no line
may hold."""

import html
import re
from dataclasses import replace
from math import nan

import pytest

from alerting.cli.command import print_lines
from alerting.cli.model_commands import lines_of_proposal
from alerting.definitions.wording.language import language
from alerting.kinds.anomaly.comparison import AnomalyEvidence, describe_comparison
from alerting.kinds.control_chart.training import Signals
from alerting.kinds.forecast.result_folds import without_threshold
from alerting.kinds.registry import parse_definition
from alerting.learning.selection.choice import ChanceTest, ValidationChance
from alerting.learning.selection.decision import add_objection, decide
from alerting.learning.selection.decision_rules import explain
from alerting.learning.selection.operating_point import VALIDATION
from alerting.learning.selection.value_test import ValueTest
from alerting.reporting.definition.decision_reason import summarise_decision
from alerting.reporting.definition.decision_text import (
    decision_markdown,
    metric_lines,
    result_line,
    result_lines,
    unseen_lines,
)
from alerting.reporting.definition.unseen_text import describe_unseen
from alerting.usecases.training.objections import describe_values, refuse
from alerting.usecases.training.promote import read_proposal
from tests.helpers.console.episode_page import browser_of
from tests.helpers.learning.proposals import LIGHTGBM, PROFILE, carried_out, proposal
from tests.helpers.learning.stored_platforms import stored_platform
from tests.helpers.scored_lines import humid_line
from tests.humid_line import NAME

FIRST = decide({"no_champion": True})
BLIND = add_objection(FIRST, "finds_nothing", {"period": VALIDATION})
FEW = add_objection(FIRST, "none_of_few_found", {"number": 1})
CHANCE = ChanceTest(0.3, 0.4, trials=5, problems=1_000, prevalence=0.1)
REFUSED = refuse(CHANCE, None)
VALUES = ValueTest(
    variable="moisture",
    values=3204,
    crps=0.15,
    last_crps=0.16,
    error=0.26,
    last_error=0.285,
    coverage=0.926,
    share_better=1.0,
    confidence=0.9,
    mean_crps=0.3,
    mean_error=0.51,
    better_than_mean=1.0,
    explained=0.734,
    share_explained=1.0,
    is_constant=False,
    width=1.07,
    all_values=21360,
    title="ridge",
)
NO_BETTER = replace(VALUES, share_better=0.4, last_crps=0.14)
FEW_VALUES = replace(VALUES, values=40, all_values=200, mean_crps=0.18, better_than_mean=0.8)
FEW_OWN = replace(VALUES, values=40, all_values=200, share_explained=0.8)
NO_SHARE = replace(VALUES, values=20, share_explained=None, explained=-0.1)
CONSTANT = replace(VALUES, is_constant=True, explained=-0.02)
ABOVE = ChanceTest(0.5, 0.2, trials=5, problems=8, share=0.01)
NO_THRESHOLD = without_threshold(ABOVE, 4)
ROWS = {"train": PROFILE["parts"]["train"] | {"rows": 19150, "positives": 1200}}
LARGE = PROFILE | {"parts": ROWS}


def period_metrics(events, found, false, late=0, **changes):
    """Return the metrics of a test period of six days."""
    weekly = false * 7 / 6
    counts = {"n_events": events, "n_found": found, "n_false_alarms": false}
    counts |= {"n_with_problem": late, "n_episodes": found + false + late, "n_assets": 1}
    rates = {"event_recall": found / events if events else None, "false_alarms_per_week": weekly}
    rates |= {"ap": 0.6, "episode_precision": 0.6, "median_lead_time": 600.0 if found else None}
    return {**counts, **rates, "days": 6.2, "units": None, **changes}


def made(decision, test=None, champion=None, evidence=None, **changes):
    facts = {name: getattr(decision, name) for name in ("verdict", "promote", "reason", "details")}
    told = {"test": test or {}, "champion_version": champion, "dataset": LARGE}
    stored = {**decision.evidence, **(evidence or {}), **({"test": test} if test else {})}
    waits = {"waiting": decision.by_person, "provisional": decision.provisional}
    return proposal(**facts, **told, **waits, evidence=stored, **changes)


def estimated(sentence, objection="first_values"):
    return decide({objection: True} if objection else {}, {}, "as_allowed", details=sentence)


def test_a_training_without_a_challenger_promotes_nothing_whatever_its_tests_say():
    above = ChanceTest(0.5, 0.4, trials=5, problems=1_000)
    confirming = ValidationChance(9, 10, alarms=4, share=0.001)
    together = ChanceTest(0.5, 0.3, 16, problems=20, share=0.02, validation=confirming)
    assert above.passed and together.is_confirmed
    for passed in (above, together):
        for values in (None, FEW_VALUES, VALUES):
            decision = refuse(passed, values)
            assert (decision.verdict, decision.promote) == ("no_challenger", False)


def test_too_few_problems_to_tell_have_both_remedies():
    remedy = ChanceTest(0.3, 0.4, trials=5, problems=2).remedy
    assert remedy.startswith("Use a longer history or fewer learning.folds. What may help: ")
    assert "`kind: anomaly`" in remedy


ONE_SIGNAL = Signals(1, 1148, 0.57, 1, 1, (-3600.0,)).describe()
FEW_POINTS = Signals(0, 1148, 0.1, 0).describe()
COUNTED = "On readings that neither had seen both found 1."
BETTER = decide({}, {"number": 4}, details=COUNTED)
WORSE = decide({"not_better": True}, {"number": 1}, details=COUNTED)

DETECTOR = AnomalyEvidence(1, 4 / 7, 1.0, synthetic=2064, injected=2304)
FOUND = replace(DETECTOR, problems=4, leads_s=(-3600.0, -3600.0))


def detector(new, old=None):
    definition = parse_definition({"name": "x", "kind": "anomaly", "assets": ["fan-1"]})
    return estimated(describe_comparison(definition, new, old), None)


SERVES = explain("first_values")
ALLOWED = explain("as_allowed")
# facts, and a sentence that they must give
TABLE = {
    "good": (
        made(FIRST, period_metrics(32, 28, 1)),
        "On 6 unseen days (test): 28 of 32 problems announced, typically 10 min ahead; 1 false "
        "alarm (1.2 a week).",
    ),
    "no threshold finds a problem": (
        made(BLIND, period_metrics(15, 0, 0)),
        "The first model waits for a person. It ranks better than chance. But no threshold "
        "finds a problem in the validation period within the limits.",
    ),
    "alarms with the problem itself": (
        made(BLIND, period_metrics(15, 0, 6, late=9)),
        "On 6 unseen days (test): 0 of 15 problems announced; 9 alarms came with the problem "
        "itself (right, but too late); 6 false alarms (7 a week).",
    ),
    "waits, and found nothing": (
        made(FEW, period_metrics(1, 0, 1, late=1)),
        "The first model waits for a person. It ranks better than chance. But its threshold finds "
        "0 of 1 problem of the validation period.",
    ),
    "serves, and found nothing": (
        made(FIRST, period_metrics(4, 0, 1)),
        "The first model goes into service, but do not rely on it yet: it announced no problem on "
        "unseen data. It ranks better than chance.",
    ),
    "detector without a problem": (
        made(detector(DETECTOR)),
        f"The first model goes into service. {ALLOWED} On 4 days of unseen normal "
        "time: 1 false alarm (1.8 a week of normal time, 1.8 asked); "
        "2,064 of 2,304 synthetic anomalies found; no problem was "
        "there to find.",
    ),
    "detector beside the one in service": (
        made(
            detector(replace(FOUND, unseen=41.5, allowed=41.5), replace(FOUND, leads_s=())),
            champion=1,
        ),
        f"The challenger goes into service. {ALLOWED} On 290 days of unseen normal "
        "time: 2 of 4 problems found while they lasted, typically after 1h; 1 false alarm "
        "(0.024 a week of normal time, "
        "1 asked); 2,064 of 2,304 synthetic anomalies found. The one in service: 0 of 4 problems "
        "found; 1 false alarm; 2,064 of 2,304 synthetic anomalies found.",
    ),
    "detector with too little time": (
        made(
            decide({"too_little_time": True}, details="It found 1 of 1 unseen.")
        ),
        "The first model waits for a person. There is too little normal time that it has not seen "
        "to count its false alarms. It found 1 of 1 unseen.",
    ),
    "parts": (
        made(FIRST, period_metrics(48, 46, 22, units=1800, median_lead_time=None)),
        "On 1,800 unseen parts (test): 46 of 48 problems found; 22 false alarms (12 in 1,000 "
        "parts).",
    ),
    "many assets and alarms": (
        made(FIRST, period_metrics(4000, 3000, 1200, n_assets=20, days=1.0)),
        "On 1 d of unseen time (test): 3,000 of 4,000 problems announced, typically 10 min ahead; "
        "1,200 false alarms (28,000 a week on all 20 assets).",
    ),
    "no problem in the test": (
        made(FIRST, period_metrics(0, 0, 0)),
        "On 6 unseen days (test): no problem; no false alarm.",
    ),
    "of a training that did not store the length of its test": (
        made(FIRST, period_metrics(1, 1, 0, days=None)),
        "In the test period: 1 of 1 problem announced, typically 10 min ahead; no false alarm.",
    ),
    "challenger that wins": (
        made(BETTER, period_metrics(4, 4, 0), champion=1),
        "The challenger goes into service. It ranked better on 4 problems that neither model had "
        f"seen. {COUNTED}",
    ),
    "challenger that loses": (
        made(WORSE, period_metrics(1, 1, 0), champion=1),
        "The champion stays. It was no better on 1 problem that neither model had seen. "
        f"{COUNTED}",
    ),
    "refused": (
        made(REFUSED, evidence={"chance": CHANCE.to_document()}),
        "No model goes into service. No candidate ranks better than chance (1,000 "
        "problems in the training period). What may help: about 1,250 more "
        "problems (if its figure stays), another horizon, variables that move before the problem, "
        "or `kind: anomaly`, which learns from normal operation alone.",
    ),
    "values": (
        made(estimated(VALUES.message), evidence={"values": VALUES.to_document()}),
        f"The first model goes into service. {SERVES} Predicted values of moisture are "
        "better than the last known one and the mean. On 3,204 unseen values (test) "
        "they explain 73 % of the variance and are off by 0.26 on average, the last known one by "
        "0.285, the mean by 0.51; the 90 % interval is 1.07 wide and holds 93 %.",
    ),
    "values too few": (
        made(refuse(None, FEW_VALUES), evidence={"values": FEW_VALUES.to_document()}),
        "No model goes into service. Predicted values of moisture are not clearly better than the "
        "last known one and the mean. Ridge, the best candidate, is 17 % better than the mean, in "
        "8 of 10 draws of the unseen values (test): too few values; about 270 more values are "
        "needed. On 40 unseen values (test) they explain 73 % of the variance and are off by 0.26 "
        "on average, the last known one by 0.285, the mean by 0.51; the 90 % interval is 1.07 wide "
        "and holds 93 %. What may help: a longer history, or variables that move with moisture "
        "before it is known.",
    ),
    "values too few beside their own mean": (
        made(refuse(None, FEW_OWN), evidence={"values": FEW_OWN.to_document()}),
        "No model goes into service. Predicted values of moisture are not clearly better than the "
        "last known one and the mean. Ridge, the best candidate, is better than the mean of the "
        "unseen values themselves, in 8 of 10 draws of the unseen values (test): too few values; "
        "about 270 more values are needed. On 40 unseen values (test) they explain 73 % of the "
        "variance and are off by 0.26 on average, the last known one by 0.285, the mean by 0.51; "
        "the 90 % interval is 1.07 wide and holds 93 %. What may help: a longer history, or "
        "variables that move with moisture before it is known.",
    ),
    "values that explain nothing": (
        made(refuse(None, NO_SHARE), evidence={"values": NO_SHARE.to_document()}),
        "No model goes into service. Predicted values of moisture are not clearly better than the "
        "last known one and the mean. Ridge, the best candidate, is no better than the mean of the "
        "unseen values themselves. On 20 unseen values (test) they explain 0 % of the variance and "
        "are off by 0.26 on average, the last known one by 0.285, the mean by 0.51; the 90 % "
        "interval is 1.07 wide and holds 93 %. What may help: a longer history, or variables that "
        "move with moisture before it is known.",
    ),
    "a constant": (
        made(refuse(None, CONSTANT), evidence={"values": CONSTANT.to_document()}),
        "No model goes into service. Predicted values of moisture are not clearly better than the "
        "last known one and the mean. Ridge, the best candidate, predicts a constant. On 3,204 "
        "unseen values (test) they explain 0 % of the variance and are off by 0.26 on average, the "
        "last known one by 0.285, the mean by 0.51; the 90 % interval is 1.07 wide and holds 93 %. "
        "What may help: a longer history, or variables that move with moisture before it is known.",
    ),
    "values no better, though warnings are": (
        made(
            refuse(ABOVE, NO_BETTER),
            evidence={"chance": ABOVE.to_document(), "values": NO_BETTER.to_document()},
        ),
        "No model goes into service. Predicted values of moisture are not clearly better than the "
        "last known one and the mean. Ridge, the best candidate, is no better than the last known "
        "value. On 3,204 unseen values (test) they explain 73 % of the variance and are off by "
        "0.26 on average, the last known one by 0.285, the mean by 0.51; the 90 % interval is 1.07 "
        "wide and holds 93 %. What may help: a longer history, or variables that move with "
        "moisture before it is known.",
    ),
    "its threshold finds none": (
        made(estimated(describe_values(NO_THRESHOLD, VALUES))),
        f"The first model goes into service. {SERVES} {VALUES.message} No alarm is raised: Its "
        "threshold would find 0 of 4 problems in the validation period. "
        f"{NO_THRESHOLD.remedy}",
    ),
    "values of another candidate": (
        made(estimated(describe_values(ABOVE, VALUES))),
        f"The first model goes into service. {SERVES} {VALUES.message} No alarm is raised: the "
        "candidate with the best warnings estimates no better than the last known value or the "
        "mean.",
    ),
    "control chart": (
        made(estimated(ONE_SIGNAL, None)),
        f"The first model goes into service. {ALLOWED} 1 signal on 1,148 unseen points, where its "
        "run length allows 0.57. 1 of 1 problem found while it lasted, typically after 1h.",
    ),
    "control chart, too few points": (
        made(estimated(FEW_POINTS, "too_few_points_of_first")),
        "The first model goes into service. There are too few points yet that it has not seen to "
        "count its signals. 1,148 unseen points; about 5,740 needed.",
    ),
}  # fmt: skip
PERIODS = ("(test)", "test period", "validation", "unseen", "neither had seen", "training period")


@pytest.mark.parametrize("case", TABLE)
def test_facts_give_their_sentence_and_no_line_contradicts_another(case, capsys):
    result, sentence = TABLE[case]
    texts = [result_line(result), *result_lines(result)]
    assert sentence in texts
    print_lines(lines_of_proposal(result, verbose=False))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 15
    assert max(map(len, lines)) <= 100
    summary = summarise_decision(carried_out(result))
    said = describe_unseen(1, result.test)
    people = [*texts, *lines, summary, *([said] if said else [])]
    whole = "\n".join(people)
    found_none = result.test.get("n_events") and not result.test["n_found"]
    assert not (found_none and re.search(r"can be used|is used", whole))
    assert not re.search(
        r"(?<![\d.,])1 (alarm|reading|row|episode|part|day|signal|point|variable|problem)s\b", whole
    )
    assert not re.search(r"(?<![\d.:-])\d{4,}(?![\d:-])", whole), "no number without commas"
    assert not re.search(r"\d%|\de[+-]\d", whole)
    verdict = r"waits for a person|a person decides|person approves|rely on it"
    assert len({*re.findall(verdict, "\n".join([*texts, *lines]))}) <= 1
    assert not re.search("CRPS|average precision|trials|samples", whole)
    if result.champion_version is None:
        assert "hallenger" not in whole + decision_markdown(result).split("\n## ")[0]
    for text in texts:
        is_share = re.search(r"\d of \d|false alarms? \(|% of the alarms", text)
        assert not is_share or any(period in text for period in PERIODS), text
    print_lines(lines_of_proposal(result, verbose=True))
    every = capsys.readouterr().out
    assert "ap" not in result.test or "average precision: 0.6" in every
    assert "train: 19,150 rows, 1,200 labelled as a problem" in every


def test_parts_on_several_assets_have_no_weekly_rate_beside_their_share():
    test = period_metrics(48, 46, 2, units=500, n_assets=2)
    [line] = [line for line in metric_lines(test) if "1,000 parts" in line]
    assert line == "false alarms in 1,000 parts: 4, 2 in 48 episodes"
    assert "on all" not in decision_markdown(made(FIRST, test))


REFUSALS = [  # tests of the warnings and of the values, and words of the reason and the details
    (None, NO_BETTER, "are not clearly better than the last known one and the mean.", "Ridge, the"),
    (ABOVE, NO_BETTER, "are not clearly better than the last known one and the mean.", "may help"),
    (CHANCE, NO_BETTER, "No candidate ranks better than chance (1,000", "are not clearly better"),
    (ABOVE, VALUES, "they give no alarm, and the model in service may give one.", "73 %"),
    (CHANCE, VALUES, "they give no alarm, and the model in service may give one.", "ranks better"),
    (NO_THRESHOLD, NO_BETTER, "not clearly better", "would find 0 of 4 problems"),
    (NO_THRESHOLD, None, "Its threshold would find 0 of 4 problems", "What may help"),
    (
        replace(CHANCE, problems=2),
        None,
        "2 problems to learn from are too few",
        "Use a longer history",
    ),
    (None, replace(VALUES, values=5), "cannot be told from 5 unseen values.", "longer history"),
]


@pytest.mark.parametrize(("chance", "values", "reason", "details"), REFUSALS)
def test_a_refusal_is_for_what_failed_and_what_passed_is_not_said_to_be_no_better(
    chance, values, reason, details
):
    decision = refuse(chance, values)
    assert decision.verdict == "no_challenger"
    assert reason in decision.reason
    assert details in decision.details
    whole = f"{decision.reason} {decision.details}"
    assert values is None or values.passed <= ("not clearly better" not in whole)
    sentences = re.split(r"(?<=\.) ", whole)
    assert len(sentences) == len({*sentences})
    assert "hallenger" not in whole


@pytest.mark.parametrize(
    ("changes", "passed", "more"),
    [
        ({}, True, None),
        ({"better_than_mean": 0.85}, False, 12_000),
        ({"share_better": 0.85}, False, 12_000),
        ({"share_better": 0.6}, False, None),  # 26 times as many would be needed
        ({"share_better": 0.4}, False, None),
        ({"share_better": None}, False, None),
        ({"share_explained": 0.85}, False, 12_000),
        ({"share_explained": None}, True, None),  # too few values to be judged by their own mean
        ({"explained": -0.1}, False, None),
        ({"values": 20, "share_explained": None, "explained": -0.1}, False, None),
        ({"values": 5, "share_explained": None}, False, None),
        ({"explained": nan}, False, None),
        ({"is_constant": True}, False, None),
    ],
)
def test_values_serve_only_if_they_beat_the_last_one_and_the_mean(changes, passed, more):
    test = replace(VALUES, **changes)
    assert (test.passed, test.more_needed) == (passed, more)


@pytest.mark.parametrize(
    ("changes", "came"),
    [
        ({"values": 5, "share_explained": None}, "5 unseen values. "),
        ({"values": 1, "explained": nan}, "1 unseen value. "),
        ({"explained": nan}, "3,204 unseen values. They do not vary. "),
    ],
)
def test_too_few_unseen_values_or_those_that_do_not_vary_tell_nothing(changes, came):
    test = replace(VALUES, **changes)
    assert f"cannot be told from {came}Use a longer history" in test.message
    assert "nan" not in test.message


@pytest.mark.parametrize("code", ["de", "fr"])
def test_what_was_found_unseen_is_said_in_every_language(code):
    spoken = language(code)
    for result, _ in TABLE.values():
        said = describe_unseen(3, result.test)
        if said is not None:
            assert not re.search("unseen|announced|false", spoken.translate(said))


@pytest.mark.models
def test_command_page_and_run_say_the_same():
    platform = stored_platform(humid_line)
    made = platform.decisions.for_definition(NAME)[-1]
    result = read_proposal(platform.runs, made.run_id)
    sentences = unseen_lines(result.test)
    assert len(sentences) >= 2
    assert LIGHTGBM["family"] not in " ".join(sentences)
    page = html.unescape(browser_of(platform).get(f"/models/{NAME}").text)
    written = decision_markdown(result)
    for sentence in sentences:
        assert sentence in page
    for text in (result_line(result), written, page, summarise_decision(made), made.reason):
        assert result.reason in text
    assert sentences[0] in written
    assert result.test["threshold_reason"] in written
