"""Assets from documents and tables: what they change, and what is refused."""

from alerting.definitions.asset_documents import Asset, Variable
from alerting.ports import ReadingRow
from alerting.usecases.ingestion.arrived_rows import add_readings
from tests.helpers.tables import NOW
from tests.memory_plant import Assets, Plant

YAML = """
- name: oven-1
  title: Oven
  attributes: {model: m3, age: 18}
  variables:
    temperature: {unit: °C, low: 0, high: 400, delay: 1h}
    set_point: {controllable: true, min: 150, max: 250, step: 5}
"""


def test_a_document_becomes_an_asset_and_a_dry_run_tells_the_same_changes(importer):
    told = importer.assets(YAML, dry_run=True)
    assert importer.plant.untouched()
    made = importer.assets(YAML)
    assert (made.created, made.changes) == (("oven-1",), told.changes)
    oven = importer.plant.assets.get("oven-1")
    assert oven.attributes == {"model": "m3", "age": 18}
    assert oven.variables["temperature"].model_dump(mode="json")["delay"] == "1h"
    assert oven.variables["set_point"].controllable
    assert (importer.assets(YAML).changes, len(importer.plant.audit.entries)) == ((), 1)


def test_given_fields_win_and_everything_else_stays(importer):
    stored = Asset(
        name="oven-1",
        title="Old",
        attributes={"age": 3, "hall": "B"},
        variables={"temperature": Variable(unit="K", high=300), "x": Variable()},
    )
    importer.plant = Plant(Assets(stored))
    result = importer.assets("oven-1: {attributes: {age: 4}, variables: {temperature: {unit: °C}}}")
    after = importer.plant.assets.get("oven-1")
    assert (after.title, after.attributes) == ("Old", {"age": 4, "hall": "B"})
    assert after.variables == {"temperature": Variable(unit="°C", high=300), "x": Variable()}
    changed = {(c.field, c.before, c.after) for c in result.changes}
    assert changed == {("attributes.age", 3.0, 4.0), ("variables.temperature.unit", "K", "°C")}


FORMS = [
    "name: a\ntitle: A",
    "- name: a\n  title: A",
    "a: {title: A}",
    "---\nname: a\ntitle: A\n---\n",
    '[{"name": "a", "title": "A"}]',
]


def test_one_document_a_list_and_a_map_by_name_say_the_same(importer):
    given = {content: [g.document for g in importer.given(content)] for content in FORMS}
    assert given == {content: [{"name": "a", "title": "A"}] for content in FORMS}


RELATIONS = (
    "relations: [{variable: temperatur, kind: equal, of: set_point}, "
    "{variable: recipe, kind: equal, of: set_point}]"
)
FAULTY = """
- {name: a, titel: A, variables: {t: {hig: 5}, bad name: {}}}
- {name: b, parent: nowhere}
- {name: b}
- {title: no name}
- {name: c, variables: {t: {type: text}, u: {delay: soon}}}
"""
TABLE = {"name": "machines.csv"}
REFUSED = [
    (
        f"{YAML}    recipe: {{type: category}}\n  {RELATIONS}\n",
        {},
        "oven-1.relations.0: the asset declares no variable 'temperatur' (did you mean "
        "temperature?)",
        "oven-1.relations.1: 'recipe' is a category; only numbers follow others",
    ),
    (
        FAULTY,
        {},
        "a: titel: is not a field (did you mean title?)",
        "a: variables.t.hig: is not a field (did you mean high?)",
        "'bad name' is not a legal name",
        "b: asset 'b' occurs twice in this file",
        "b: parent: there is no asset 'nowhere'",
        "entry 4: name: is missing",
        "c: variables.t.type: should be 'number', 'category' or 'boolean'",
        "c: variables.u.delay: 'soon' is not a duration",
    ),
    (
        "oven-1: {attributes: {model: [m3], age: .nan}}",
        {},
        "oven-1: attributes.model: should be text, a number, or true or false, not a list\n",
        "oven-1: attributes.age: should be a finite number",
    ),
    ("a: [", {}, "is not YAML or JSON"),
    ("just text", {}, "entry 1 is 'just text', not a document"),
    ("", {}, "empty"),
    ("asset,age\n,5\n", TABLE, "line 2, column asset: there is no asset"),
    (
        "asset,age\na,5\na,6\n",
        TABLE,
        "line 3 (a): asset 'a' occurs twice in this file (line 2 (a))",
    ),
    ("asset,age\na,5,6\n", TABLE, "line 2: 3 fields where the header names 2"),
    ("asset,age\n", TABLE, "has a header but no lines"),
    ("machine,age\n1,5\n", TABLE, "there is no column 'asset'; name it with --asset-column"),
]


def test_every_fault_of_every_asset_is_told_at_once_and_nothing_written(importer):
    assert importer.unsaid(REFUSED, importer.assets) == []


def test_a_variable_with_readings_keeps_its_type(importer):
    importer.plant = Plant(Assets(Asset(name="a", variables={"x": Variable()})))
    given = "a: {variables: {x: {type: category}}}"
    add_readings(importer.plant, [ReadingRow("a", NOW, {"x": 1.0})], NOW)
    told = importer.refusal(given, importer.assets)
    assert "a.variables.x.type: is number and cannot become category" in told
    importer.plant = Plant(Assets(Asset(name="a", variables={"x": Variable()})))
    importer.assets(given)
    assert importer.plant.assets.get("a").variables["x"].type == "category"


def test_a_table_gives_an_attribute_per_column_with_numbers_as_numbers(importer):
    content = "machineID;model;age;zip;spare\n1;model3;18;007;true\n2;model4;7;A7;false\n3;;;A8;\n"
    importer.assets(content, asset_column="machineID", asset_prefix="machine-", **TABLE)
    attributes = [importer.plant.assets.get(f"machine-{n}").attributes for n in (1, 3)]
    first = {"model": "model3", "age": 18.0, "zip": "007", "spare": True}
    assert attributes == [first, {"zip": "A8"}]
