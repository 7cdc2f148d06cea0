"""Ports `Scores`, `Reports` and `Misses`."""

from dataclasses import replace

from alerting.episodes.misses import ReportedMiss
from alerting.ports import ReportContent, Score
from tests.builders import at
from tests.helpers.reports import head
from tests.helpers.stores import broken_in_memory

PAGE = ReportContent({}, "page")


def test_scores_of_a_period_come_by_instant_each_as_a_model_first_said_it(stores):
    def add(definition, asset, *scores):
        stores.scores.add(definition, asset, [Score(*score) for score in scores])

    add("too-moist", "oven-2", (at(1), 0.2, 0.5, 1), (at(0), 0.1, 0.5, 1), (at(5), 0.9, 0.5, 1))
    add("too-moist", "oven-2", (at(1), 0.99, 0.5, 1), (at(2), 0.5, 0.5, 1))
    add("too-moist", "oven-1", (at(1), 0.3, 0.5, 1))
    add("too-moist", "oven-1", (at(1), 0.4, 0.6, 2))
    add("other", "oven-1", (at(1), 0.3, 0.5, 1))
    found = list(stores.scores.for_interval("too-moist", at(0), at(5)))
    assert [(row["ts"], row["asset"], row["score"], row["model_version"]) for row in found] == [
        (at(0), "oven-2", 0.1, 1),
        (at(1), "oven-1", 0.3, 1),
        (at(1), "oven-1", 0.4, 2),
        (at(1), "oven-2", 0.2, 1),
        (at(2), "oven-2", 0.5, 1),
    ]
    assert found[0].keys() == {"asset", "ts", "score", "threshold", "model_version"}


def test_a_report_is_listed_without_its_content_which_is_found_by_its_id(stores):
    tables = {"episodes": {"columns": ["id"], "rows": [["a"], [None]]}}
    stored = head(key_metrics={"right": "2"}, announced=False)
    metrics = {"hits": 3, "share": 0.5, "none": None}
    content = ReportContent(metrics, "<html>3 hits ü</html>", tables, b"\x89PNG")
    assert stores.reports.add(stored, content)
    assert not stores.reports.add(head(sentences=("Other.",)), PAGE)
    reads = (stores.reports.get, stores.reports.content, stores.reports.page)
    assert [read(stored.id) for read in reads] == [stored, content, content.page]
    assert [read("nothing") for read in reads] == [None] * 3
    assert stores.reports.for_definition("too-hot") == [stored]
    by_hand = head(sentences=("By hand.",))
    stores.reports.store_report(by_hand, PAGE)
    assert [read(stored.id) for read in reads] == [by_hand, PAGE, "page"]


def test_the_newest_report_on_a_period_is_found_by_definition(stores):
    for one in (
        head(),
        head(id="corrected", as_of=at(99_999)),
        head(definition="quiet", empty=True),
        head(definition=None),
        head(period="2026-W03"),
    ):
        assert stores.reports.add(one, PAGE)
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
        stores.reports.add(one, PAGE)
    asked = [(9,), (1,), (1, {"too-hot"}), (9, ())]
    listed = [[h.definition for h in stores.reports.newest_reports(*of)] for of in asked]
    assert listed == [[None, "too-hot"], [None], ["too-hot"], []]


def test_a_report_waits_until_it_is_announced(stores):
    first = head(announced=False, as_of=at(1))
    second = head(announced=False, as_of=at(2), id="corrected")
    for one in (second, first, head("quiet", empty=True, announced=False)):
        stores.reports.add(one, PAGE)
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
    find = stores.misses.for_interval
    assert find() == [later, other, first]
    assert find(at(5), at(9)) == [other, first]
    assert find(definition="too-hot", limit=1) == find(assets={later.asset}, limit=1) == [later]
    assert find(assets=()) == stores.feedback.for_episode("") == []


def test_the_stores_in_memory_keep_this_contract():
    assert broken_in_memory(globals()) == {}
