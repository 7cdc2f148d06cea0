"""Every fault that pydantic can find in a document is told in words of the plant."""

import re
from collections.abc import Mapping

import pytest
from pydantic import BaseModel, ValidationError

from alerting.definitions.assets import Asset, AssetRefused, EventType, parse_asset
from alerting.definitions.faults import DefinitionRefused
from alerting.definitions.routes import Route
from alerting.definitions.wording.fault_messages import fault_of
from alerting.kinds.classifier.definition import ClassifierDefinition
from alerting.kinds.threshold.definition import ThresholdDefinition
from alerting.kinds.validation import parse_definition
from tests.builders import too_hot, too_moist

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


@pytest.mark.parametrize("model", MODELS)
def test_no_word_of_a_program_reaches_the_reader(model):
    seen = set()
    whole = {ThresholdDefinition: too_hot(), ClassifierDefinition: too_moist()}.get(
        model, {"name": "a"}
    )
    for document in documents(model, whole):
        try:
            model.model_validate(document)
        except ValidationError as refusal:
            for error in refusal.errors(include_url=False):
                fault = fault_of(error)
                seen.add(error["type"])
                assert fault.message, error
                told = re.sub(r"'[^']*'|\"[^\"]*\"", "", f"{fault.message} {fault.hint}")
                assert not JARGON.search(told), (error["type"], str(fault))
    assert len(seen) > 3


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        (
            {"assets": "oven-1"},
            "assets: should be a list, not 'oven-1' (write it in brackets: [oven-1])",
        ),
        ({"tags": "hot"}, "tags: should be a list, not 'hot' (write it in brackets: [hot])"),
        ({"guidance": "call me"}, "guidance: should be a group of fields, not 'call me'"),
        ({"owner": True}, "owner: should be text, not true"),
        ({"title": 5}, 'title: should be text, not 5 (put it in quotes: "5")'),
        ({"severity": "hihg"}, "did you mean high?"),
        ({"above": "4,5"}, "write 4.5, with a point and without quotes"),
        (
            {"at_least": {"readings": 1.5, "of": 3}},
            "at_least.readings: should be a whole number, not 1.5",
        ),
        ({"at_least": {"readings": 0, "of": 3}}, "at_least.readings: should be at least 1, not 0"),
        ({"assets": []}, "assets: is empty (at least 1 is needed)"),
        (
            {"notify": {"resolved": "maybe"}},
            "notify.resolved: should be true or false, not 'maybe'",
        ),
    ],
)
def test_a_fault_is_a_sentence_with_what_to_write_instead(changes, fault):
    with pytest.raises(DefinitionRefused) as refusal:
        parse_definition(too_hot(**changes))
    assert fault in str(refusal.value)


def test_a_document_that_is_rubbish_is_refused_and_never_raises_anything_else():
    for value in RUBBISH:
        if isinstance(value, Mapping):
            with pytest.raises(DefinitionRefused):
                parse_definition(value)


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ("a\x07", "attributes.float: holds the control character U+0007; remove it"),
        ([1], "attributes.float: should be text, a number, or true or false, not a list"),
        (float("nan"), "attributes.float: should be a finite number"),
    ],
)
def test_a_wrong_attribute_is_one_fault_at_its_place(value, fault):
    with pytest.raises(AssetRefused) as refusal:
        parse_asset({"name": "oven", "attributes": {"float": value, "model": "m1"}})
    assert str(refusal.value).splitlines()[1:] == [f"  - {fault}"]
