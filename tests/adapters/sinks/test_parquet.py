"""Parquet files: columns that Power BI reads, whole files only, the same file for the same rows."""

from datetime import timedelta

import pyarrow.parquet as pq
import pytest

from alerting.adapters.sinks.parquet import ParquetReceiver
from alerting.definitions.sinks.sink import parse_sink
from alerting.ports import ACCEPTED, Predicted, ReceiverAway, Score, TargetScore
from alerting.usecases.sinks.messages import alarm_messages, message_for_a_test, value_messages
from tests.builders import at
from tests.helpers.episodes import episode
from tests.helpers.receivers import surroundings


@pytest.fixture
def sink(tmp_path):
    sends = ["alarms", "scores", "forecasts"]
    return parse_sink(
        {"name": "bi", "kind": "parquet", "folder": str(tmp_path / "out"), "sends": sends}
    )


def messages(sink):
    values = tuple(Predicted(timedelta(minutes=n), 1.0, 2.0, 3.0) for n in (5, 10))
    scores = (Score(at(m), 0.5, None, 3, values=values) for m in (1, 60 * 24))
    return [
        *alarm_messages(sink, episode(1).with_transition("raised", at(1), "hot"), 0),
        *(m for one in scores for m in value_messages(sink, TargetScore("moist", "oven-1", one))),
    ]


def test_files_stand_by_content_and_day_and_have_the_rows(sink, tmp_path):
    receiver = ParquetReceiver(sink, surroundings(""))
    assert set(receiver.send(messages(sink))) == {ACCEPTED}
    files = sorted((tmp_path / "out").rglob("*.parquet"))
    assert [f.relative_to(tmp_path / "out").parent.as_posix() for f in files] == [
        "alarms/2026-01-05",
        "forecasts/2026-01-05",
        "forecasts/2026-01-06",
        "scores/2026-01-05",
        "scores/2026-01-06",
    ]
    (alarm,) = pq.read_table(files[0]).to_pylist()
    assert (alarm["asset"], alarm["transition"], alarm["raised_at"]) == ("oven-1", "raised", at(1))
    ahead = pq.read_table(files[1]).to_pylist()
    assert [(row["ahead_s"], row["median"]) for row in ahead] == [(300.0, 2.0), (600.0, 2.0)]
    assert len({row["key"] for row in ahead}) == 2


def test_the_same_messages_are_the_same_file(sink, tmp_path):
    for _ in range(2):
        [*ParquetReceiver(sink, surroundings("")).send(messages(sink))]
    assert len([*(tmp_path / "out").rglob("*")]) == 3 + 5 + 5


def test_a_folder_that_cannot_be_written_is_away_and_no_message_is_lost(sink, tmp_path):
    receiver = ParquetReceiver(sink, surroundings(""))
    (tmp_path / "out" / "alarms").write_text("a file in its place")
    with pytest.raises(ReceiverAway, match="cannot be written"):
        [*receiver.send(messages(sink))]


def test_a_test_leaves_no_file(sink, tmp_path):
    ParquetReceiver(sink, surroundings("")).probe(message_for_a_test(sink, "ada", at(1)))
    assert [*(tmp_path / "out").iterdir()] == []
