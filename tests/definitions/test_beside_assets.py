"""What a definition needs of its assets: variables of the right type, attributes, events, a
line."""

import pytest

from alerting.definitions.asset_documents import Asset, AssetTree, EventType, Variable
from alerting.definitions.fields.definition_checks import ASSET_REMEDY, faults_against_assets
from alerting.kinds.registry import parse_definition
from tests.builders import oven, several, threshold, too_hot, too_moist

pytestmark = pytest.mark.fast

OVEN = oven(
    crew=Variable(type="category"),
    temperature=Variable(sampling="1m"),
    pressure=Variable(),
    grade=Variable(type="category", delay="1h"),
    belt_speed=Variable(controllable=True),
).model_copy(
    update={
        "parent": "line-1",
        "attributes": {"max_temperature": 220.0, "model": "m1", "recipe": "plain"},
    }
)
LINE = Asset(
    name="line-1",
    variables={"line_state": Variable(type="category"), "speed": Variable(sampling="1h")},
)
EVENTS = [
    EventType(name="maintenance", duration="lasting"),
    EventType(name="knock", duration="instant"),
]
HOT = {"variable": "temperature", "above": 215}
MOIST = {"variable": "moisture", "above": 4.5}


def suppressed(**when):
    return too_hot(suppression={"when": when})


def grouped(*groups):
    return too_hot(above={"learned": {"quantile": 0.9, "by": [*groups]}})


def limited(**variables):
    return too_moist(recommendation={"variables": variables})


TABLE = [
    (
        too_hot(above={"attribute": "max"}),
        "above: asset 'oven-1' has no attribute 'max' (known attributes: max_temperature, model, "
        "recipe)",
    ),
    (
        too_hot(above={"attribute": "model"}),
        "above: attribute 'model' of asset 'oven-1' is 'm1'; a limit needs a number",
    ),
    (
        too_hot(above={"attribute": "max_temperature"}, below=300),
        "assets: the limits stated by asset 'oven-1' are in the wrong order: below 300.0, above "
        "220.0",
    ),
    (too_hot(above={"attribute": "max_temperature"}), None),
    (
        too_hot(variable="crew", above=None, equals=3),
        "equals: 3.0 is not a possible value of 'crew', a category (write text)",
    ),
    (
        too_hot(variable="crew"),
        "variable: 'crew' is a category; a limit needs a number (write equals: and its text)",
    ),
    (too_hot(variable="crew", above=None, equals="blue"), None),
    (too_hot(variable="crew", above=None, equals={"attribute": "recipe"}), None),
    (
        too_hot(problem={"variable": "crew", "equals": True}),
        "problem.variable: True is not a possible value of 'crew', a category (after equals: write "
        "text)",
    ),
    (too_hot(problem={"variable": "crew", "equals": "blue"}), None),
    (
        too_hot(stale_after="30s"),
        "stale_after: 30s is shorter than the sampling of 'temperature' on 'oven-1', 1m (lengthen "
        "it; otherwise no condition holds from one reading to the next)",
    ),
    (
        too_hot(variable="temprature"),
        "variable: none of the matched assets has a variable 'temprature' (did you mean "
        "temperature?)",
    ),
    (
        too_hot(assets=["kiln"]),
        f"assets: no asset is called 'kiln' (known assets: line-1, oven-1; {ASSET_REMEDY})",
    ),
    (
        too_moist(problem={"event": "maint*"}, features={"events": ["error*"]}),
        "features.events: no event type is called 'error*'",
    ),
    (
        too_moist(problem={"event": "maint*"}, features={"attributes": ["age"]}),
        "features.attributes: ",
    ),
    (
        limited(belt_sped={"max": 8}),
        "recommendation.variables.belt_sped: none of the matched assets has this variable (did you "
        "mean belt_speed?)",
    ),
    (
        limited(moisture={"min": 1}),
        "recommendation.variables.moisture: operators can set it in none of the matched assets "
        "(declare it controllable: true in the asset)",
    ),
    (limited(moisture={"controllable": False}, belt_speed={"rate": 0.1}), None),
    (
        too_moist(problem={"all": [MOIST | {"variable": "moistur"}, HOT]}),
        "problem.all.0.variable: none of the matched assets has a variable 'moistur' (did you mean "
        "moisture?)",
    ),
    (
        too_moist(problem={"all": [MOIST, {"variable": "temperature", "equals": "low"}]}),
        "problem.all.1.equals: 'low' is not a possible value of 'temperature', a number (write "
        "number)",
    ),
    (
        several(
            all=[HOT, {"any": [HOT, {"variable": "crew", "above": 3}]}],
        ).model_dump(mode="json", by_alias=True, exclude_none=True),
        "all.1.any.1.variable: 'crew' is a category; a limit needs a number",
    ),
    (suppressed(variable="line_state", equals="stopped"), None),
    (suppressed(variable="line_stat", equals="stopped"), "did you mean line_state?"),
    (
        suppressed(variable="line_state", equals=1),
        "is not a possible value of 'line_state', a category (write text)",
    ),
    (
        suppressed(variable="line_state", below=1),
        "is a category; above and below need a number",
    ),
    (
        suppressed(variable="speed", below=1),
        "10m is shorter than the sampling of 'speed' on 'line-1', 1h",
    ),
    (suppressed(event="maintenence"), "did you mean maintenance?"),
    (suppressed(event="knock"), "is an instant event and has no duration"),
    (grouped("pressure"), "'pressure' is a number; a group needs a category"),
    (grouped("grade"), "'grade' has a delay"),
    (grouped("recipe"), "none of the matched assets has a variable 'recipe'"),
    (
        {"name": "x", "kind": "anomaly", "assets": ["oven-1"], "by": "pressure"},
        "by: 'pressure' is a number; a group needs a category (name a category)",
    ),
]


def faults_on(document, oven=OVEN):
    definition = parse_definition(document)
    return [str(fault) for fault in faults_against_assets(definition, [oven, LINE], EVENTS)]


def test_a_definition_is_held_against_its_assets_and_each_fault_said_alone():
    found = [(faults_on(document), words) for document, words in TABLE]
    assert [
        (faults, words)
        for faults, words in found
        if len(faults) != (words is not None) or not all(words in fault for fault in faults)
    ] == []


def test_without_a_parent_the_line_is_not_asked():
    alone = OVEN.model_copy(update={"parent": None})
    [fault] = faults_on(suppressed(variable="line_state", equals="stopped"), alone)
    assert "there is no variable 'line_state' on 'oven-1'" in fault
    assert threshold(suppression={"when": {"event": "a"}}) == threshold(
        suppression={"when": [{"event": "a"}]}
    )


def test_the_way_up_ends_even_where_parents_go_in_a_circle():
    a = Asset(name="a", parent="b")
    tree = AssetTree([a, Asset(name="b", parent="a")])
    assert [one.name for one in tree.asset_and_ancestors(a)] == ["a", "b"]
    orphan = Asset(name="c", parent="nowhere")
    assert [one.name for one in tree.asset_and_ancestors(orphan)] == ["c"]
