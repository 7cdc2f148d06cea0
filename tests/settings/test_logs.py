"""The logs of our own processes: text or JSON lines, ids, and neither secrets nor control
characters."""

import json
import logging

import pytest

from alerting.definitions.faults import UserError
from alerting.ports.use_cases import id_logger, log_context, log_run
from alerting.settings.logs import Redaction, configure_logging, log_format

pytestmark = pytest.mark.fast

SECRETS = {
    "ALERTING_MONGODB_URI": "mongodb://alerting:hunter-two@db:27017/?authSource=admin",
    "ALERTING_SMTP_PASSWORD": "correct-horse",
    "ALERTING_WEBHOOK_PAGER": "https://hooks.example.org/services/T0/B0/abcdef",
    "ALERTING_WEBHOOK_PAGER_SECRET": "battery-staple",
    "ALERTING_SLACK_SHIFT": "https://hooks.slack.com/services/T1/B1/ghijkl",
    "ALERTING_TEAMS_SHIFT": "https://x.logic.azure.com/workflows/1?sig=mnopqr",
    "ALERTING_NTFY_SHIFT": "https://ntfy.sh/line-3-stuvwx",
    "ALERTING_NTFY_SHIFT_TOKEN": "tk_yzabcd",
}


@pytest.fixture(autouse=True)
def logging_as_before():
    root = logging.getLogger()
    ours = logging.getLogger("alerting")
    before = list(root.handlers), ours.level
    yield
    root.handlers[:] = before[0]
    ours.setLevel(before[1])


@pytest.fixture
def log():
    return id_logger("alerting.test")


def lines(capsys):
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_json_line_has_the_ids_of_its_call_and_of_its_context(log, capsys):
    configure_logging({"ALERTING_LOG_FORMAT": "json"})
    with log_context(run="r1", definition="too-hot"), log_context(asset="oven-1"):
        log.info("episode %s", "raised", episode="e1", nothing=None)
    [line] = lines(capsys)
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "info",
        "logger": "alerting.test",
        "message": "episode raised",
        "run": "r1",
        "definition": "too-hot",
        "asset": "oven-1",
        "episode": "e1",
    }


def test_the_ids_stand_in_the_message_where_the_format_is_not_ours(log, caplog):
    with caplog.at_level(logging.INFO, "alerting"), log_context(run="r1"):
        log.info("100 %% of %s", "x", asset="50%")
    assert caplog.messages == ["100 % of x [run=r1 asset=50%]"]


def test_text_holds_warnings_alone_and_is_the_default(log, capsys):
    configure_logging({})
    log.info("fine")
    log.warning("the model cannot be read: %s", "gone", definition="too-moist")
    [line] = capsys.readouterr().err.splitlines()
    assert line.endswith(
        "Z WARNING alerting.test: the model cannot be read: gone [definition=too-moist]"
    )


@pytest.mark.parametrize("format_", ["text", "json"])
def test_no_name_of_a_thing_forges_a_line_or_commands_a_terminal(log, capsys, format_):
    configure_logging({"ALERTING_LOG_FORMAT": format_})
    log.warning("bad\n2026 ERROR %s", "\x1b[2J\u202e", asset="oven\r\n-1\x1b]0;x\x07")
    written = capsys.readouterr().err
    assert len(written.splitlines()) == 1
    assert not {"\x1b", "\u202e", "\r", "\x07"} & set(written)
    assert "oven -1" in written


@pytest.mark.parametrize("format_", ["text", "json"])
def test_secrets_are_in_no_line_and_no_traceback(log, capsys, format_):
    configure_logging({**SECRETS, "ALERTING_LOG_FORMAT": format_}, ["api-token-0123456789"])
    told = [
        *SECRETS.values(),
        "api-token-0123456789",
        "https://eva:s3cret-word@proxy/",
        "Bearer aaaaaaaaaaaaaaaa",
        "/f/sealed-grant-123456",
    ]
    told += [
        "/sign-in/once-only-123",
        "password=opensesame",
        '{"token": "opensesame"}',
        "X-Api-Key: opensesame",
    ]
    try:
        raise RuntimeError(" ".join(told))
    except RuntimeError:
        log.exception("failed: %s", " ".join(told), channel=told[1])
    written = capsys.readouterr().err
    assert "***" in written
    assert "RuntimeError" in written
    hidden = (
        "hunter-two",
        "correct-horse",
        "abcdef",
        "battery-staple",
        "api-token",
        "s3cret-word",
        "aaaaaaaa",
    )
    for secret in (*hidden, "sealed-grant", "once-only", "opensesame"):
        assert secret not in written, secret


def test_what_only_looks_a_little_like_a_secret_stays():
    text = "secretary of /f/ and token economy: zone_1 at 10:30, mongodb://db:27017/alerting"
    assert Redaction(["short"])(text) == text
    with pytest.raises(
        UserError, match="ALERTING_LOG_FORMAT: 'xml' is not a format of logs: give text or json"
    ):
        log_format({"ALERTING_LOG_FORMAT": "xml"})


def test_a_line_of_a_sandbox_is_for_debugging(log, capsys):
    configure_logging({"ALERTING_LOG_FORMAT": "json"})
    with log_context(sandbox="backtest"):
        log.info("episode raised")
        log.warning("the model cannot be read")
    assert [line["message"] for line in lines(capsys)] == ["the model cannot be read"]


def test_a_run_within_a_run_keeps_its_id_and_each_line_is_written_once(log, capsys):
    configure_logging({})
    configure_logging({"ALERTING_LOG_FORMAT": "JSON"})
    with log_run():
        log.info("one")
        with log_run():
            log.info("two")
    with log_run():
        log.info("three")
    one, two, three = (line["run"] for line in lines(capsys))
    assert one == two != three
