"""Ports `Scores`, `Reports` and `Misses`."""

from dataclasses import replace

from alerting.episodes.lifecycle import ReportedMiss
from alerting.ports import ReportContent, Score, TargetScores
from tests.builders import at
from tests.helpers.contracts import each, having, step
from tests.helpers.reports import head


def add_scores(definition, asset, *scores):
    rows = [Score(*score) for score in scores]
    return step("scores.add_many", [TargetScores(definition, asset, rows)])


def said(minute, asset, score, threshold=0.5, version=1):
    """A row of a score."""
    row = {"asset": asset, "ts": at(minute), "score": score, "threshold": threshold}
    return row | {"model_version": version}


def add_reports(*heads):
    return [step("reports.add", one, PAGE, gives=True) for one in heads]


PAGE = ReportContent({}, "page")
STORED = head(key_metrics={"right": "2"}, announced=False)
BY_HAND = head(sentences=("By hand.",))
WAITS = head(announced=False, as_of=at(1))
WAITS_LONGER = head(announced=False, as_of=at(2), id="corrected")
CONTENT = ReportContent(
    {"hits": 3, "share": 0.5, "none": None},
    "<html>3 hits ü</html>",
    {"episodes": {"columns": ["id"], "rows": [["a"], [None]]}},
    b"\x89PNG",
)
MISS = ReportedMiss("too-hot", "oven-1", at(5), "smoke", "ann", at(60))
LATER = ReportedMiss("too-hot", "oven-2", at(9), "", "bob", at(61))
OTHER = ReportedMiss("too-moist", "oven-1", at(7), "", "bob", at(62))
CLAIMS = {
    "scores of a period come by instant, each as a model first said it": [
        add_scores("too-moist", "oven-2", (at(1), 0.2, 0.5, 1), (at(0), 0.1, 0.5, 1)),
        add_scores("too-moist", "oven-2", (at(1), 0.99, 0.5, 1), (at(2), 0.5, 0.5, 1)),
        add_scores("too-moist", "oven-2", (at(5), 0.9, 0.5, 1)),
        add_scores("too-moist", "oven-1", (at(1), 0.3, 0.5, 1)),
        add_scores("too-moist", "oven-1", (at(1), 0.4, 0.6, 2)),
        add_scores("other", "oven-1", (at(1), 0.3, 0.5, 1)),
        step(
            "scores.for_interval",
            "too-moist",
            at(0),
            at(5),
            gives=[
                said(0, "oven-2", 0.1),
                said(1, "oven-1", 0.3),
                said(1, "oven-1", 0.4, 0.6, 2),
                said(1, "oven-2", 0.2),
                said(2, "oven-2", 0.5),
            ],
        ),
    ],
    "a report is listed without its content, which is found by its id": [
        step("reports.add", STORED, CONTENT, gives=True),
        step("reports.add", head(sentences=("Other.",)), PAGE, gives=False),
        step("reports.get", STORED.id, gives=STORED),
        step("reports.content", STORED.id, gives=CONTENT),
        step("reports.page", STORED.id, gives=CONTENT.page),
        *(step(f"reports.{read}", "nothing", gives=None) for read in ("get", "content", "page")),
        step("reports.for_definition", "too-hot", gives=[STORED]),
        step("reports.store_report", BY_HAND, PAGE),
        step("reports.get", STORED.id, gives=BY_HAND),
        step("reports.page", STORED.id, gives="page"),
    ],
    "the newest report on a period is found by definition": [
        *add_reports(
            head(),
            head(id="corrected", as_of=at(99_999)),
            head(definition="quiet", empty=True),
            head(definition=None),
            head(period="2026-W03"),
        ),
        step(
            "reports.of_period",
            "2026-W02",
            gives={
                "too-hot": having(id="corrected"),
                "quiet": having(id="quiet:2026-W02"),
                None: having(id="2026-W02"),
            },
        ),
        step(
            "reports.of_period",
            "2026-W02",
            at(8 * 1440),
            gives=having(**{"too-hot": having(id="too-hot:2026-W02")}),
        ),
    ],
    "newest reports of all definitions and the plant are listed without those that say nothing": [
        *add_reports(
            head(start=at(0)),
            head(definition=None, start=at(20)),
            head(definition="quiet", empty=True, start=at(30)),
        ),
        step("reports.newest_reports", 9, gives=each(definition=[None, "too-hot"])),
        step("reports.newest_reports", 1, gives=each(definition=[None])),
        step("reports.newest_reports", 1, {"too-hot"}, gives=each(definition=["too-hot"])),
        step("reports.newest_reports", 9, (), gives=[]),
    ],
    "a report waits until it is announced": [
        *add_reports(WAITS_LONGER, WAITS, head("quiet", empty=True, announced=False)),
        step("reports.unannounced", 9, gives=[WAITS, WAITS_LONGER]),
        step("reports.mark_announced", WAITS.id),
        step("reports.unannounced", 9, gives=[WAITS_LONGER]),
        step("reports.get", WAITS.id, gives=having(announced=True)),
    ],
    "reported misses are kept once and listed newest first": [
        step("misses.append", MISS, gives=MISS),
        step("misses.append", replace(MISS, comment="again", at=at(70)), gives=MISS),
        *(step("misses.append", one, gives=one) for one in (LATER, OTHER)),
        step("misses.for_interval", gives=[LATER, OTHER, MISS]),
        step("misses.for_interval", at(5), at(9), gives=[OTHER, MISS]),
        step("misses.for_interval", definition="too-hot", limit=1, gives=[LATER]),
        step("misses.for_interval", assets=(), gives=[]),
        step("misses.for_interval", assets={"oven-2"}, limit=1, gives=[LATER]),
        step("feedback.for_episode", "", gives=[]),
    ],
}


def test_the_stores_of_scores_reports_and_misses_keep_every_claim(broken):
    assert broken(CLAIMS) == {}
