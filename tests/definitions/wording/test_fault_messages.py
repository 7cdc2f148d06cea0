"""Every fault that pydantic can find in a document is told in words of the plant."""

import re
from collections.abc import Mapping

import pytest
from pydantic import BaseModel, ValidationError

from alerting.definitions.asset_documents import Asset, EventType
from alerting.definitions.routes_and_sinks import Route
from alerting.definitions.wording.fault_messages import fault_of
from alerting.kinds.classifier.definition import ClassifierDefinition
from alerting.kinds.registry import parse_definition
from alerting.kinds.threshold.definition import ThresholdDefinition
from tests.builders import too_hot, too_moist
from tests.helpers.refusals import faults_of

pytestmark = pytest.mark.fast

RUBBISH = (
    *(None, True, -1, 0, 10**30, 3.5, float("inf"), float("nan"), "", "x", "a b", "4,5", "x" * 200),
    *([], [1], ["x", None], {}, {"x": 1}, [[]], [{}], {"x": {"y": []}}, b"\xff", {1: 2}),
)
JARGON = re.compile(
    r"\b(tuple|dict|dictionary|str|int|float|bool|input|instance|parse|parsing|model|validation|validator|pydantic|mapping|"
    r"datetime|timedelta|iterable|NoneType|BaseModel|unable|item|items)\b",
    re.IGNORECASE,
)
QUOTED = r"'[^']*'|\"[^\"]*\""
MODELS = (ThresholdDefinition, ClassifierDefinition, Asset, EventType, Route)


def documents(model, whole):
    """Documents in which one field, also of a group within, is rubbish."""
    for name, field in model.model_fields.items():
        key = field.alias or name
        for value in RUBBISH:
            yield {**whole, key: value}
        takes = str(field.annotation)
        for inner in _models_in(field.annotation):
            for document in documents(inner, {}):
                yield {**whole, key: document}
                if "tuple[" in takes or "list[" in takes:
                    yield {**whole, key: [document]}
                if "dict[" in takes or "Mapping[" in takes:
                    yield {**whole, key: {"temperature": document}}


def _models_in(annotation):
    candidates = (annotation, *getattr(annotation, "__args__", ()))
    nested = [a for c in candidates for a in (c, *getattr(c, "__args__", ()))]
    return {a for a in nested if isinstance(a, type) and issubclass(a, BaseModel)}


def test_no_word_of_a_program_reaches_the_reader():
    whole = {ThresholdDefinition: too_hot(), ClassifierDefinition: too_moist()}
    errors = [
        error
        for model in MODELS
        for document in documents(model, whole.get(model, {"name": "a"}))
        for error in errors_of(model, document)
    ]
    assert len({error["type"] for error in errors}) > 10
    faults = [fault_of(error) for error in errors]
    assert [fault for fault in faults if not fault.message] == []
    told = {re.sub(QUOTED, "", f"{fault.message} {fault.hint}") for fault in faults}
    assert [one for one in told if JARGON.search(one)] == []


def errors_of(model, document):
    try:
        model.model_validate(document)
    except ValidationError as refusal:
        return refusal.errors(include_url=False)
    return []


def test_a_document_that_is_rubbish_is_refused_and_never_raises_anything_else():
    rubbish = [value for value in RUBBISH if isinstance(value, Mapping)]
    assert [value for value in rubbish if not faults_of(parse_definition, value)] == []
