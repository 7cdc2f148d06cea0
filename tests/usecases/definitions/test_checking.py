"""Refusals of definitions among others: found by place, name and file, and by titles of assets."""

import pytest

from alerting.definitions.asset_documents import Asset, Variable
from alerting.definitions.faults import UserError
from alerting.usecases.definitions.revisions_and_evaluation_plan import check
from tests.builders import oven, too_hot
from tests.in_memory_platform import in_memory_platform

HOT = {"name": "hot", "kind": "threshold", "variable": "t", "above": 5}


@pytest.fixture
def platform():
    made = in_memory_platform()
    t = {"t": Variable(unit="°C")}
    made.assets.store_assets(
        [
            oven(),
            Asset(name="Ofen_2", title="Ofen 2", variables=t),
            Asset(name="oven-3", title="Hall 1", variables=t),
            Asset(name="oven-4", title="Hall 1", variables=t),
        ]
    )
    return made


NAMELESS = {key: value for key, value in too_hot().items() if key != "name"}


@pytest.mark.parametrize(
    ("documents", "files", "fault"),
    [
        (
            [too_hot(), NAMELESS],
            (),
            r"definition 'without a name, document 2 of 2' has faults",
        ),
        ([NAMELESS], (), r"definition 'without a name' has faults"),
        (
            [too_hot(), too_hot(name="another"), too_hot(above=230)],
            (),
            r"'too-hot' occurs 2 times in these documents: 1 and 3 of 3",
        ),
        (
            [too_hot(), too_hot(name="another", above="x")],
            (["a.yaml", "b.yaml"],),
            r"^b\.yaml: definition 'another' has faults",
        ),
    ],
)
def test_a_faulty_document_is_found_by_its_place_its_name_and_its_file(
    platform, documents, files, fault
):
    with pytest.raises(UserError, match=fault):
        check(platform, documents, *files)


@pytest.mark.parametrize(
    ("assets", "fault"),
    [
        (
            ["oven-3", "ofen 2"],
            "assets.1: 'ofen 2' is not a legal name (that is a title; the name is Ofen_2)",
        ),
        (["Hall 1"], "(that is a title; the name is oven-3 or oven-4)"),
        (["Ofen 7"], "'Ofen 7' is not a legal name (letters, digits"),
        (["oven-3", "Ofen 2!"], "'Ofen 2!' is not a legal name (letters, digits"),
    ],
)
def test_a_title_is_refused_with_the_name_of_its_asset(platform, assets, fault):
    with pytest.raises(UserError) as refused:
        check(platform, [{**HOT, "assets": assets}])
    assert fault in str(refused.value)
