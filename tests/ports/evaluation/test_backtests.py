"""Port `Backtests`."""

from alerting.adapters.mongo.reports import backtests as module
from tests.builders import at
from tests.helpers.episodes import episode
from tests.helpers.stores import broken_in_memory


def begun(stores, id="run", minute=0):
    return stores.backtests.begin(
        id, {"definition": "too-hot", "begun_at": at(minute), "start": at(0), "end": at(60)}
    )


def test_a_run_begins_once_and_its_segments_come_in_order_and_each_once(stores):
    first = begun(stores)
    assert (first["id"], first["start"], first["segments"]) == ("run", at(0), [])
    for number in (1, 2, 10, 11, 2):
        stores.backtests.store_segment(
            "run", number, {"number": number}, {"states.json": b"%d" % number}
        )
    again = begun(stores, minute=9)
    assert again["begun_at"] == at(0)
    assert again["segments"] == [{"number": number} for number in (1, 2, 10, 11)]
    assert stores.backtests.segment_files("run", 10) == {"states.json": b"10"}
    assert stores.backtests.get("nothing") is None


def test_files_of_any_size_come_back_whole_also_when_written_again_shorter(stores, monkeypatch):
    monkeypatch.setattr(module, "PIECE", 10)
    begun(stores)
    sizes = (50, 0, 50, 10, 50, 11, 50, 35)
    written = [{"model/a": bytes(range(size)), "b": b"x"} for size in sizes]
    found = []
    for files in written:
        stores.backtests.store_segment("run", 1, {"number": 1}, files)
        found.append(stores.backtests.segment_files("run", 1))
    assert found == written


def test_a_finished_run_has_results_episodes_and_a_page_and_a_forgotten_one_nothing(stores):
    results = {
        "finished_at": at(70),
        "metrics": {"undetermined": {"the data end at 2026-01-05T00:00:00.": 2}},
    }
    raised = [episode(1), episode(5)]
    for id in ("run", "other"):
        begun(stores, id)
        stores.backtests.store_segment(id, 1, {"number": 1}, {"a": b"1"})
        assert "finished_at" not in stores.backtests.get(id)
        for _ in range(2):
            stores.backtests.finish(id, results, raised, "<html>ö</html>")
    stores.backtests.forget("run")
    runs = {
        id: (
            stores.backtests.get(id),
            stores.backtests.episodes(id),
            stores.backtests.page(id),
            stores.backtests.segment_files(id, 1),
        )
        for id in ("run", "other")
    }
    assert runs["run"] == (None, [], None, {})
    assert runs["other"][0].items() >= results.items()
    assert runs["other"][1:] == (raised, "<html>ö</html>", {})
    assert stores.episodes.find() == []


def test_runs_of_a_definition_come_newest_first(stores):
    begun(stores, "old", minute=1)
    begun(stores, "new", minute=2)
    stores.backtests.begin("foreign", {"definition": "other", "begun_at": at(3)})
    assert [r["id"] for r in stores.backtests.for_definition("too-hot")] == ["new", "old"]


def test_the_stores_in_memory_keep_this_contract():
    assert broken_in_memory(globals()) == {}
