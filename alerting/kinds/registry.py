"""The kinds of alert; parsers of definitions of any kind and of revisions, which report every fault
at once, each with its path and a hint in plain words; and schemas for machines: JSON Schema for
editors and tools, and the validators that MongoDB enforces.

Each kind is one package with two modules, `definition` and `kind`; nothing else names a kind.
Schema and validators are generated from the model, so that they agree with it. A validator checks
one field at a time. Only parsing the document finds faults across fields and unknown names.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pkgutil import iter_modules
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any, Union, cast, get_args

from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema

from alerting import kinds
from alerting.definitions.alert_definition import (
    STORED,
    Definition,
    ModelDefinition,
    Revision,
    TrainedDefinition,
)
from alerting.definitions.faults import (
    DocumentRefused,
    Fault,
    MissingField,
    UserError,
    close_names,
    drop_paths,
    format_duration,
    name_hint,
    shown,
)
from alerting.definitions.fields.definition_checks import cross_faults
from alerting.definitions.fields.learning import DATES, LENGTH, SHARE
from alerting.definitions.wording.fault_messages import message_of, model_faults, name_fault
from alerting.definitions.wording.language import join_with_or

if TYPE_CHECKING:
    from alerting.kinds.protocol import ChartingKind, Kind, MovingKind, TrainedKind, VerifyingKind
    from alerting.kinds.training_protocol import Estimation, KindTraining

_folders = [
    f"{kinds.__name__}.{module.name}" for module in iter_modules(kinds.__path__) if module.ispkg
]
_packages = [folder for folder in _folders if find_spec(f"{folder}.definition") is not None]


@contextmanager
def registered(package: str) -> Iterator[None]:
    """Add the kind of a package outside of `alerting.kinds`, for as long as the context lasts."""
    _packages.append(package)
    _clear()
    try:
        yield
    finally:
        _packages.remove(package)
        _clear()


@cache
def definition_types() -> dict[str, type[Definition]]:
    """Return the class of the definitions of each kind, by kind. Loads no library of frames or
    models."""
    types: list[type[Definition]] = [
        import_module(f"{package}.definition").DEFINITION for package in _packages
    ]
    return {get_args(type_.model_fields["kind"].annotation)[0]: type_ for type_ in types}


def trained_kinds() -> list[str]:
    """Return the names of the kinds with a trained model."""
    return [
        name for name, type_ in definition_types().items() if issubclass(type_, ModelDefinition)
    ]


def sometimes_trained_kinds() -> dict[str, tuple[str, ...]]:
    """Return the kinds of which only some definitions have a model, each with the dotted paths of
    which such a definition has one."""
    return {
        name: type_.model_fields_at
        for name, type_ in definition_types().items()
        if type_.model_fields_at
    }


def kind_of(definition: Definition) -> "Kind[Any]":
    """Return the kind of a definition."""
    return _kinds()[definition.kind]


def trained_kind_of(definition: Definition) -> "TrainedKind[Any]":
    """Return the kind of a definition with a model."""
    return cast("TrainedKind[Any]", kind_of(definition))


def verifying_kind_of(definition: Definition) -> "VerifyingKind[Any] | None":
    """Return the kind of a definition if later values confirm or refute the statements of its
    model; else None."""
    from alerting.kinds.protocol import VerifyingKind  # noqa: PLC0415 - loads the methods of kinds

    kind = kind_of(definition)
    return kind if isinstance(kind, VerifyingKind) else None


def has_score_each_stride(definition: Definition) -> bool:
    """Return whether the state of a definition is known exactly where a stride has a score."""
    from alerting.kinds.protocol import StrideScoringKind  # noqa: PLC0415 - loads the methods of kinds

    kind = kind_of(definition)
    return isinstance(kind, StrideScoringKind) and kind.has_score_each_stride(definition)


def moving_kind_of(definition: Definition) -> "MovingKind[Any] | None":
    """Return the kind of a definition if its limits change by themselves; else None."""
    from alerting.kinds.protocol import MovingKind  # noqa: PLC0415 - loads the methods of kinds

    kind = kind_of(definition)
    return kind if isinstance(kind, MovingKind) else None


def charting_kind_of(definition: Definition) -> "ChartingKind[Any] | None":
    """Return the kind of a definition if it charts each reading against limits; else None."""
    from alerting.kinds.protocol import ChartingKind  # noqa: PLC0415 - loads the methods of kinds

    kind = kind_of(definition)
    return kind if isinstance(kind, ChartingKind) else None


def trained_kind_named(name: str) -> "TrainedKind[Any]":
    """Return a kind with a model by its name. Raises UserError for any other name."""
    names = [*trained_kinds(), *sometimes_trained_kinds()]
    if name not in names:
        raise UserError(f"there is no kind {shown(name)} with a model; kinds: {', '.join(names)}")
    return cast("TrainedKind[Any]", _kinds()[name])


def training_of(definition: TrainedDefinition) -> "KindTraining[Any]":
    """Return the training of a kind that learns from problems. Loads its libraries."""
    return cast("KindTraining[Any]", _module(definition.kind, "training").TRAINING)


def estimation_of(definition: ModelDefinition) -> "Estimation[Any]":
    """Return the training of a kind that learns from readings alone. Loads its libraries."""
    return cast("Estimation[Any]", _module(definition.kind, "training").TRAINING)


@cache
def _kinds() -> dict[str, "Kind[Any]"]:
    return {name: _module(name, "kind").KIND for name in definition_types()}


def load_kinds() -> None:
    """Load the methods of all kinds, and the union of their definitions."""
    _kinds()
    definition_union()


def _module(kind: str, name: str) -> ModuleType:
    return import_module(f"{definition_types()[kind].__module__.rpartition('.')[0]}.{name}")


@cache
def definition_union() -> TypeAdapter[Definition]:
    """Return the adapter of the closed union of all definitions, which `kind` discriminates."""
    types = tuple(definition_types().values())
    union: Any = Annotated[Union[types], Field(discriminator="kind")]  # noqa: UP007 - of as many as there are
    return TypeAdapter(union)


def _clear() -> None:
    definition_types.cache_clear()
    _kinds.cache_clear()
    definition_union.cache_clear()


_GROUPS = ("FromAttribute", "ClearDifference")
# Values in place of required fields that are faulty, to check the others.
_STAND_INS: dict[str, Any] = {
    "name": "unnamed",
    "assets": ["unnamed"],
    "horizon": "1h",
}
_WAYS = (SHARE, LENGTH, DATES)  # to give a period
# The ways to write a limit, as pydantic names them.
_CHOICES = (
    "float",
    "bool",
    "str",
    *_GROUPS,
    "LearnedLimit",
)


def parse_definition(document: Mapping[str, Any]) -> Definition:
    """Return the definition of a document.

    Raises DocumentRefused with every fault that can be seen without knowledge of the assets.
    """
    definition, faults = _read(document)
    if faults or definition is None:
        raise DocumentRefused(document.get("name", "without a name"), faults, "definition")
    return definition


def parse_revision(document: Mapping[str, Any]) -> Revision:
    """Return the revision of a document. Raises DocumentRefused with every fault, also those of its
    definition."""
    name = f"{document.get('name')} r{document.get('number')}"
    errors: list[Any] = []
    definition: Any = document.get("definition")
    try:
        definition = definition_union().validate_python(definition, context={STORED: True})
    except ValidationError as error:
        errors += [{**fault, "loc": ("definition", *fault["loc"])} for fault in error.errors()]
    try:
        revision = Revision.model_validate({**document, "definition": definition})
    except ValidationError as error:
        errors += [fault for fault in error.errors() if fault["loc"][0] != "definition"]
    if errors:
        raise DocumentRefused(name, model_faults(errors, Revision.model_fields), "revision")
    faults = list(cross_faults(revision.definition))
    if revision.definition.name != revision.name:
        faults.append(
            Fault(
                "definition.name",
                f"{shown(revision.definition.name)} is not {shown(revision.name)}",
            )
        )
    if faults:
        raise DocumentRefused(name, faults, "revision")
    return revision


def _read(document: Mapping[str, Any]) -> tuple[Definition | None, list[Fault]]:
    try:
        definition = definition_union().validate_python(dict(document))
    except ValidationError as error:
        errors = [e for e in error.errors() if not _left_out_faulty(e)]
        meant = [e for e in errors if not _other_choice(e)] or errors[:1]
        faults = [_fault(e, document) for e in meant]
        kind = _meant_kind(document)
        if [f.path for f in faults] == ["kind"] and kind is not None:
            # under the kind that it resembles
            return None, faults + _read({**document, "kind": kind})[1]
        return None, faults + _faults_of_the_rest(document, [f.path for f in faults])
    return definition, list(cross_faults(definition))


def readable_part(document: Mapping[str, Any], faults: Sequence[Fault]) -> Definition | None:
    """Return a refused definition without its faulty fields, so that the others can be checked;
    None if they do not suffice."""
    kind = _meant_kind(document)
    if kind is None:
        return None
    paths = [fault.path for fault in faults if fault.path != "kind"]
    try:
        return definition_union().validate_python(_rest({**document, "kind": kind}, paths))
    except ValidationError:
        return None


def _rest(document: Mapping[str, Any], paths: Sequence[str]) -> dict[str, Any]:
    """Return a document without its faulty fields; required fields get stand-ins."""
    kind = document.get("kind")
    fields = (
        definition_types()[kind].model_fields
        if isinstance(kind, str) and kind in definition_types()
        else ()
    )
    return {
        name: value for name, value in _STAND_INS.items() if name in paths and name in fields
    } | drop_paths(document, paths)


def _faults_of_the_rest(document: Mapping[str, Any], paths: Sequence[str]) -> list[Fault]:
    """Return the faults across fields that show once the faulty fields are removed."""
    remaining = _rest(document, paths)
    try:
        faults = [
            f
            for f in cross_faults(definition_union().validate_python(remaining))
            if f.path not in paths
        ]
    except ValidationError:
        return []
    # else it may be what was removed
    return [
        fault
        for fault in faults
        if not isinstance(fault, MissingField) or set(remaining) == set(document)
    ]


def _left_out_faulty(error: Any) -> bool:
    """Return whether a list is too short only because its faulty items, which are reported
    separately, do not count."""
    is_short = error["type"] == "too_short"
    return is_short and bool(len(error["input"]) >= error["ctx"]["min_length"])


def _other_choice(error: Any) -> bool:
    """Return whether a fault belongs to a form of a limit that the author did not use.

    Input that is a mapping is a group; any other input is a number.
    """
    choices = [p for p in map(_choice, error["loc"]) if p in _CHOICES]
    return (
        bool(choices)
        and isinstance(error["input"], Mapping) != (choices[-1] in _GROUPS)
        and _choice(error["loc"][-1]) in _CHOICES
    )


def _choice(part: Any) -> Any:
    """Return a part of a path, with `str` in place of pydantic's name of a bounded text."""
    return "str" if str(part).startswith("function-after") else part


