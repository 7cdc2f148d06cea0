"""Variables that follow each other are one reason, and the lever among them is advised; advice is
in the resolution of the readings."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from alerting.definitions.asset_documents import Relation, Variable
from alerting.definitions.fields.learning import LeverLimits
from alerting.definitions.wording.language import language
from alerting.episodes.advice import split_reasons
from alerting.learning.features.set_point_effects import SetPointEffects
from alerting.learning.models.model_files import model_files, model_from_files
from alerting.learning.models.trained import NormalSample
from alerting.readings.history import from_millis
from alerting.recommendation.explanation import contributions, recommend
from tests.helpers import extruder
from tests.helpers.advice import AT, history, lever, model_of, plan

pytestmark = pytest.mark.models
TOGETHER = ("speed", "current", "pressure")


def alarm_at(speed):
    """Return the last row of an alarm that has had this speed for an hour, and its instant."""
    data = extruder.dataset()
    score = extruder.model().score(data.rows)
    steady = (data.rows["speed.last"] == speed) & (data.rows["speed.mean.1h"] == speed)
    row = int(np.flatnonzero((score > extruder.model().threshold) & steady & data.label == 1)[-1])
    return data.rows.iloc[[row]], from_millis(int(data.at[row]))


@pytest.fixture(scope="module")
def asset():
    return extruder.line().asset


def test_what_moves_together_is_one_reason_that_names_the_lever(asset):
    row, _ = alarm_at(85.0)
    model = extruder.model()
    found = contributions(model, row, asset)
    (group,) = [c for c in found if c.members]
    assert (group.members, group.variable) == (TOGETHER, "speed")
    assert group.message.startswith(
        "Screw speed, Motor current and Melt pressure move together: Screw speed, 85 1/min"
    )
    assert {name for c in found for name in c.names} >= {*TOGETHER, "water"}
    assert [c.variable for c in found if c.variable in TOGETHER] == ["speed"], "none of them twice"
    assert group in split_reasons(found)[0]
    alone = contributions(replace(model, normal=None), row, asset)
    shares = {c.variable: c.share for c in alone}
    assert group.share == pytest.approx(sum(shares.get(name, 0.0) for name in TOGETHER))
    assert [c.members for c in alone] == [()] * len(alone), "as before without a normal sample"
    assert "bewegen sich zusammen" in language("de").translate(group.message)


def test_a_member_that_left_its_usual_range_alone_is_what_the_message_names(asset):
    row, _ = alarm_at(85.0)
    clogged = row.assign(**{c: 400.0 for c in row if re.match(r"pressure\.(last|mean)", c)})
    clogged = clogged.assign(**{c: 80.0 for c in row if re.match(r"speed\.(last|mean)", c)})
    group = next(c for c in contributions(extruder.model(), clogged, asset) if c.members)
    assert (group.variable, group.members) == ("pressure", TOGETHER)
    assert group.message.startswith("Melt pressure, Screw speed and Motor current move together: ")
    assert re.search(r"Melt pressure.*, 1\d\d bar above its usual", group.message)


def test_the_lever_of_a_group_is_advised_and_what_follows_it_is_named():
    _, at = alarm_at(90.0)
    limits = {"water": LeverLimits(controllable=False)}
    found = recommend(extruder.model(), extruder.line(), at, 1, limits)
    (change,) = found.changes
    assert (change.variable, change.before, change.after < 85) == ("speed", 90.0, True)
    assert found.message.startswith(f"Set Screw speed from 90 to {change.after:.0f} 1/min. Risk ")
    assert "Should follow: Motor current and Melt pressure." in found.message
    assert {m.variable: m.after - m.before for m in found.moves} == {
        "current": pytest.approx(0.8 * (change.after - 90), rel=0.1),
        "pressure": pytest.approx(2.5 * (change.after - 90), rel=0.1),
    }
    by_itself = replace(extruder.model(), normal=None, effects=None)
    assert not recommend(by_itself, extruder.line(), at, 1, limits).helps, "what follows stayed"
    assert -0.15 < extruder.model().effects.relief("speed") < -0.05, "told, as it is"


def group_of(*names, rows=400):
    """Return a normal sample whose named columns follow the first."""
    moved = np.repeat(np.random.default_rng(1).choice(np.arange(11.0), rows // 10), 10)
    values = np.column_stack([(k + 1) * moved for k in range(len(names))])
    ones = (1.0,) * len(names)
    near = np.full(rows, 100.0)
    columns = tuple(f"{n}.last" for n in names)
    return NormalSample(columns, (0.0,) * len(names), ones, values, near, np.zeros(rows, int))


def advise(variables, present, effects=None, relations=(), names=("a", "z")):
    """Return advice where only the last of the variables decides the risk."""
    made = model_of(lambda *row: 0.1 if row[-1] <= 8 else 0.9, plan(names))
    made = replace(made, normal=group_of(*names), effects=effects)
    return recommend(made, history(variables, present, relations=relations), AT, 1)


def test_what_only_follows_is_lowered_by_its_lever():
    variables = {"a": lever(), "z": Variable(title="Pressure")}
    found = advise(variables, {"a": 6.0, "z": 12.0})
    assert [(c.variable, c.after) for c in found.changes] == [("a", 4.0)]
    assert [(m.variable, m.before, m.after) for m in found.moves] == [("z", 12.0, 8.0)]
    assert "Should follow: Pressure." in found.message
    stated = Relation(variable="z", kind="equal", of="a", gain=4.0)
    declared = advise(variables, {"a": 6.0, "z": 12.0}, relations=(stated,))
    assert [(c.variable, c.after) for c in declared.changes] == [("a", 5.0)], "as the asset says"
    assert "Should follow" not in declared.message


def of_lines(gains, missing=0.0):
    """Return a normal sample of several lines, each at its own levels, on which `z` follows `a` by
    these gains."""
    random = np.random.default_rng(2)
    n = 600
    asset = np.repeat(np.arange(len(gains)), n)
    moved = random.normal(0, 1, len(asset))
    a = 10.0 * asset + moved
    z = 200 - 50 * asset + np.array(gains)[asset] * moved + random.normal(0, 0.05, len(asset))
    z[random.random(len(z)) < missing] = np.nan
    ones = (1.0, 1.0)
    near = np.full(len(a), 1000.0)
    values = np.column_stack([a, z])
    return NormalSample(("a.last", "z.last"), (0.0, 0.0), ones, values, near, asset)


@pytest.mark.parametrize(
    ("gains", "missing", "moves"),
    [((1, 1), 0.0, [-4]), ((1, 1), 0.4, [-4]), ((1, 1, -1), 0.0, []), ((1, 1, 0.9), 0.0, [-3.9])],
)
def test_what_follows_is_learned_within_each_line_from_rows_that_have_both(gains, missing, moves):
    made = model_of(lambda a, z: 0.1 if a <= 2 else 0.9, plan(("a", "z")))
    made = replace(made, normal=of_lines(gains, missing))
    assert [{*group} for group in made.together] == ([{"a", "z"}] if moves else [])
    line = history({"a": lever(), "z": Variable()}, {"a": 6.0, "z": 190.0})
    found = recommend(made, line, AT, 1)
    assert [(c.variable, c.after) for c in found.changes] == [("a", 2.0)]
    assert [m.after - m.before for m in found.moves] == [pytest.approx(m, abs=0.1) for m in moves]


def test_a_stored_model_knows_the_line_of_each_row_and_what_was_missing():
    model = extruder.model()
    rows = model.normal.rows.copy()
    rows[3, 1] = np.nan
    model = replace(model, normal=replace(model.normal, rows=rows), refit=None)
    read = model_from_files(model_files(model)).normal
    assert np.array_equal(read.rows, rows, equal_nan=True)
    assert read.asset.tolist() == model.normal.asset.tolist() == [0] * len(rows)
    assert np.isfinite(read.distance(rows[3:4] + 0.0)).all()


def test_nothing_follows_a_lever_whose_part_is_not_known():
    variables = {"a": lever(), "z": Variable()}
    present = {"a": 6.0, "z": 12.0}
    untold = SetPointEffects("q", 1, 2.0, {"a": (0.1, 0.2)}, 5.0)
    assert not advise(variables, present, untold).changes
    several = {"a": lever(), "b": lever(), "z": Variable()}
    assert not advise(several, present | {"b": 12.0}, names=("a", "b", "z")).changes
    first = Relation(variable="a", kind="equal", of="z", gain=1.0)
    assert not advise(variables, present, relations=(first,)).changes


@pytest.mark.parametrize(
    ("present", "facts", "before_and_after"),
    [
        # readings of two decimals: the card had 22.11000 and 16.21963
        (22.110000610351562, {"step": None, "min": 14.118, "max": 26.2}, ("22.11", "16.07")),
        (22.1, {"step": None, "min": 14.118, "max": 26.2}, ("22.1", "16.1")),
        (22.0, {"step": None, "min": 14.0, "max": 26.0}, ("22", "16")),
        (22.1134567, {"step": None, "min": 14.118, "max": 26.2}, ("22.11", "16.07")),
        (2.0, {"step": None, "min": 1.0, "max": 3.0}, ("2.0", "1.5")),
        (22.11, {"step": 0.5, "min": 14.0, "max": 26.0}, ("22.11", "16.00")),
    ],
)
def test_advice_has_the_resolution_of_the_readings_or_its_step(present, facts, before_and_after):
    seen = set()
    goal = {2.0: 1.5}.get(present, 16.3)

    def risk(a):
        seen.add(a)
        return 0.1 if a <= goal else 0.9

    made = model_of(risk, plan("a"))
    found = recommend(made, history({"a": lever(**facts)}, {"a": present}), AT, 1)
    before, after = before_and_after
    assert found.message.startswith(f"Set a from {before} to {after}. Risk 90 % → 10 %.")
    assert found.changes[0].after in seen, "the risk is that of the rounded value"
    assert facts["min"] <= found.changes[0].after <= facts["max"]


def test_rounding_never_leaves_a_bound():
    made = model_of(lambda a: 0.9 - a / 100, plan("a"))
    line = history({"a": lever(step=None, min=1.0, max=8.04)}, {"a": 5.1})
    index = line.readings.index
    line = replace(line, readings=pd.DataFrame({"a": np.full(len(index), 5.1)}, index=index))
    (change,) = recommend(made, line, AT, 1).changes
    assert change.after <= 8.04
    assert change.after == round(change.after, 1)
