"""Ports `Scores` and `Reports`."""

from alerting.ports import Score
from tests.builders import at


def test_scores_added_twice_are_kept_once_and_as_first_said(stores):
    stores.scores.add("too-moist", "oven-1", [Score(at(0), 0.25, 0.5, 1), Score(at(1), 0.75, 0.5, 1)])
    stores.scores.add("too-moist", "oven-1", [Score(at(1), 0.99, 0.5, 1), Score(at(2), 0.5, 0.5, 1)])
    found = list(stores.scores.between("too-moist", at(0), at(10)))
    assert [row["score"] for row in found] == [0.25, 0.75, 0.5]


def test_another_model_says_its_own_of_the_same_instant(stores):
    stores.scores.add("too-moist", "oven-1", [Score(at(0), 0.25, 0.5, 1)])
    stores.scores.add("too-moist", "oven-1", [Score(at(0), 0.3, 0.6, 2)])
    assert {row["model_version"] for row in stores.scores.between("too-moist", at(0), at(1))} == {1, 2}


def test_scores_of_a_period_come_by_instant_without_its_end(stores):
    stores.scores.add("too-moist", "oven-2", [Score(at(1), 0.2, 0.5, 1), Score(at(0), 0.1, 0.5, 1), Score(at(5), 0.9, 0.5, 1)])
    stores.scores.add("too-moist", "oven-1", [Score(at(1), 0.3, 0.5, 1)])
    stores.scores.add("other", "oven-1", [Score(at(1), 0.3, 0.5, 1)])
    found = list(stores.scores.between("too-moist", at(0), at(5)))
    assert [(row["ts"], row["asset"]) for row in found] == [(at(0), "oven-2"), (at(1), "oven-1"), (at(1), "oven-2")]
    assert found[0] == {"asset": "oven-2", "ts": at(0), "score": 0.1, "threshold": 0.5, "model_version": 1}


def test_no_scores_are_nothing_to_add(stores):
    stores.scores.add("too-moist", "oven-1", [])
    assert list(stores.scores.between("too-moist", at(0), at(1))) == []


def test_a_report_is_listed_without_its_page_and_its_page_is_found_by_id(stores):
    id_ = stores.reports.put("too-moist", at(0), at(60), {"hits": 3, "at": at(1)}, "<html>3 hits</html>", at(70))
    assert stores.reports.page(id_) == "<html>3 hits</html>"
    assert stores.reports.page("nothing") is None
    assert stores.reports.of("too-moist") == [
        {"id": id_, "definition": "too-moist", "start": at(0), "end": at(60), "at": at(70), "metrics": {"hits": 3, "at": at(1)}}
    ]


def test_a_report_made_again_replaces_the_one_before(stores):
    first = stores.reports.put("too-moist", at(0), at(60), {"hits": 3}, "old", at(70))
    later = stores.reports.put("too-moist", at(60), at(90), {"hits": 1}, "other", at(90))
    assert stores.reports.put("too-moist", at(0), at(60), {"hits": 4}, "new", at(80)) == first
    assert [(report["id"], report["metrics"]) for report in stores.reports.of("too-moist")] == [
        (later, {"hits": 1}),
        (first, {"hits": 4}),
    ]
    assert stores.reports.page(first) == "new"


def test_the_newest_reports_of_all_definitions_come_with_their_judgement_alone(stores):
    judged = {"judgement": {"trust": "yes"}, "rows": [1, 2, 3]}
    made = [stores.reports.put(name, at(m), at(m + 9), judged, "page", at(70)) for name, m in (("a", 0), ("b", 20), ("a", 10))]
    newest = stores.reports.newest(2)
    assert [report["id"] for report in newest] == [made[1], made[2]]
    assert newest[0]["metrics"] == {"judgement": {"trust": "yes"}}
    assert (newest[0]["definition"], newest[0]["start"], newest[0]["end"]) == ("b", at(20), at(29))
    assert [report["id"] for report in stores.reports.newest(9)][-1] == made[0]
