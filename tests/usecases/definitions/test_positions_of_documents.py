"""Faulty documents among others are found without a name, and those that have the same one."""

import pytest

from alerting.definitions.faults import UserError
from alerting.usecases.definitions.checking import check
from tests.builders import oven, too_hot
from tests.in_memory_platform import in_memory_platform


@pytest.fixture
def platform():
    made = in_memory_platform()
    made.assets.store_assets([oven()])
    return made


def nameless():
    return {key: value for key, value in too_hot().items() if key != "name"}


def test_a_document_without_a_name_is_found_by_its_place(platform):
    with pytest.raises(UserError, match=r"definition 'without a name, document 2 of 2' has faults"):
        check(platform, [too_hot(), nameless()])
    with pytest.raises(UserError, match=r"definition 'without a name' has faults"):
        check(platform, [nameless()])


def test_documents_of_the_same_name_are_found_by_their_places(platform):
    documents = [too_hot(), too_hot(name="another"), too_hot(above=230)]
    with pytest.raises(UserError, match=r"'too-hot' occurs twice in these documents: 1 and 3 of 3"):
        check(platform, documents)


def test_a_faulty_document_is_named_with_its_file(platform):
    documents = [too_hot(), too_hot(name="another", above="x")]
    with pytest.raises(UserError, match=r"^b\.yaml: definition 'another' has faults"):
        check(platform, documents, ["a.yaml", "b.yaml"])
