"""The JSON Schema and the MongoDB validator say what the model says."""

from functools import cache
from types import SimpleNamespace

import pytest
from jsonschema import Draft202012Validator

from alerting.kinds import registry
from alerting.kinds.registry import definition_types, mongo_validator
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
    return registry.json_schema()


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


REFUSED = [
    too_hot(abvoe=1),
    too_hot(above="hot"),
    too_moist(horizon="soon"),
    too_moist(kind="threshold"),
    {**too_hot(), "name": "a b"},
]


def test_the_json_schema_is_legal_and_refuses_what_the_model_refuses():
    meta = Draft202012Validator(Draft202012Validator.META_SCHEMA)
    assert list(meta.iter_errors(json_schema())) == []
    validator = Draft202012Validator(json_schema())
    documents = [too_hot(), too_moist(), *REFUSED]
    assert [one for one in documents if not validator.is_valid(one)] == REFUSED


def test_every_field_is_described_and_every_default_is_one_that_people_could_write():
    definitions = json_schema()["$defs"]
    assert definitions["ThresholdDefinition"]["properties"]["stale_after"]["default"] == "10m"
    fields = {
        (name, field): node
        for name, model in definitions.items()
        for field, node in model["properties"].items()
    }
    assert [one for one, node in fields.items() if not {"description", "$ref"} & node.keys()] == []
    for node in fields.values():
        if "default" in node:
            Draft202012Validator({**node, "$defs": definitions}).validate(node["default"])


def test_the_validator_has_the_fields_and_duties_of_the_model_and_is_closed_at_every_level():
    used = {keyword for node in nodes(validator()) for keyword in node}
    assert used <= KNOWN_TO_MONGODB
    for kind, model in definition_types().items():
        fields = json_schema()["$defs"][model.__name__]
        assert set(branch(kind)["properties"]) == {"_id", *fields["properties"]}
        assert branch(kind)["required"] == fields["required"]
        assert branch(kind)["properties"]["_id"] == {}
        objects = [node for node in nodes(branch(kind)) if node.get("bsonType") == "object"]
        assert len(objects) > 3
        assert all(node["additionalProperties"] is False for node in objects)


def test_bounds_instants_and_whole_numbers_are_written_as_the_server_reads_them():
    classifier = branch("classifier")["properties"]
    periods = classifier["periods"]["properties"]
    bounds = {"minimum": 0, "exclusiveMinimum": True, "maximum": 1, "exclusiveMaximum": True}
    assert bounds.items() <= periods["test"]["oneOf"][0].items()
    assert {"bsonType": ["string", "date"]} in periods["start"]["anyOf"]
    trials = classifier["learning"]["properties"]["trials"]
    assert (trials["bsonType"], trials["multipleOf"]) == ("number", 1)


def test_a_rule_that_cannot_be_translated_is_an_error(monkeypatch):
    untranslatable = {"oneOf": [{"type": "string", "contentEncoding": "base64"}], "$defs": {}}
    union = SimpleNamespace(json_schema=lambda **_: untranslatable)
    monkeypatch.setattr(registry, "definition_union", lambda: union)
    with pytest.raises(ValueError, match="contentEncoding"):
        mongo_validator()
