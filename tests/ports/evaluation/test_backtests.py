"""Port `Backtests`."""

import pytest

from alerting.adapters.mongo.reports import backtests as module
from alerting.detection.evaluation import Evaluation
from alerting.episodes.episode import Episode, episode_id
from tests.builders import at


def episode(minute):
    raised = at(minute)
    return Episode(
        id=episode_id("too-hot", "oven-1", raised),
        definition="too-hot",
        revision=1,
        kind="threshold",
        asset="oven-1",
        title="Too hot",
        severity="high",
        raised_at=raised,
        detected_at=raised,
        condition="open",
        closed_at=None,
        evaluation=Evaluation(raised, "triggered", "hot", 231.5, 215.0),
        backfilled=True,
    )


def begun(stores, id="run", minute=0):
    return stores.backtests.begin(
        id, {"definition": "too-hot", "begun_at": at(minute), "start": at(0), "end": at(60)}
    )


def test_a_run_begins_once_and_is_found_again_as_it_was(stores):
    first = begun(stores)
    assert (first["id"], first["segments"], first["start"]) == ("run", [], at(0))
    stores.backtests.store_segment("run", 1, {"number": 1, "episodes": 3}, {})
    again = begun(stores, minute=9)
    assert again["begun_at"] == at(0)
    assert again["segments"] == [{"number": 1, "episodes": 3}]
    assert stores.backtests.get("nothing") is None


def test_segments_come_in_order_however_many_and_kept_twice_are_kept_once(stores):
    begun(stores)
    for number in (1, 2, 10, 11, 2):
        stores.backtests.store_segment(
            "run", number, {"number": number}, {"states.json": b"%d" % number}
        )
    assert [s["number"] for s in stores.backtests.get("run")["segments"]] == [1, 2, 10, 11]
    assert stores.backtests.segment_files("run", 10) == {"states.json": b"10"}


@pytest.mark.parametrize("size", [0, 10, 11, 35])
def test_files_of_any_size_come_back_whole_also_when_written_again_shorter(
    stores, monkeypatch, size
):
    monkeypatch.setattr(module, "PIECE", 10)
    begun(stores)
    stores.backtests.store_segment(
        "run", 1, {"number": 1}, {"model/a": bytes(range(50)), "b": b"x"}
    )
    stores.backtests.store_segment(
        "run", 1, {"number": 1}, {"model/a": bytes(range(size)), "b": b"x"}
    )
    assert stores.backtests.segment_files("run", 1) == {"model/a": bytes(range(size)), "b": b"x"}


def test_a_finished_run_has_results_episodes_and_a_page_and_no_files_to_go_on_from(stores):
    begun(stores)
    stores.backtests.store_segment("run", 1, {"number": 1}, {"a": b"1"})
    assert "finished_at" not in stores.backtests.get("run")
    results = {
        "finished_at": at(70),
        "metrics": {"undetermined": {"the data end at 2026-01-05T00:00:00.": 2}},
    }
    for _ in range(2):
        stores.backtests.finish("run", results, [episode(1), episode(5)], "<html>ö</html>")
    found = stores.backtests.get("run")
    assert (found["finished_at"], found["metrics"]) == (at(70), results["metrics"])
    assert stores.backtests.episodes("run") == [episode(1), episode(5)]
    assert stores.backtests.page("run") == "<html>ö</html>"
    assert stores.backtests.segment_files("run", 1) == {}


def test_a_forgotten_run_leaves_nothing_and_others_alone(stores):
    for id in ("run", "other"):
        begun(stores, id)
        stores.backtests.store_segment(id, 1, {"number": 1}, {"a": b"1"})
        stores.backtests.finish(id, {"finished_at": at(70)}, [episode(1)], "page")
    stores.backtests.forget("run")
    assert (
        stores.backtests.get("run"),
        stores.backtests.episodes("run"),
        stores.backtests.page("run"),
    ) == (None, [], None)
    assert stores.backtests.page("other") == "page"
    assert len(stores.backtests.episodes("other")) == 1
    assert stores.episodes.find() == []


def test_runs_of_a_definition_come_newest_first(stores):
    begun(stores, "old", minute=1)
    begun(stores, "new", minute=2)
    stores.backtests.begin("foreign", {"definition": "other", "begun_at": at(3)})
    assert [r["id"] for r in stores.backtests.for_definition("too-hot")] == ["new", "old"]