def _fault(error: Any, document: Mapping[str, Any]) -> Fault:
    path = [
        str(p)
        for p in map(_choice, error["loc"])
        if p not in (*definition_types(), *_CHOICES, *_WAYS)
    ]
    dotted = ".".join(path) or "document"
    match error["type"]:
        case "extra_forbidden":
            return Fault(
                dotted,
                "is not a field",
                definition_types()[document["kind"]].written_instead.get(dotted)
                or name_hint(path[-1], _fields(document, path[:-1]), "fields here"),
            )
        case "missing":
            return MissingField(dotted)
        case "union_tag_not_found" | "union_tag_invalid" if not path:
            return _kind_fault(document)
        case "union_tag_invalid":
            return Fault(
                dotted,
                f"{shown(error['input'])} is not possible here",
                "write a length such as 90d, or {from: …, to: …}",
            )
        case "string_pattern_mismatch":
            return name_fault(dotted, error["input"])
    return Fault(dotted, *message_of(error))


def _kind_fault(document: Mapping[str, Any]) -> Fault:
    kinds = definition_types()
    if "kind" not in document:
        return MissingField(
            "kind", hint=f"write {join_with_or(*(f'kind: {kind}' for kind in kinds))}"
        )
    meant = _meant_kind(document)
    hint = f"did you mean {meant}?" if meant else f"write {join_with_or(*kinds)}"
    return Fault("kind", f"{shown(document['kind'])} is not a kind", hint)


