"""No recommendation leaves what an asset and a definition allow, whatever they are; relations hold;
it is always the same."""

from datetime import timedelta
from math import ceil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.definitions.asset_documents import Relation
from alerting.definitions.fields.learning import LeverLimits
from alerting.learning.features.plan import CategorySource
from alerting.learning.features.set_point_effects import SetPointEffects
from alerting.recommendation.explanation import recommend
from tests.helpers.advice import AT, history, lever, model_of, plan

LEVELS = ("soft", "crisp", "sweet")
SEEN = ("soft", "crisp")
NUMBERS = ("a", "b")


def eighths(low, high):
    return st.integers(8 * low, 8 * high).map(lambda k: k / 8)


@st.composite
def number_levers(draw):
    low = draw(eighths(-10, 5))
    return {
        "min": low,
        "max": low + draw(eighths(1, 12)),
        "step": draw(st.sampled_from([0.125, 0.5, 1.0, None])),
        "max_change": draw(st.none() | eighths(1, 8)),
        "direction": draw(st.sampled_from(["up", "down", "both"])),
        "tolerance": draw(st.sampled_from([None, 0.0, 0.5])),
        "cost": draw(st.sampled_from([0.5, 1.0, 3.0])),
        "rate": draw(st.sampled_from([None, None, 0.25, 2.0])),
    }


@st.composite
def narrower(draw):
    one = draw(
        st.sampled_from(["none", "min", "max", "max_change", "direction", "rate", "controllable"])
    )
    value = {
        "direction": st.sampled_from(["up", "down"]),
        "controllable": st.just(False),
        "max_change": eighths(1, 4),
    }
    value["rate"] = st.sampled_from([0.25, 1.0])
    return None if one == "none" else LeverLimits(**{one: draw(value.get(one, eighths(-10, 10)))})


@st.composite
def situations(draw):
    levers = {name: draw(number_levers()) for name in NUMBERS}
    present = {name: draw(eighths(-10, 16)) for name in NUMBERS}
    kind = draw(st.sampled_from(["equal", "lag", "difference"]))
    relation = Relation(
        variable="z",
        kind=kind,
        of="a",
        minus="b" if kind == "difference" else None,
        time_constant=timedelta(minutes=draw(st.integers(1, 20))) if kind == "lag" else None,
        gain=draw(st.sampled_from([0.5, 1.0, -2.0])),
    )
    variables = {name: lever(**settings_of) for name, settings_of in levers.items()}
    variables["recipe"] = lever(
        type="category",
        values=tuple(draw(st.sets(st.sampled_from(LEVELS)))),
        min=None,
        max=None,
        step=None,
    )
    variables["z"] = lever(controllable=False)
    line = history(
        variables, present | {"recipe": "soft", "z": draw(eighths(-5, 5))}, relations=[relation]
    )
    weights = np.array(draw(st.tuples(*[st.sampled_from([-1.0, -0.25, 0.0, 0.5, 2.0])] * 4)))
    rounded = draw(st.sampled_from([0.125, 3.0]))  # smooth, or with steps as of trees
    limits = {name: found for name in NUMBERS if (found := draw(narrower())) is not None}
    effects = draw(
        st.none() | st.just(SetPointEffects("z", 1, 2.0, {"a": (0.5, 0.01), "b": (-1.0, 0.1)}, 5.0))
    )

    def risk(*row):
        return 1 / (1 + np.exp(-0.2 * weights @ (np.round(np.array(row) / rounded) * rounded)))

    of_plan = plan([*NUMBERS, "z"], categories=[CategorySource("recipe", SEEN)])
    now = risk(*present.values(), line.readings["z"].iloc[-1], 0)
    made = model_of(risk, of_plan, threshold=now * draw(st.sampled_from([1.0, 0.9, 0.6])))
    object.__setattr__(made, "effects", effects)
    return made, line, limits, draw(st.integers(1, 3))


def check_change(change, line, limits):
    """One change keeps to the limits of the asset and the narrower ones of the definition."""
    variable = line.asset.variables[change.variable]
    narrow = limits.get(change.variable, LeverLimits())
    assert variable.controllable
    assert narrow.controllable is not False
    if variable.type == "category":
        assert change.after in {*variable.values} & {*SEEN}
        return
    moved = change.after - change.before
    assert moved != 0
    for low in (variable.min, narrow.min):
        assert low is None or change.after >= low - 1e-9
    for high in (variable.max, narrow.max):
        assert high is None or change.after <= high + 1e-9
    for most in (variable.max_change, narrow.max_change):
        assert most is None or abs(moved) <= most + 1e-9
    for direction in (variable.direction, narrow.direction):
        assert direction in (None, "both", "up" if moved > 0 else "down")
    if variable.step:
        steps = (
            change.after - variable.min if narrow.min is None else change.after - narrow.min
        ) / variable.step
        assert narrow.min is not None or steps == pytest.approx(round(steps), abs=1e-6)
    rates = [rate for rate in (variable.rate, narrow.rate) if rate is not None]
    assert change.takes == (
        timedelta(seconds=ceil(abs(moved) / min(rates) * 60 - 1e-6)) if rates else None
    )


def check_relation(changes, moves, line, limits):
    """The follower moves as its relation says, where no driver has a rate; the relation's gain
    times the driver's change."""
    (relation,) = line.asset.relations
    by = {c.variable: c.after - c.before for c in changes if c.variable in NUMBERS}
    if any(c.takes for c in changes) and relation.kind == "lag":
        return
    change = by.get("a", 0.0) - (by.get("b", 0.0) if relation.kind == "difference" else 0.0)
    if relation.kind == "lag":
        # 9 minutes after the first reading of 10
        change *= 1 - np.exp(-9 / (relation.time_constant / timedelta(minutes=1)))
    found = {m.variable: m.after - m.before for m in moves}
    assert found.get("z", 0.0) == pytest.approx(relation.gain * change, abs=1e-6)


@settings(max_examples=50, deadline=None, report_multiple_bugs=False)
@given(situations())
def test_no_answer_leaves_what_is_allowed(situation):
    made, line, limits, most = situation
    found = recommend(made, line, AT, most, limits)
    answers = [
        (found.changes, found.moves),
        *((other.changes, other.moves) for other in found.alternatives),
    ]
    for changes, moves in answers:
        assert len(changes) <= most
        assert len({c.variable for c in changes}) == len(changes)
        for change in changes:
            check_change(change, line, limits)
        if changes:
            check_relation(changes, moves, line, limits)
    assert found.risk_after <= found.risk_before
    assert not found.helps or found.risk_after < made.threshold
    assert recommend(made, line, AT, most, limits) == found
