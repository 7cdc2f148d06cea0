"""A champion whose files are damaged or forged is `unknown` in words for its definition before
anything reads them; all others go on. A forged description is refused in words as well."""

import json

import pytest

from alerting.learning.models.files import model_files, model_from_files
from alerting.learning.models.trained import ModelRefused
from alerting.learning.selection.challenger import finish_challenger
from alerting.usecases.definitions.sync import apply
from alerting.usecases.evaluation.evaluate import evaluate
from alerting.usecases.ingestion.arrivals import add_readings
from alerting.usecases.training.train import train
from tests import small_models
from tests.builders import at, too_hot
from tests.helpers.learning.trained import chosen
from tests.helpers.stores import states_of
from tests.humid_line import ASSET, DAY, NAME, humid_oven, learned_quickly, line
from tests.in_memory_platform import in_memory_platform
from tests.learning.models.hostile_files import META, metas

pytestmark = pytest.mark.models

THRESHOLD = "too-wet"


@pytest.fixture(scope="module")
def platform():
    """A definition with a champion, and a threshold."""
    platform = in_memory_platform()
    platform.assets.store_assets([humid_oven()])
    add_readings(platform, line(days=8), at(0))
    learned = {"learning": {"trials": 1, "folds": 2, "candidates": ["lightgbm"]}}
    wet = too_hot(name=THRESHOLD, assets=[ASSET], variable="moisture", above=4.5)
    apply(platform, [learned_quickly() | learned, wet], "engineer", at(0), "test")
    platform.clock.instant = at(8 * DAY)
    assert train(platform, NAME, at(4 * DAY)).promote
    return platform


def test_a_damaged_champion_is_unknown_and_everything_else_goes_on(platform):
    stored = platform.models.registered[NAME][0].files
    files = dict(stored)
    instant = 4 * DAY + 120
    for name, data in files.items():
        middle = len(data) // 2
        forged = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
        for damaged in (data[:middle], forged, b"", None):
            stored.clear()
            stored.update(files | {name: damaged})
            if damaged is None:
                del stored[name]
            instant += 10
            reason = evaluate(platform, None, at(instant)).unknown[f"{NAME} on {ASSET}"]
            assert reason.startswith(
                "the model cannot be read: version 1 in the registry is damaged: "
            )
            assert [(a.subject, a.reason) for a in platform.platform_alerts.open()] == [
                (NAME, reason)
            ]
            assert states_of(platform, THRESHOLD, [ASSET])[ASSET].watermark == at(instant)
    stored.clear()
    stored.update(files)
    evaluate(platform, None, at(instant + 10))
    assert not list(platform.platform_alerts.open())
    assert states_of(platform, NAME, [ASSET])[ASSET].watermark == at(instant + 10)


def test_a_forged_description_is_refused_in_words():
    data = small_models.dataset()
    model, _ = finish_challenger(data, chosen("logistic_regression"), small_models.definition())
    files = model_files(model)
    for way, forged in metas(json.loads(files[META])):
        with pytest.raises(ModelRefused):
            model_from_files(files | {META: forged})
            pytest.fail(f"{way} was read")
