"""The JSON Schema and the MongoDB validator say what the model says."""

from functools import cache

import pytest
from jsonschema import Draft202012Validator

from alerting.kinds import schema
from alerting.kinds.schema import mongo_validator
from tests.builders import too_hot, too_moist

pytestmark = pytest.mark.fast

# The keywords of $jsonSchema that MongoDB documents; it refuses a validator with any other.
KNOWN_TO_MONGODB = {
    *("bsonType", "enum", "description", "anyOf", "oneOf"),
    *("pattern", "minLength", "maxLength"),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    *("items", "minItems", "maxItems"),
    *("properties", "required", "additionalProperties", "patternProperties", "maxProperties"),
}


@cache
def json_schema():
    return schema.json_schema()


@cache
def validator():
    return mongo_validator()["$jsonSchema"]


def nodes(node):
    """Every schema in a schema, without taking names of fields for keywords."""
    yield node
    for below in node.get("properties", {}).values():
        yield from nodes(below)
    for below in [*node.get("anyOf", ()), *node.get("oneOf", ())]:
        yield from nodes(below)
    for key in ("items", "additionalProperties"):
        if isinstance(node.get(key), dict):
            yield from nodes(node[key])


def branch(kind):
    return next(b for b in validator()["oneOf"] if b["properties"]["kind"]["enum"] == [kind])


def test_the_json_schema_is_legal():
    assert (
        list(Draft202012Validator(Draft202012Validator.META_SCHEMA).iter_errors(json_schema()))
        == []
    )


@pytest.mark.parametrize("document", [too_hot(), too_moist()], ids=["threshold", "classifier"])
def test_the_json_schema_takes_the_shortest_definitions(document):
    assert list(Draft202012Validator(json_schema()).iter_errors(document)) == []


@pytest.mark.parametrize(
    "document",
    [
        too_hot(abvoe=1),
        too_hot(above="hot"),
        too_moist(horizon="soon"),
        too_moist(kind="threshold"),
        {**too_hot(), "name": "a b"},
    ],
)
def test_the_json_schema_refuses_what_the_model_refuses(document):
    assert not Draft202012Validator(json_schema()).is_valid(document)


def test_every_default_in_the_json_schema_is_one_that_people_could_write():
    definitions = json_schema()["$defs"]
    assert definitions["ThresholdDefinition"]["properties"]["stale_after"]["default"] == "10m"
    for model in definitions.values():
        for field in model["properties"].values():
            if "default" in field:
                Draft202012Validator({**field, "$defs": definitions}).validate(field["default"])


def test_the_json_schema_describes_every_field_of_every_model():
    for name, model in json_schema()["$defs"].items():
        undescribed = [
            field
            for field, node in model["properties"].items()
            if not ("description" in node or "$ref" in node)
        ]
        assert undescribed == [], name


def test_the_validator_uses_only_what_mongodb_knows():
    used = {keyword for node in nodes(validator()) for keyword in node}
    assert used <= KNOWN_TO_MONGODB


def test_the_validator_is_closed_at_every_level_but_for_the_id():
    objects = [
        node
        for kind in ("threshold", "classifier", "control_chart", "forecast")
        for node in nodes(branch(kind))
        if node.get("bsonType") == "object"
    ]
    assert len(objects) > 10
    assert all(node["additionalProperties"] is False for node in objects)
    assert branch("threshold")["properties"]["_id"] == {}


def test_the_validator_has_the_fields_and_duties_of_the_model():
    for kind, name in (
        ("threshold", "ThresholdDefinition"),
        ("classifier", "ClassifierDefinition"),
        ("control_chart", "ControlChartDefinition"),
    ):
        model = json_schema()["$defs"][name]
        assert set(branch(kind)["properties"]) == {"_id", *model["properties"]}
        assert branch(kind)["required"] == model["required"]


def test_bounds_are_written_as_the_server_reads_them():
    share = branch("classifier")["properties"]["periods"]["properties"]["test"]["oneOf"][0]
    assert (
        share["minimum"],
        share["exclusiveMinimum"],
        share["maximum"],
        share["exclusiveMaximum"],
    ) == (0, True, 1, True)


def test_instants_may_be_dates_and_whole_numbers_doubles():
    classifier = branch("classifier")["properties"]
    assert {"bsonType": ["string", "date"]} in classifier["periods"]["properties"]["start"]["anyOf"]
    trials = classifier["learning"]["properties"]["trials"]
    assert (trials["bsonType"], trials["multipleOf"]) == ("number", 1)


def test_a_rule_that_cannot_be_translated_is_an_error(monkeypatch):
    untranslatable = {"oneOf": [{"type": "string", "contentEncoding": "base64"}], "$defs": {}}
    monkeypatch.setattr(schema, "json_schema", lambda: untranslatable)
    with pytest.raises(ValueError, match="contentEncoding"):
        mongo_validator()