def _meant_kind(document: Mapping[str, Any]) -> str | None:
    """Return the kind of a document, or the one that its kind resembles; None for any other."""
    return next(iter(close_names(str(document.get("kind")), definition_types(), most=1)), None)


def _fields(document: Mapping[str, Any], path: Sequence[str]) -> list[str]:
    model: Any = definition_types()[document["kind"]]
    for key in (k for k in path if not k.isdigit()):  # an index in a list
        field = next((f for n, f in model.model_fields.items() if (f.alias or n) == key), None)
        inner = field.annotation if field else None
        choices = (*getattr(inner, "__args__", ()), inner)
        choices += tuple(
            choice.__args__[0] for choice in choices if getattr(choice, "__origin__", None) is tuple
        )
        arguments = [
            b for a in choices if hasattr(b := getattr(a, "__origin__", a), "model_fields")
        ]
        if not arguments:
            return []
        model = arguments[0]
    return [f.alias or n for n, f in model.model_fields.items()]


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
_ALTERNATIVE_KEYWORDS = ("anyOf", "oneOf")
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
    *_ALTERNATIVE_KEYWORDS,
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
    """Return the schema of a definition as a MongoDB validator: `$jsonSchema` in draft 4 with
    `bsonType`, without references.

    Instants may be dates or text, whole numbers may be doubles. Raises ValueError if the model uses
    a keyword without a translation, so that no rule is lost silently.
    """
    return mongo_union_validator(definition_union())


