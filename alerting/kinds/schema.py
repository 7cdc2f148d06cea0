"""Schema of a definition for machines: JSON Schema for editors and tools, and the validator that
MongoDB enforces.

Both are generated from the model, so that they agree with it. A validator checks one field at a
time. Reading the document finds faults across fields and names that do not exist.
"""

from datetime import timedelta
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema

from alerting.definitions.faults import format_duration
from alerting.definitions.model import Revision
from alerting.kinds.registry import definition_union

Schema = dict[str, Any]

_BSON_TYPES: dict[str, Schema] = {
    "string": {"bsonType": "string"},
    "number": {"bsonType": "number"},
    # shells also write whole numbers as doubles
    "integer": {
        "bsonType": "number",
        "multipleOf": 1,
    },
    "boolean": {"bsonType": "bool"},
    "array": {"bsonType": "array"},
    "object": {"bsonType": "object"},
    "null": {"bsonType": "null"},
}
_RETAINED = (
    *("description", "required", "enum", "pattern", "minLength", "maxLength"),
    *("minItems", "maxItems", "minProperties", "maxProperties", "minimum", "maximum"),
)
_CHOICES = ("anyOf", "oneOf")
_TRANSLATED = (
    *(
        "$ref",
        "type",
        "format",
        "const",
        "items",
        "properties",
        "additionalProperties",
        "patternProperties",
    ),
    *("propertyNames", "discriminator"),
    *_CHOICES,
)
_BOUNDS = {"exclusiveMinimum": "minimum", "exclusiveMaximum": "maximum"}
_WITHOUT_MEANING = ("title", "default", "examples")


def json_schema() -> Schema:
    """Return the JSON Schema (draft 2020-12) of a definition; `kind` distinguishes the kinds."""
    schema = definition_union().json_schema(by_alias=True, schema_generator=_Generator)
    return {"$schema": _Generator.schema_dialect, "title": "Alert definition", **schema}


def document_schema(model: type[BaseModel]) -> Schema:
    """Return the JSON Schema of the documents of one model."""
    return model.model_json_schema(by_alias=True, schema_generator=_Generator)


def mongo_validator() -> Schema:
    """Return the same as a MongoDB validator: `$jsonSchema` in draft 4 with `bsonType`, no
    references.

    Instants may be dates or text, whole numbers may be doubles. Raises ValueError if the model uses
    a keyword without a translation, so that no rule is lost unseen.
    """
    return mongo_union_validator(definition_union())


def mongo_union_validator(union: TypeAdapter[Any]) -> Schema:
    """Return the validator of the documents of a union, made in the same way."""
    schema = union.json_schema(by_alias=True, schema_generator=_Generator)
    return {
        "$jsonSchema": {
            "bsonType": "object",
            "oneOf": [_kind(branch, schema["$defs"]) for branch in schema["oneOf"]],
        }
    }


def mongo_revision_validator() -> Schema:
    """Return the validator of revisions, made in the same way."""
    revision = mongo_model_validator(Revision)
    revision["$jsonSchema"]["properties"]["definition"] = mongo_validator()["$jsonSchema"]
    return revision


def mongo_model_validator(model: type[BaseModel]) -> Schema:
    """Return the validator of the documents of one model, made in the same way."""
    schema = document_schema(model)
    return {
        "$jsonSchema": _kind(
            {k: v for k, v in schema.items() if k != "$defs"}, schema.get("$defs", {})
        )
    }


class _Generator(GenerateJsonSchema):
    def encode_default(self, dft: Any) -> Any:
        return format_duration(dft) if isinstance(dft, timedelta) else super().encode_default(dft)

    def tagged_union_schema(self, schema: core_schema.TaggedUnionSchema) -> Schema:
        """Return the union without pydantic's `discriminator`: OpenAPI has that word, JSON Schema
        tools complain."""
        return {
            key: value
            for key, value in super().tagged_union_schema(schema).items()
            if key != "discriminator"
        }


def _kind(branch: Schema, models: dict[str, Schema]) -> Schema:
    kind = _translate(branch, models)
    return {**kind, "properties": {"_id": {}, **kind["properties"]}}


def _translate(schema: Schema, models: dict[str, Schema]) -> Schema:
    """Return the translation of a schema and everything below it, with references replaced by their
    schemas."""
    if unknown := set(schema) - {*_RETAINED, *_TRANSLATED, *_BOUNDS, *_WITHOUT_MEANING}:
        raise ValueError(f"no MongoDB translation for the schema keywords {sorted(unknown)}")
    if "$ref" in schema:
        schema = {
            **models[schema["$ref"].removeprefix("#/$defs/")],
            **{k: v for k, v in schema.items() if k != "$ref"},
        }
        return _translate(schema, models)
    translated: Schema = {
        **_type(schema),
        **{key: schema[key] for key in _RETAINED if key in schema},
    }
    if "const" in schema:
        translated["enum"] = [schema["const"]]
    for exclusive, bound in _BOUNDS.items():
        if exclusive in schema:
            translated |= {bound: schema[exclusive], exclusive: True}
    return translated | _below(schema, models)


def _type(schema: Schema) -> Schema:
    if "type" not in schema:
        return {}
    if schema.get("format") == "date-time":
        return {"bsonType": ["string", "date"]}
    if "format" in schema:
        raise ValueError(f"no MongoDB translation for the format {schema['format']!r}")
    return _BSON_TYPES[schema["type"]]


def _below(schema: Schema, models: dict[str, Schema]) -> Schema:
    """Return the translated parts of an object, an array or a choice."""
    below: Schema = {}
    if "properties" in schema:
        below["properties"] = {
            name: _translate(field, models) for name, field in schema["properties"].items()
        }
    if "items" in schema:
        below["items"] = _translate(schema["items"], models)
    for choice in _CHOICES:
        if choice in schema:
            below[choice] = [_translate(one, models) for one in schema[choice]]
    if "patternProperties" in schema or "propertyNames" in schema:
        below["patternProperties"] = _by_pattern(schema, models)
        below["additionalProperties"] = False
    elif "additionalProperties" in schema:
        others = schema["additionalProperties"]
        below["additionalProperties"] = (
            others if isinstance(others, bool) else _translate(others, models)
        )
    return below


def _by_pattern(schema: Schema, models: dict[str, Schema]) -> Schema:
    """Return the schemas of properties by pattern and length of their names: a validator has no
    other rule for names."""
    names = schema.get("propertyNames", {})
    patterns = schema.get("patternProperties") or {
        names.get("pattern", ""): schema["additionalProperties"]
    }
    length = rf"^(?=[\s\S]{{{names.get('minLength', 0)},{names.get('maxLength', '')}}}$)"
    return {
        length + pattern.removeprefix("^"): _translate(below, models)
        for pattern, below in patterns.items()
    }
