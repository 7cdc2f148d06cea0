from datetime import UTC, datetime

import pytest

from alerting.adapters.files.assets import read_assets
from alerting.adapters.files.rows import Layout
from alerting.definitions.assets import Asset, Variable
from alerting.definitions.faults import UserError
from alerting.ports import ReadingRow
from alerting.usecases.ingestion.arrivals import add_readings
from alerting.usecases.ingestion.assets import import_assets
from tests.memory_plant import Assets, Plant

NOW = datetime(2026, 1, 5, tzinfo=UTC)
YAML = """
- name: oven-1
  title: Oven
  attributes: {model: m3, age: 18}
  variables:
    temperature: {unit: °C, low: 0, high: 400, delay: 1h}
    set_point: {controllable: true, min: 150, max: 250, step: 5}
"""


def load(tmp_path, content, name="assets.yaml", **layout):
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    return read_assets(path, Layout(**layout))


def bring(plant, given, dry_run=False):
    return import_assets("assets.yaml", given, plant, now=NOW, actor="me", dry_run=dry_run)


def test_a_document_becomes_an_asset_with_all_that_it_says(tmp_path):
    plant = Plant()
    assert bring(plant, load(tmp_path, YAML)).created == ("oven-1",)
    oven = plant.assets.get("oven-1")
    assert oven.attributes == {"model": "m3", "age": 18}
    assert oven.variables["temperature"].model_dump(mode="json")["delay"] == "1h"
    assert oven.variables["set_point"].controllable


def test_relations_of_variables_that_cannot_follow_are_refused(tmp_path):
    relations = (
        "relations: [{variable: temperatur, kind: equal, of: set_point}, {variable: recipe, kind: "
        "equal, of: set_point}]"
    )
    content = f"{YAML}    recipe: {{type: category}}\n  {relations}\n"
    with pytest.raises(UserError) as refusal:
        bring(Plant(), load(tmp_path, content))
    assert (
        "oven-1.relations.0: the asset declares no variable 'temperatur' (did you mean "
        "temperature?)" in str(refusal.value)
    )
    assert "oven-1.relations.1: 'recipe' is a category; only numbers follow others" in str(
        refusal.value
    )


def test_given_fields_win_and_everything_else_stays(tmp_path):
    stored = Asset(
        name="oven-1",
        title="Old",
        attributes={"age": 3, "hall": "B"},
        variables={"temperature": Variable(unit="K", high=300), "x": Variable()},
    )
    plant = Plant(Assets(stored))
    result = bring(
        plant,
        load(tmp_path, "oven-1: {attributes: {age: 4}, variables: {temperature: {unit: °C}}}"),
    )
    after = plant.assets.get("oven-1")
    assert (after.title, after.attributes) == ("Old", {"age": 4, "hall": "B"})
    assert after.variables == {"temperature": Variable(unit="°C", high=300), "x": Variable()}
    changed = {(c.field, c.before, c.after) for c in result.changes}
    assert changed == {("attributes.age", 3.0, 4.0), ("variables.temperature.unit", "K", "°C")}


def test_a_dry_run_tells_the_same_changes_and_makes_none(tmp_path):
    given = load(tmp_path, YAML)
    plant = Plant()
    told = bring(plant, given, dry_run=True)
    assert plant.untouched()
    assert told.changes == bring(plant, given).changes


def test_the_same_assets_again_change_nothing(tmp_path):
    plant = Plant()
    given = load(tmp_path, YAML)
    bring(plant, given)
    assert bring(plant, given).changes == ()
    assert len(plant.audit.entries) == 1


@pytest.mark.parametrize(
    "content",
    [
        "name: a\ntitle: A",
        "- name: a\n  title: A",
        "a: {title: A}",
        "---\nname: a\ntitle: A\n---\n",
        '[{"name": "a", "title": "A"}]',
    ],
)
def test_one_document_a_list_and_a_map_by_name_say_the_same(tmp_path, content):
    plant = Plant()
    bring(plant, load(tmp_path, content))
    assert plant.assets.known == {"a": Asset(name="a", title="A")}


