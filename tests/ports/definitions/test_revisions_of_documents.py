"""Revisions that store a current definition are not parsed again, and read the same as if they
were."""

from alerting.definitions.revisions import definition_document
from alerting.kinds.registry import parse_definition
from alerting.stores.database.documents import to_document
from tests.builders import at, revision, threshold, too_hot, too_moist
from tests.helpers.stores import broken_in_memory
from tests.rubbish import rubbish

REVISIONS = "definition_revisions"


def as_current(definition):
    """Return a definition as it is read from its document."""
    return parse_definition(definition_document(definition))


def test_a_revision_has_the_definition_of_the_document_that_it_stores(real):
    documents = [too_hot(), too_moist(), too_moist(name="further", horizon="30m")]
    current = {document["name"]: parse_definition(document) for document in documents}
    stored = [revision(parse_definition(document), at(0)) for document in documents]
    for one in stored:
        real.definitions.add_revision(one)
    found, faulty = real.definitions.load_revisions()(current)
    assert {one.name: one for one in found} == {one.name: one for one in stored}
    assert all(one.definition is current[one.name] for one in found)
    assert not faulty


def test_a_revision_of_an_edited_document_has_its_own_definition(stores):
    first = revision(threshold(above=210), at(0))
    second = revision(threshold(above=220), at(1), before=first)
    for one in (first, second):
        stores.definitions.add_revision(one)
    parse = stores.definitions.load_revisions()
    stores.definitions.add_revision(revision(threshold(above=240), at(2), before=second))
    documents = [as_current(threshold(above=above)) for above in (210, 220, 230)]
    found = [parse({current.name: current}) for current in documents]
    assert found == [([second], [])] * 3, "those of the time of loading"


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
    differing = []
    for what, document in spoilt.items():
        document.pop("_id", None)
        stored.delete_many({})
        stored.insert_one(document, bypass_document_validation=True)
        parse = real.definitions.load_revisions()
        if parse({definition.name: definition}) != parse({}):
            differing.append(what)
    assert differing == []


def test_the_stores_in_memory_keep_this_contract():
    assert broken_in_memory(globals()) == {}
