"""Episodes for tests of their page."""

from dataclasses import replace
from datetime import timedelta

from fastapi.testclient import TestClient

from alerting.console.app import create_app
from alerting.ports import ReadingRow
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.evaluation.rounds import evaluate
from alerting.usecases.ingestion.arrived_rows import add_readings
from alerting.usecases.notification.delivery import deliver_due
from tests.builders import at, oven, too_hot
from tests.helpers.console.api import TOKENS, episode
from tests.in_memory_platform import in_memory_platform

OPERATOR_TOKEN = list(TOKENS)[1]


def browser_of(platform, **options):
    browser = TestClient(create_app(platform, TOKENS, **options), follow_redirects=False)
    browser.post("/login", data={"token": OPERATOR_TOKEN})
    return browser


def hot_now(mail=None, **changes):
    """Return a line that got too hot at 09:00, evaluated until 10:00."""
    platform = in_memory_platform(*([mail] if mail else []))
    platform.assets.store_assets([oven()])
    apply(
        platform,
        [too_hot(title="Oven too hot", stale_after="1d", **changes)],
        "engineer",
        at(0),
        "test",
    )
    read(platform, {m: 205.0 + (m % 7) + (25.0 if m >= 540 else 0.0) for m in range(601)})
    tick(platform, 600)
    return platform


def read(platform, values, name="temperature"):
    add_readings(
        platform,
        [ReadingRow("oven-1", at(m), {name: v}) for m, v in values.items()],
        at(min(values)),
    )


def tick(platform, minute):
    platform.clock.instant = at(minute)
    evaluate(platform, None, at(minute))
    deliver_due(platform, at(minute))


def risky(platform, minute=540, **changes):
    """Return an open episode of the model with the risk that raised it."""
    made = episode(
        minute,
        condition="open",
        definition="too-moist",
        kind="classifier",
        is_prediction=True,
        title="Too moist",
        model_version=3,
    )
    evaluation = replace(
        made.evaluation, value=0.62, threshold=0.31, reason="Moisture will probably exceed 4.5 %"
    )
    made = replace(
        made, evaluation=evaluation, valid_until=made.raised_at + timedelta(minutes=30), **changes
    )
    platform.episodes.insert(made)
    return made
