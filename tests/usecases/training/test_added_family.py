"""A family that an installed package adds is trained, registered, read, evaluated and explained,
and nothing else is touched."""

import shutil
import sys
from pathlib import Path

import pytest

from alerting.definitions.faults import DocumentRefused
from alerting.definitions.fields import learning
from alerting.kinds.registry import parse_definition
from alerting.learning.models.families.contract import get_family
from alerting.usecases.evaluation.rounds import evaluate
from alerting.usecases.ingestion.arrived_rows import add_readings
from alerting.usecases.model_registry import load_model
from tests.builders import at, classifier
from tests.helpers.learning import mean_difference
from tests.helpers.learning.training import train_document
from tests.helpers.refusals import assert_refused
from tests.humid_line import DAY, NAME, humid_oven, learned_quickly, line
from tests.in_memory_platform import in_memory_platform

pytestmark = pytest.mark.models


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Install the file as a package beside the platform, as pip would: the file, and its entry
    points."""
    shutil.copy(Path(mean_difference.__file__), tmp_path / "weights_of_means.py")
    entry_points = tmp_path / "weights_of_means-1.0.dist-info" / "entry_points.txt"
    entry_points.parent.mkdir()
    entry_points.write_text(
        "[alerting.families]\nmean_difference = weights_of_means:FAMILY\nrenamed = "
        "weights_of_means:FAMILY\n"
    )
    (entry_points.parent / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: weights-of-means\nVersion: 1.0\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    _forget()
    yield
    _forget()
    sys.modules.pop("weights_of_means", None)


def _forget():
    learning.find_added.cache_clear()
    get_family.cache_clear()


def document(family):
    return learned_quickly() | {"learning": {"trials": 2, "folds": 2, "candidates": [family]}}


@pytest.mark.parametrize(
    ("family", "module"),
    [
        ("mean_difference", "weights_of_means"),
        ("xgboost", "alerting.learning.models.families.xgboost"),
    ],
)
def test_an_added_family_becomes_the_champion_and_evaluates(installed, family, module):
    platform = in_memory_platform()
    platform.assets.store_assets([humid_oven()])
    add_readings(platform, line(days=9), at(0))
    platform.clock.instant = at(8 * DAY)
    result = train_document(platform, document(family))
    assert (result.verdict, result.promote) == ("provisional", True)
    assert platform.models.version_tags(NAME, 1)["family"] == family
    assert type(load_model(platform, classifier(), 1).estimator.model).__module__ == module
    counts = evaluate(platform, None, at(9 * DAY))
    assert (counts.unreadable, counts.unknown) == ({}, {})
    assert {share.variable for share in platform.episodes.find(NAME)[0].contributions} & {
        "humidity",
        "moisture",
    }


def test_a_family_that_is_not_installed_or_has_another_name_is_refused(installed):
    with pytest.raises(
        DocumentRefused,
        match="'mean_diference' is not a family that can be trained here; did you mean mean_diff",
    ):
        parse_definition(document("mean_diference"))
    faults = {
        "svm": "'svm' is not a family that can be trained here; families of this platform: ",
        "renamed": "weights_of_means:FAMILY is not a ModelFamily of the name 'renamed'",
    }
    for family, fault in faults.items():
        assert_refused(fault, get_family, family)
