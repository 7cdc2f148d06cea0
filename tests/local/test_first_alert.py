import json

import pytest

from alerting.local.first_alert import _reading_token, alert_lines, announcement

pytestmark = pytest.mark.fast

EPISODE = {
    "id": "abc",
    "title": "Zone 2 is too hot",
    "asset": "oven-1",
    "severity": "high",
    "condition": "open",
    "reason": "zone 2 is at 243 °C, above 240 °C",
}


def test_the_first_alert_has_name_asset_sentence_and_link(tmp_path):
    log = tmp_path / "log"
    log.write_text(
        "noise\n" + json.dumps(alert_lines(EPISODE, "http://127.0.0.1:8000")) + "\n",
        encoding="utf-8",
    )
    assert announcement(log) == [
        "Zone 2 is too hot, on oven-1 (high)",
        "zone 2 is at 243 °C, above 240 °C",
        "http://127.0.0.1:8000/episodes/abc",
    ]


def test_it_asks_with_a_token_that_may_read():
    owners = {
        "s" * 24: {"name": "gateway", "role": "sender"},
        "v" * 24: {"name": "board", "role": "viewer"},
    }
    assert _reading_token(owners) == "v" * 24


def test_an_alert_that_is_over_says_so():
    assert "over by now" in alert_lines({**EPISODE, "condition": "closed"}, "")[0]


def test_a_log_without_news_is_no_news(tmp_path):
    assert announcement(tmp_path / "missing") == []
    (tmp_path / "log").write_text("interrupted\n")
    assert announcement(tmp_path / "log") == []
