"""Port `Backtests`."""

from alerting.stores import reports as module
from tests.builders import at
from tests.helpers.contracts import each, having, step
from tests.helpers.episodes import episode

RESULTS = {
    "finished_at": at(70),
    "metrics": {"undetermined": {"the data end at 2026-01-05T00:00:00.": 2}},
}
RAISED = [episode(1), episode(5)]
FILES = [{"model/a": bytes(range(n)), "b": b"x"} for n in (50, 0, 50, 10, 50, 11, 50, 35)]


def begin(id="run", minute=0, **gives):
    fields = {"definition": "too-hot", "begun_at": at(minute), "start": at(0), "end": at(60)}
    return step("backtests.begin", id, fields, gives=having(id=id, start=at(0), **gives))


def store_segment(number, files, id="run"):
    return step("backtests.store_segment", id, number, {"number": number}, files)


CLAIMS = {
    "a run begins once and its segments come in order, each once": [
        begin(segments=[], begun_at=at(0)),
        *(store_segment(n, {"states.json": b"%d" % n}) for n in (1, 2, 10, 11, 2)),
        begin(minute=9, begun_at=at(0), segments=[{"number": n} for n in (1, 2, 10, 11)]),
        step("backtests.segment_files", "run", 10, gives={"states.json": b"10"}),
        step("backtests.get", "nothing", gives=None),
    ],
    "files of any size come back whole, also when written again shorter": [
        begin(),
        *(
            one
            for files in FILES
            for one in (
                store_segment(1, files),
                step("backtests.segment_files", "run", 1, gives=files),
            )
        ),
    ],
    "a finished run has results, episodes and a page, and a forgotten one nothing": [
        *(begin(id) for id in ("run", "other")),
        *(store_segment(1, {"a": b"1"}, id) for id in ("run", "other")),
        *(
            step("backtests.finish", id, RESULTS, RAISED, "<html>ö</html>")
            for id in ("run", "run", "other")
        ),
        step("backtests.get", "run", gives=having(**RESULTS)),
        step("backtests.segment_files", "run", 1, gives={}),
        step("backtests.forget", "run"),
        step("backtests.get", "run", gives=None),
        step("backtests.episodes", "run", gives=[]),
        step("backtests.page", "run", gives=None),
        step("backtests.episodes", "other", gives=RAISED),
        step("backtests.page", "other", gives="<html>ö</html>"),
        step("episodes.find", gives=[]),
    ],
    "runs of a definition come newest first": [
        begin("old", 1),
        begin("new", 2),
        step("backtests.begin", "foreign", {"definition": "other", "begun_at": at(3)}),
        step("backtests.for_definition", "too-hot", gives=each(id=["new", "old"])),
    ],
}


def test_the_stores_of_backtests_keep_every_claim(broken, monkeypatch):
    monkeypatch.setattr(module, "PIECE", 10)
    assert broken(CLAIMS) == {}
