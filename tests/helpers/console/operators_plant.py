"""A plant of two lines in the present, as operators meet it: alarms come while pages are open."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from alerting.definitions.asset_documents import Asset, Variable
from alerting.episodes.episode import Feedback, OutcomeRecord, episode_id
from alerting.ports import ReadingRow
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.evaluation.rounds import evaluate
from alerting.usecases.ingestion.arrived_rows import add_readings
from tests.builders import too_hot
from tests.helpers.console.api import episode
from tests.in_memory_platform import HandClock, platform_on

PRESSES = tuple(f"press-{number}" for number in range(1, 13))
OTHERS = ("oven", "cooler")
ADVICE = "Open the damper."
HELPED = "belt slowed"
CAUSE = {
    "title": "Hydraulics lose pressure",
    "severity": "critical",
    "severity_peak": "critical",
}


def operators_plant(stores, presses=PRESSES):
    """Return a platform with a line of presses and a line of an oven, all of it normal."""
    now = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=1)
    platform = platform_on(stores, [], HandClock(now))
    hot = {"temperature": Variable(unit="°C", title="Temperature")}
    lines = (("line-1", presses), ("line-2", OTHERS))
    platform.assets.store_assets([Asset(name="plant", title="Biscuit plant")])
    for number, (line, names) in enumerate(lines, 1):
        of_line = {"parent": line, "variables": hot}
        machines = [
            Asset(name=one, title=one.replace("-", " ").title(), **of_line) for one in names
        ]
        above = Asset(name=line, title=f"Line {number}", parent="plant")
        platform.assets.store_assets([above, *machines])
    everywhere = [one for _, names in lines for one in names]
    document = too_hot(
        name="too-hot",
        title="Press too hot",
        assets=everywhere,
        severity="high",
        guidance={"action": ADVICE},
    )
    apply(platform, [document], "ada", now, "first")
    since = now - timedelta(minutes=30)
    rows = [
        ReadingRow(one, since + timedelta(minutes=m), {"temperature": 200.0 + m % 3})
        for one in everywhere
        for m in range(31)
    ]
    add_readings(platform, rows, now)
    evaluate(platform, ["too-hot"], now)
    return platform


def get_hot(platform, *assets):
    """Store a reading over the limit of some assets, the later ones hotter, and evaluate it; the
    others stay normal."""
    now = datetime.now(UTC).replace(microsecond=0)
    platform.clock.instant = now
    hot = {asset: 231.0 + n for n, asset in enumerate(assets)}
    rows = [
        ReadingRow(one, now, {"temperature": hot.get(one, 201.0)})
        for one in (*PRESSES, *OTHERS, *assets)
    ]
    add_readings(platform, rows, now)
    evaluate(platform, ["too-hot"], now)


def raised(asset, ago, now=None, **changes):
    """Return an open alarm of some time ago."""
    at = (now or datetime.now(UTC).replace(microsecond=0)) - ago
    made = episode(1, asset=asset, condition="open", **changes)
    id = episode_id(made.definition, asset, at)
    return replace(made, id=id, raised_at=at, detected_at=at)


def flood(platform):
    """Raise 60 alarms on twelve presses within a minute, some minutes before what was evaluated
    last; return the first of them."""
    now = platform.clock.now() - timedelta(minutes=5)
    first = raised("press-7", timedelta(seconds=90), now, **CAUSE)
    assert platform.episodes.insert(first)
    for n in range(59):
        follows = {"definition": f"follows-{n // 12}", "title": f"Consequence {n // 12 + 1}"}
        follows["severity"] = ("high", "medium", "low")[n % 3]
        follower = raised(PRESSES[n % 12], timedelta(seconds=80 - n), now, **follows)
        assert platform.episodes.insert(follower)
    return first


THIRTY = tuple(f"press-{number}" for number in range(1, 31))


def flood_of_thirty(platform):
    """Raise an alarm on each of thirty presses at once, one that is expected, and an unrelated one
    that is milder; the last of them is the worst."""
    get_hot(platform, *THIRTY)
    ends = {"is_prediction": True, "valid_until": platform.clock.now() + timedelta(minutes=25)}
    soon = {"definition": "too-moist", "title": "Biscuits too moist", "severity": "high"}
    slow = {"definition": "too-slow", "title": "Belt too slow", "severity": "medium"}
    for asset, more in (("cooler", soon | ends), ("oven", slow)):
        alarm = raised(asset, timedelta(minutes=2), platform.clock.now(), **more)
        assert platform.episodes.insert(alarm)


def add_past(platform, asset):
    """Store four earlier alarms of an asset, three of them answered: what was done helped. The
    oldest was found in past data."""
    for days in range(1, 5):
        past = raised(asset, timedelta(days=days), contributions=())
        closed = past.raised_at + timedelta(minutes=12)
        said = Feedback(past.id, "true_alarm", True, HELPED, "", "otto", past.raised_at)
        ended = {
            "outcome_record": OutcomeRecord("avoided", "no problem", False, None, False, True, 1),
            "feedback": (said,),
        }
        if days == 4:
            hit = OutcomeRecord("hit", "it came", True, None, False, True, 1)
            ended = {"outcome_record": hit, "backfilled": True}
        past = replace(past, condition="closed", closed_at=closed, **ended)
        assert platform.episodes.insert(past)


def add_night(platform, asset):
    """Store a night shift that ended half an hour ago, in which an alarm was acted on; return the
    address of its hand-over."""
    now = platform.clock.now()
    hours = [f"{now + timedelta(minutes=m):%H:%M}" for m in (-510, -30, 450)]
    for name, start, end in zip(("night", "early"), hours, hours[1:], strict=False):
        shifts = [{"from": start, "to": end}]
        platform.routes.store_document({"name": name, "channels": ["log"], "shifts": shifts})
    past = raised(asset, timedelta(hours=3), now, definition="too-slow", title="Press too slow")
    at = past.raised_at + timedelta(minutes=4)
    said = Feedback(past.id, None, True, HELPED, "", "nina", at)
    past = replace(past, condition="closed", closed_at=at, feedback=(said,))
    assert platform.episodes.insert(past)
    platform.feedback.append(said)
    return f"/handover?shift=night&at={now - timedelta(hours=2):%Y-%m-%dT%H:%MZ}"
