"""Documents that say the title of an asset where its name belongs."""

import pytest

from alerting.adapters.memory.platform import memory_platform
from alerting.definitions.assets import Asset, Variable
from alerting.definitions.faults import UserError
from alerting.usecases.definitions.checking import check

HOT = {"name": "hot", "kind": "threshold", "variable": "t", "above": 5}


@pytest.fixture
def platform():
    made = memory_platform()
    t = {"t": Variable(unit="°C")}
    made.assets.store_assets(
        [
            Asset(name="Ofen_2", title="Ofen 2", variables=t),
            Asset(name="oven-1", title="Hall 1", variables=t),
            Asset(name="oven-3", title="Hall 1", variables=t),
        ]
    )
    return made


def refusal(platform, *assets):
    with pytest.raises(UserError) as refused:
        check(platform, [{**HOT, "assets": [*assets]}])
    return str(refused.value)


def test_a_title_is_refused_with_the_name_of_its_asset(platform):
    said = refusal(platform, "oven-1", "ofen 2")
    assert "assets.1: 'ofen 2' is not a legal name (that is a title; the name is Ofen_2)" in said


def test_a_title_of_several_assets_is_refused_with_all_their_names(platform):
    assert "(that is a title; the name is oven-1 or oven-3)" in refusal(platform, "Hall 1")


def test_a_text_that_is_no_title_is_refused_as_no_name(platform):
    assert "'Ofen 7' is not a legal name (letters, digits" in refusal(platform, "Ofen 7")
    assert "'Ofen 2!' is not a legal name (letters, digits" in refusal(
        platform, "oven-1", "Ofen 2!"
    )