def mongo_union_validator(union: TypeAdapter[Any]) -> Schema:
    """Return the MongoDB validator of the documents of a union, as `mongo_validator` makes it."""
    schema = union.json_schema(by_alias=True, schema_generator=_Generator)
    return {
        "$jsonSchema": {
            "bsonType": "object",
            "oneOf": [_kind(branch, schema["$defs"]) for branch in schema["oneOf"]],
        }
    }


def mongo_revision_validator() -> Schema:
    """Return the MongoDB validator of revisions, as `mongo_validator` makes it."""
    revision = mongo_model_validator(Revision)
    revision["$jsonSchema"]["properties"]["definition"] = mongo_validator()["$jsonSchema"]
    return revision


def mongo_model_validator(model: type[BaseModel]) -> Schema:
    """Return the MongoDB validator of the documents of one model, as `mongo_validator` makes it."""
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
    for choice in _ALTERNATIVE_KEYWORDS:
        if choice in schema:
            below[choice] = [_translate(alternative, models) for alternative in schema[choice]]
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
    """Return the schemas of properties by a pattern for the form and length of their names, because
    a validator has no other rule for names."""
    names = schema.get("propertyNames", {})
    patterns = schema.get("patternProperties") or {
        names.get("pattern", ""): schema["additionalProperties"]
    }
    length = rf"^(?=[\s\S]{{{names.get('minLength', 0)},{names.get('maxLength', '')}}}$)"
    return {
        length + pattern.removeprefix("^"): _translate(below, models)
        for pattern, below in patterns.items()
    }
