"""Revisions that store a current definition are not parsed again, and read the same as if they
were."""

import pytest

from alerting.adapters.mongo.documents import to_document
from alerting.definitions.revisions import definition_document
from alerting.kinds.validation import parse_definition
from tests.builders import at, revision, threshold, too_hot, too_moist
from tests.rubbish import rubbish

REVISIONS = "definition_revisions"


def as_current(definition):
    """Return a definition as it is read from its document."""
    return parse_definition(definition_document(definition))


@pytest.mark.parametrize("document", [too_hot(), too_moist(), too_moist(horizon="30m")])
def test_a_revision_has_the_definition_of_the_document_that_it_stores(real, document):
    current = parse_definition(document)
    stored = revision(parse_definition(document), at(0))
    real.definitions.add_revision(stored)
    ((found,), faulty) = real.definitions.load_revisions()({current.name: current})
    assert found == stored
    assert found.definition is current
    assert not faulty


def test_a_revision_of_an_edited_document_has_its_own_definition(real):
    first = revision(threshold(above=210), at(0))
    second = revision(threshold(above=220), at(1), before=first)
    for one in (first, second):
        real.definitions.add_revision(one)
    parse = real.definitions.load_revisions()
    for above in (210, 220, 230):
        current = as_current(threshold(above=above))
        assert parse({current.name: current}) == ([second], [])


def test_revisions_are_those_of_the_time_of_loading(stores):
    first = revision(threshold(above=210), at(0))
    stores.definitions.add_revision(first)
    parse = stores.definitions.load_revisions()
    stores.definitions.add_revision(revision(threshold(above=220), at(1), before=first))
    assert parse({}) == ([first], [])


def test_a_faulty_revision_is_found_beside_its_document_as_without_it(real):
    definition = as_current(threshold())
    valid = to_document(revision(definition, at(0)))
    nested = [f"definition.{field}" for field in valid["definition"]]
    stored = real.database[REVISIONS]
    spoilt = rubbish(valid, nested) | {
        "the limit is true": {**valid, "definition": {**valid["definition"], "above": True}},
        "the definition twice": {**valid, "reason": {"definition": valid["definition"]}},
        "in another order": dict(reversed(valid.items())),
        "nothing else": {"definition": valid["definition"]},
        "of another name": {**valid, "name": "other"},
        "a field after it": {**valid, "later": 1},
        "the name of the field in a text": {**valid, "reason": "\x03definition\0"},
    }
    for what, document in spoilt.items():
        document.pop("_id", None)
        stored.delete_many({})
        stored.insert_one(document, bypass_document_validation=True)
        parse = real.definitions.load_revisions()
        assert parse({definition.name: definition}) == parse({}), what
