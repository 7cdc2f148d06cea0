"""An oven whose burner follows its temperature, and this its set-point, with a model that has
learned its first twenty days."""

from datetime import timedelta

import numpy as np

from alerting.definitions.asset_documents import Asset, Variable
from alerting.ports import DecisionRecord, ReadingRow
from alerting.usecases.data_upkeep import roll_up
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.ingestion.arrived_rows import add_readings
from alerting.usecases.notification.routing import ROUTES
from tests.builders import T0, too_moist
from tests.in_memory_platform import Mailbox, in_memory_platform

DAY = timedelta(days=1)
TRAINED = 20
DAYS = 26
STEP = timedelta(minutes=15)
A_DAY = DAY // STEP
NAME = "too-moist"
BEGAN = T0 + (TRAINED + 4) * DAY
NOW = T0 + DAYS * DAY + timedelta(minutes=30)


def no_recipe(day):
    return 0.0


def readings(
    offset=0.0, variable="temperature", until=DAYS, recipe=no_recipe, days=DAYS, dough=None
):
    """Return readings. `offset`: of the sensor of a variable, from BEGAN until a day. `recipe`: how
    far the set-point is off its usual 200, by day (with its share). `dough`: the category from
    BEGAN on, rye before it; None without one."""
    random = np.random.default_rng(4)
    number = days * A_DAY
    day = np.arange(number) / A_DAY
    set_point = 200.0 + np.array([recipe(d) for d in day])
    process = np.repeat(random.normal(0, 1, number // 16), 16)
    values = {
        "set_point": set_point,
        "temperature": set_point + process + random.normal(0, 0.2, number),
        "burner": 50 + 0.2 * (set_point - 200) + 0.5 * process + random.normal(0, 0.2, number),
        "moisture": 3 + random.normal(0, 0.1, number),
    }
    values[variable] = values[variable] + offset * ((day >= TRAINED + 4) & (day < until))
    rows = [
        ReadingRow("oven-1", T0 + STEP * i, {name: float(of[i]) for name, of in values.items()})
        for i in range(number)
    ]
    for row in rows if dough else ():
        row.values["dough"] = dough if row.ts >= BEGAN else "rye"
    return rows


def drifting_line(rows, *names):
    """Return a platform with these readings and definitions, at NOW, and the mailbox of its
    engineer."""
    mail = Mailbox("mail")
    platform = in_memory_platform(mail)
    platform.clock.instant = NOW
    variables = {name: Variable() for name in ("temperature", "burner", "moisture")}
    variables["set_point"] = Variable(controllable=True, min=150, max=260)
    variables["dough"] = Variable(type="category")
    platform.assets.store_assets([Asset(name="oven-1", variables=variables)])
    for name in names or (NAME,):
        apply(platform, [too_moist(name=name)], "engineer", T0, "test")
        promote(platform, name, 1, T0, T0 + TRAINED * DAY)
    ROUTES.apply(
        platform, [{"name": "engineers", "channels": ["mail"], "platform": True}], "ada", T0
    )
    add_readings(platform, rows, NOW)
    roll_up(platform, NOW)
    return platform, mail


def promote(platform, name, version, start, end, **evidence):
    """Put a version into service that has learned from a time."""
    learned = {"start": start.isoformat(), "end": end.isoformat()}
    platform.decisions.add(
        DecisionRecord(
            definition=name,
            at=end,
            revision=1,
            challenger_version=version,
            champion_version=version - 1 or None,
            promoted=True,
            provisional=False,
            verdict="promote",
            reason="better",
            evidence={"learned": learned, **evidence},
            run_id=f"{name} {version}",
            actor="platform",
        )
    )