def test_every_fault_of_every_asset_is_told_at_once_and_nothing_written(tmp_path):
    content = """
- {name: a, titel: A, variables: {t: {hig: 5}, bad name: {}}}
- {name: b, parent: nowhere}
- {name: b}
- {title: no name}
- {name: c, variables: {t: {type: text}, u: {delay: soon}}}
"""
    plant = Plant()
    with pytest.raises(UserError) as refusal:
        bring(plant, load(tmp_path, content))
    for part in (
        "a: titel: is not a field (did you mean title?)",
        "a: variables.t.hig: is not a field (did you mean high?)",
        "'bad name' is not a legal name",
        "b: asset 'b' occurs twice in this file",
        "b: parent: there is no asset 'nowhere'",
        "entry 4: name: is missing",
        "c: variables.t.type: should be 'number', 'category' or 'boolean'",
        "c: variables.u.delay: 'soon' is not a duration",
    ):
        assert part in str(refusal.value)
    assert plant.untouched()


def test_a_variable_with_readings_keeps_its_type(tmp_path):
    plant = Plant(Assets(Asset(name="a", variables={"x": Variable()})))
    given = load(tmp_path, "a: {variables: {x: {type: category}}}")
    add_readings(plant, [ReadingRow("a", NOW, {"x": 1.0})], NOW)
    with pytest.raises(
        UserError, match=r"a.variables.x.type: is number and cannot become category"
    ):
        bring(plant, given)
    plant = Plant(Assets(Asset(name="a", variables={"x": Variable()})))
    bring(plant, given)
    assert plant.assets.get("a").variables["x"].type == "category"


def test_a_table_gives_an_attribute_per_column_with_numbers_as_numbers(tmp_path):
    content = "machineID;model;age;zip;spare\n1;model3;18;007;true\n2;model4;7;A7;false\n3;;;A8;\n"
    plant = Plant()
    bring(
        plant,
        load(tmp_path, content, "machines.csv", asset_column="machineID", asset_prefix="machine-"),
    )
    assert plant.assets.get("machine-1").attributes == {
        "model": "model3",
        "age": 18.0,
        "zip": "007",
        "spare": True,
    }
    assert plant.assets.get("machine-3").attributes == {"zip": "A8"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("asset,age\n,5\n", "line 2, column asset: there is no asset"),
        (
            "asset,age\na,5\na,6\n",
            r"line 3 \(a\): asset 'a' occurs twice in this file \(line 2 \(a\)\)",
        ),
        ("asset,age\na,5,6\n", "line 2: 3 fields where the header names 2"),
        ("asset,age\n", "has a header but no lines"),
        ("machine,age\n1,5\n", "there is no column 'asset'; name it with --asset-column"),
    ],
)
def test_a_faulty_table_is_refused_with_its_line(tmp_path, content, message):
    plant = Plant()
    with pytest.raises(UserError, match=message):
        bring(plant, load(tmp_path, content, "machines.csv"))
    assert plant.untouched()


@pytest.mark.parametrize(
    ("content", "message"),
    [("a: [", "is not YAML or JSON"), ("just text", "which is not an asset"), ("", "empty")],
)
def test_a_file_that_holds_no_assets_is_refused(tmp_path, content, message):
    with pytest.raises(UserError, match=message):
        load(tmp_path, content)


def test_a_wrong_attribute_is_one_fault_at_its_place(tmp_path):
    with pytest.raises(UserError) as refusal:
        bring(Plant(), load(tmp_path, "oven-1: {attributes: {model: [m3], age: .nan}}"))
    assert [line.partition("oven-1: ")[2] for line in str(refusal.value).splitlines()[1:]] == [
        "attributes.model: should be text, a number, or true or false, not a list",
        "attributes.age: should be a finite number",
    ]
