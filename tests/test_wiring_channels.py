"""From the environment to channels: everything that leaves this machine goes through one rule."""

import pytest

from alerting import wiring
from alerting.adapters.receivers.email import EmailChannel
from alerting.definitions.faults import UserError
from alerting.ports import DeliveryFailed, Message
from alerting.settings.environment import read_settings

pytestmark = pytest.mark.fast

MAIL = {
    "ALERTING_SMTP_HOST": "127.0.0.1",
    "ALERTING_SMTP_FROM": "a@plant.example",
    "ALERTING_EMAIL_SHIFT": "s@plant.example",
}
MESSAGE = Message("k", "s", "t", {})


def channels(tmp_path, **environ):
    return wiring._channels(read_settings({"ALERTING_HOME": str(tmp_path), **environ}))


def test_each_variable_is_a_channel_beside_the_log(tmp_path):
    found = channels(tmp_path, **MAIL, ALERTING_WEBHOOK_MES="https://mes.example/x")
    assert sorted(found) == ["log", "mes", "shift"]
    assert isinstance(found["shift"], EmailChannel)
    with pytest.raises(UserError, match="ALERTING_EMAIL_SHIFT: the name 'shift' is already in use"):
        channels(tmp_path, **MAIL, ALERTING_WEBHOOK_SHIFT="https://mes.example/x")


CHATS = {
    "ALERTING_SLACK_SLACK": "http://127.0.0.1:9/x",
    "ALERTING_TEAMS_TEAMS": "http://127.0.0.1:9/x",
    "ALERTING_NTFY_NTFY": "http://127.0.0.1:9/x",
    "ALERTING_WEBHOOK_MES": "http://127.0.0.1:9/x",
}


def failure(channel):
    with pytest.raises(DeliveryFailed) as failed:
        channel.deliver(MESSAGE)
    return str(failed.value)


def test_nothing_inside_the_network_is_reached_unless_it_is_allowed(tmp_path):
    names = {"mes", "shift", "slack", "teams", "ntfy"}
    found = channels(tmp_path, **MAIL, **CHATS)
    refused = {name for name in names if "ALERTING_EGRESS_ALLOW" in failure(found[name])}
    allowance = {"ALERTING_EGRESS_ALLOW": "127.0.0.1", "ALERTING_SMTP_PORT": "9"}
    allowed = channels(tmp_path, **MAIL, **CHATS, **allowance)
    tried = {name for name in names if "no connection" in failure(allowed[name])}
    assert refused == tried == names


def test_a_password_file_that_others_may_read_or_that_is_missing_is_refused_without_its_content(
    tmp_path,
):
    file = tmp_path / "password"
    environ = {**MAIL, "ALERTING_SMTP_USER": "u", "ALERTING_SMTP_PASSWORD_FILE": str(file)}
    with pytest.raises(UserError, match="cannot be read"):
        channels(tmp_path, **environ)
    file.write_text("t0ps3cret\n")
    file.chmod(0o644)
    with pytest.raises(UserError, match="chmod 600") as refusal:
        channels(tmp_path, **environ)
    assert "t0ps3cret" not in str(refusal.value)
    file.chmod(0o600)
    assert channels(tmp_path, **environ)["shift"]._password == "t0ps3cret"


def test_links_lead_to_the_public_address_and_their_key_is_made_in_the_home(tmp_path):
    settings = read_settings(
        {"ALERTING_HOME": str(tmp_path), "ALERTING_PUBLIC_URL": "https://alerting.plant.example/"}
    )
    links = wiring._links(settings, database=None).answer_links("e1", "shift")
    assert [link.url.split("/f/")[0] for link in links[:3]] == [
        "https://alerting.plant.example"
    ] * 3
    assert (tmp_path / "secrets" / "feedback_link_key").exists()
