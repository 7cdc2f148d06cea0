"""Ports `Scores` and `Reports`."""

from dataclasses import replace

from alerting.episodes.misses import ReportedMiss
from alerting.ports import ReportContent, Score
from tests.builders import at
from tests.helpers.reports import head


def test_scores_added_twice_are_kept_once_and_as_first_said(stores):
    stores.scores.add(
        "too-moist", "oven-1", [Score(at(0), 0.25, 0.5, 1), Score(at(1), 0.75, 0.5, 1)]
    )
    stores.scores.add(
        "too-moist", "oven-1", [Score(at(1), 0.99, 0.5, 1), Score(at(2), 0.5, 0.5, 1)]
    )
    found = list(stores.scores.for_interval("too-moist", at(0), at(10)))
    assert [row["score"] for row in found] == [0.25, 0.75, 0.5]


def test_another_model_says_its_own_of_the_same_instant(stores):
    stores.scores.add("too-moist", "oven-1", [Score(at(0), 0.25, 0.5, 1)])
    stores.scores.add("too-moist", "oven-1", [Score(at(0), 0.3, 0.6, 2)])
    assert {
        row["model_version"] for row in stores.scores.for_interval("too-moist", at(0), at(1))
    } == {
        1,
        2,
    }


def test_scores_of_a_period_come_by_instant_without_its_end(stores):
    stores.scores.add(
        "too-moist",
        "oven-2",
        [Score(at(1), 0.2, 0.5, 1), Score(at(0), 0.1, 0.5, 1), Score(at(5), 0.9, 0.5, 1)],
    )
    stores.scores.add("too-moist", "oven-1", [Score(at(1), 0.3, 0.5, 1)])
    stores.scores.add("other", "oven-1", [Score(at(1), 0.3, 0.5, 1)])
    found = list(stores.scores.for_interval("too-moist", at(0), at(5)))
    assert [(row["ts"], row["asset"]) for row in found] == [
        (at(0), "oven-2"),
        (at(1), "oven-1"),
        (at(1), "oven-2"),
    ]
    assert found[0] == {
        "asset": "oven-2",
        "ts": at(0),
        "score": 0.1,
        "threshold": 0.5,
        "model_version": 1,
    }


def test_a_report_is_listed_without_its_content_which_is_found_by_its_id(stores):
    tables = {"episodes": {"columns": ["id"], "rows": [["a"], [None]]}}
    stored = head(
        key_metrics={"right": "2"},
        announced=False,
    )
    metrics = {"hits": 3, "share": 0.5, "none": None}
    content = ReportContent(metrics, "<html>3 hits ü</html>", tables, b"\x89PNG")
    assert stores.reports.add(stored, content)
    assert stores.reports.get(stored.id) == stored
    assert stores.reports.for_definition("too-hot") == [stored]
    assert stores.reports.content(stored.id) == content
    assert stores.reports.page(stored.id) == "<html>3 hits ü</html>"
    assert (
        stores.reports.get("nothing"),
        stores.reports.content("nothing"),
        stores.reports.page("nothing"),
    ) == (
        None,
        None,
        None,
    )


def test_a_report_is_stored_once_and_one_by_hand_replaces_it(stores):
    assert stores.reports.add(head(), ReportContent({}, "first"))
    assert not stores.reports.add(head(sentences=("Other.",)), ReportContent({}, "second"))
    assert stores.reports.page(head().id) == "first"
    stores.reports.store_report(head(sentences=("By hand.",)), ReportContent({}, "third"))
    assert (stores.reports.get(head().id).headline, stores.reports.page(head().id)) == (
        "By hand.",
        "third",
    )


def test_the_newest_report_on_a_period_is_found_by_definition(stores):
    for one in (
        head(),
        head(id="corrected", as_of=at(99_999)),
        head(definition="quiet", empty=True),
        head(definition=None),
        head(period="2026-W03"),
    ):
        assert stores.reports.add(one, ReportContent({}, "page"))
    found = stores.reports.of_period("2026-W02")
    assert {name: h.id for name, h in found.items()} == {
        "too-hot": "corrected",
        "quiet": "quiet:2026-W02",
        None: "2026-W02",
    }
    assert stores.reports.of_period("2026-W02", at(8 * 1440))["too-hot"].id == "too-hot:2026-W02"


def test_newest_reports_of_all_definitions_and_plant_are_listed_without_those_that_say_nothing(
    stores,
):
    for one in (
        head(start=at(0)),
        head(definition=None, start=at(20)),
        head(definition="quiet", empty=True, start=at(30)),
    ):
        stores.reports.add(one, ReportContent({}, "page"))
    assert [h.definition for h in stores.reports.newest_reports(9)] == [None, "too-hot"]
    assert [h.definition for h in stores.reports.newest_reports(1)] == [None]
    assert [h.definition for h in stores.reports.newest_reports(1, {"too-hot"})] == ["too-hot"]
    assert stores.reports.newest_reports(9, ()) == []


def test_a_report_waits_until_it_is_announced(stores):
    first = head(announced=False, as_of=at(1))
    second = head(announced=False, as_of=at(2), id="corrected")
    for one in (second, first, head("quiet", empty=True, announced=False)):
        stores.reports.add(one, ReportContent({}, "page"))
    assert [h.id for h in stores.reports.unannounced(9)] == [first.id, second.id]
    stores.reports.mark_announced(first.id)
    assert [h.id for h in stores.reports.unannounced(9)] == [second.id]
    assert stores.reports.get(first.id).announced


def test_reported_misses_are_kept_once_and_listed_newest_first(stores):
    first = ReportedMiss("too-hot", "oven-1", at(5), "smoke", "ann", at(60))
    assert stores.misses.append(first) == first
    assert stores.misses.append(replace(first, comment="again", at=at(70))) == first
    later = stores.misses.append(ReportedMiss("too-hot", "oven-2", at(9), "", "bob", at(61)))
    other = stores.misses.append(ReportedMiss("too-moist", "oven-1", at(7), "", "bob", at(62)))
    assert stores.misses.for_interval() == [later, other, first]
    assert stores.misses.for_interval(at(5), at(9)) == [other, first]
    assert stores.misses.for_interval(definition="too-hot", limit=1) == [later]
    assert stores.misses.for_interval(assets=()) == []
    assert stores.misses.for_interval(assets={later.asset}, limit=1) == [later]
    assert stores.feedback.for_episode("") == []
