"""A champion that is damaged, or made by an attacker, is `unknown` in words for its definition; all
others go on."""

import json

import pytest

from tests.helpers.forked import Forked
from tests.humid_line import ASSET, NAME
from tests.learning.models.attacked_models import LIBRARIES

pytestmark = [pytest.mark.models, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def attacked(tmp_path_factory):
    """Programs that a damaged model may kill, each in a process of its own."""
    folder = tmp_path_factory.mktemp("attacked")
    with Forked(folder, "tests.learning.models.attacked_models:main", *LIBRARIES) as started:
        yield started


@pytest.mark.parametrize(
    "family",
    [
        pytest.param("lightgbm", marks=pytest.mark.night),
        pytest.param("random_forest", marks=pytest.mark.night),
        "logistic_regression",
    ],
)
def test_a_damaged_champion_is_unknown_and_everything_else_goes_on(attacked, family):
    """In a process of its own, which at first ended with SIGSEGV at the first cut of a LightGBM
    text."""
    done = attacked.run("damaged", family, timeout=1700)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    last = found[-1]["way"] if found else "nothing"
    assert done.returncode == 0, (
        f"the process ended with {done.returncode} after {last!r}: {done.stderr[-2000:]}"
    )
    assert len(found) > 80
    for one in found[:-1]:
        reason = one["unknown"][f"{NAME} on {ASSET}"]
        assert reason.startswith(
            "the model cannot be read: version 1 in the registry is damaged: "
        ), one
        assert one["alerts"] == [[NAME, reason]], one
        assert one["watermarks"] == [False, True, True], one
        assert "Traceback" not in reason
        assert all(
            "damaged" not in why
            for pair, why in one["unknown"].items()
            if not pair.startswith(NAME)
        ), one
        assert one["seconds"] < 5, one
    restored = found[-1]
    assert (restored["alerts"], restored["watermarks"]) == ([], [True, True, True])
    assert restored["peak_mib"] - found[0]["peak_mib"] < 500


@pytest.mark.parametrize("family", ["lightgbm", "random_forest", "logistic_regression"])
def test_files_that_an_attacker_made_are_refused_in_words_without_the_hash_to_compare_with(
    attacked, family
):
    """The second line of defence: what MLflow's own loader of a model meets, which has no database
    to ask."""
    done = attacked.run("hostile", family, timeout=1700)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    last = found[-1]["way"] if found else "nothing"
    assert done.returncode == 0, (
        f"the process ended with {done.returncode} after {last!r}: {done.stderr[-2000:]}"
    )
    assert (found[0]["way"], found[0]["refused"]) == ("healthy", "")
    found = found[1:]
    assert {
        one["way"]: one["refused"]
        for one in found
        if not one["refused"] or one["kind"] != "ModelRefused"
    } == {}
    assert {one["way"]: one["grown_mib"] for one in found if one["grown_mib"] > 300} == {}
    assert {one["way"]: one["seconds"] for one in found if one["seconds"] > 5} == {}
