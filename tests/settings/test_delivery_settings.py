from pathlib import Path

import pytest

from alerting.settings.environment import SettingsRefused, read_settings

pytestmark = pytest.mark.fast

MAIL = {
    "ALERTING_SMTP_HOST": "mail.plant.example",
    "ALERTING_SMTP_FROM": "Alerting <alerting@plant.example>",
    "ALERTING_EMAIL_NIGHT_SHIFT": "night@plant.example",
}


def faults(**environ):
    with pytest.raises(SettingsRefused) as refusal:
        read_settings(environ)
    return {f.path for f in refusal.value.faults}


def test_mail_needs_a_server_a_sender_and_an_address():
    delivery = read_settings(MAIL).delivery
    assert delivery.smtp is not None
    assert (delivery.smtp.port, delivery.smtp.tls) == (587, "starttls")
    assert dict(delivery.emails) == {"night-shift": "night@plant.example"}


@pytest.mark.parametrize(("tls", "port"), [("tls", 465), ("none", 25), ("starttls", 587)])
def test_the_port_follows_from_the_encryption(tls, port):
    smtp = read_settings({**MAIL, "ALERTING_SMTP_TLS": tls}).delivery.smtp
    assert smtp is not None
    assert smtp.port == port


def test_everything_else_of_deliveries():
    delivery = read_settings(
        {
            "ALERTING_SLACK_LINE_3": "https://hooks.slack.com/services/T0/B0/x",
            "ALERTING_TEAMS_LINE_3": "https://x.logic.azure.com/workflows/1?sig=2",
            "ALERTING_NTFY_LINE_3": "https://ntfy.sh/line-3",
            "ALERTING_NTFY_LINE_3_TOKEN": "tk_1",
            "ALERTING_EGRESS_ALLOW": "Hooks.Slack.com, 10.0.0.0/8,",
            "ALERTING_PUBLIC_URL": "https://alerting.plant.example/",
            "ALERTING_LINK_KEY_FILE": "/run/key",
        }
    ).delivery
    assert dict(delivery.slack_urls) == {"line-3": "https://hooks.slack.com/services/T0/B0/x"}
    assert dict(delivery.teams_urls) == {"line-3": "https://x.logic.azure.com/workflows/1?sig=2"}
    assert dict(delivery.ntfy_urls) == {"line-3": "https://ntfy.sh/line-3"}
    assert dict(delivery.ntfy_tokens) == {"line-3": "tk_1"}
    assert delivery.egress_allow == ("hooks.slack.com", "10.0.0.0/8")
    assert delivery.public_url == "https://alerting.plant.example"
    assert delivery.link_key_file == Path("/run/key")


def test_every_fault_is_named():
    assert faults(
        ALERTING_SMTP_HOST="mail",
        ALERTING_SMTP_FROM="nobody",
        ALERTING_SMTP_TLS="maybe",
        ALERTING_SMTP_PORT="0",
        ALERTING_EMAIL_A="a@b.c,d@e.f",
        ALERTING_PUBLIC_URL="alerting.plant",
    ) == {
        "ALERTING_SMTP_FROM",
        "ALERTING_SMTP_TLS",
        "ALERTING_SMTP_PORT",
        "ALERTING_EMAIL_A",
        "ALERTING_PUBLIC_URL",
    }
    assert faults(ALERTING_EMAIL_A="a@b.example") == {"ALERTING_SMTP_HOST"}


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("ALERTING_SLACK_A", "slack://t0ps3cret"),
        ("ALERTING_TEAMS_A", "t0ps3cret"),
        ("ALERTING_NTFY_A", "ntfy://t0ps3cret"),
        ("ALERTING_NTFY_A", "https://t0ps3cret.example/"),
        ("ALERTING_NTFY_A", "https://ntfy.sh/t0ps3cret?auth=x"),
        ("ALERTING_NTFY_A_TOKEN", "t0ps3cret x"),
    ],
)
def test_an_address_of_a_chat_that_cannot_be_one_is_refused_with_a_hint_and_without_it(name, url):
    with pytest.raises(
        SettingsRefused, match=r"as in https://|as the workflow|begins with"
    ) as fault:
        read_settings({name: url})
    assert name in str(fault.value)
    assert "t0ps3cret" not in str(fault.value)


def test_a_password_without_tls_is_refused():
    assert faults(
        **MAIL, ALERTING_SMTP_TLS="none", ALERTING_SMTP_USER="u", ALERTING_SMTP_PASSWORD="p"
    ) == {"ALERTING_SMTP_TLS"}


def test_no_secret_shows_in_the_settings():
    shown = repr(
        read_settings(
            {
                **MAIL,
                "ALERTING_SMTP_USER": "u",
                "ALERTING_SMTP_PASSWORD": "t0ps3cret",
                "ALERTING_SLACK_A": "https://hooks.slack.com/t0ps3cret",
                "ALERTING_TEAMS_A": "https://x.logic.azure.com/t0ps3cret",
                "ALERTING_NTFY_A": "https://ntfy.sh/t0ps3cret",
                "ALERTING_NTFY_A_TOKEN": "t0ps3cret",
            }
        )
    )
    assert "t0ps3cret" not in shown
