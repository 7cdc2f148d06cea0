"""A champion whose files are damaged or forged is `unknown` in words for its definition before
anything reads them; all others go on. A forged description is refused in words as well."""

import json
from collections.abc import Iterator

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

META = "model.json"
SKLEARN = "model.skops"
FOREST = "forest.npy"
BOOSTERS = ("model-0.txt", "model-1.txt", "model-2.txt")
BOMB_MIB = 1500


def metas(meta) -> Iterator[tuple[str, bytes]]:
    """Yield descriptions of a model that are no JSON, or in which one field has another value."""
    yield from _no_descriptions()
    (member,) = meta["members"]
    for way, forged in (
        *_forged("", meta, FIELDS | _more_members(meta)),
        *(
            (way, meta | {"members": [one]})
            for way, one in (*_forged("", member, _of_a_member(member)), *_dense(member))
        ),
        *(
            (way, meta | {"plan": plan})
            for way, plan in _forged("plan.", meta["plan"], _of_a_plan(meta["plan"]))
        ),
    ):
        yield way, json.dumps(forged).encode()


def _forged(prefix, document, changes) -> Iterator[tuple[str, dict]]:
    """Yield a document with each of these values of each of its fields."""
    for name, values in changes.items():
        for value in values:
            yield f"{prefix}{name} = {str(value)[:30]}", document | {name: value}


def _no_descriptions() -> Iterator[tuple[str, bytes]]:
    for rubbish in (
        "[]",
        "null",
        "{}",
        '"text"',
        "1e400",
        "{" * 100_000,
        "[" * 100_000,
        "\x00",
        "9" * 100_000,
        '{"format": 4}',
    ):
        yield rubbish[:20], rubbish.encode()
    yield "no UTF-8", b"\xff\xfe{}"


FIELDS = {
    "horizon_ms": [1e30, 10**30, -1, "30m", None, float("nan")],
    "gap_ms": [1e30, 10**18],
    "threshold": [float("nan"), float("inf"), "high", None, []],
    "training_cutoff": [
        "yesterday",
        "9999-12-31T23:59:59+00:00",
        "2026-01-01T00:00:00",
        5,
        None,
    ],
    "as_of": ["0001-01-01T00:00:00+00:00", None],
    "calibration": [
        [],
        {},
        {"slope": float("inf"), "intercept": 0.0},
        {"slope": 1.0, "intercept": 0.0, "more": 1},
    ],
    "plan": [[], {}, None],
    "weights": [[], [0.5], [1.0, 1.0], [float("nan")], None],
    "family": ["blend", "lightgbm"],
    "format": [1, 3, 5, "4", None],
    "usual": [[], {"no such column": 1.0}],
    "ranges": [{"no such column": [0.0, 1.0]}, {"x": [0.0]}],
    "hash": ["", "0" * 64, None],
    "more": [1],
}


def _more_members(meta) -> dict[str, list]:
    return {"members": [[], None, meta["members"] * 2, meta["members"] * 1000]}


def _of_a_member(member) -> dict[str, list]:
    return {
        "family": ["blend", "pickle", "os", "../lightgbm", None, []],
        "files": [
            [],
            [META],
            ["../model.json"],
            ["none.txt"],
            member["files"] * 2,
            member["files"] * 1000,
            "model-0.txt",
            None,
        ],
        "pairs": [[[0, 10**9]], [[0]], [[-1, 0]], [[0, 1]] * 100_000, None],
        "boosters": [3],
    }


def _of_a_plan(plan) -> dict[str, list]:
    return {
        "windows_ms": [[], [10**30], list(range(1, 200_000)), [60_000, 60_000], [-5]],
        "lags_ms": [list(range(100_000))],
        "stride_ms": [0, -1, 10**30],
        "aggregations": [["mean"] * 100_000, ["no_such"], [["mean"]]],
        "numbers": [
            plan["numbers"] * 100_000,
            [{"name": "x"}],
            [{"name": "x", "sampling_ms": 1, "more": 1}],
        ],
        "categories": [[{"name": "x", "levels": ["a"] * 1_000_000}]],
        "delay_ms": [10**30],
    }


def _dense(member) -> Iterator[tuple[str, dict]]:
    """Yield the member without its dense encoding, or with a wrong one."""
    dense = member["dense"]
    fields = ("numbers", "medians", "flagged", "categories", "mean", "scale")
    if dense is None:
        yield "dense", member | {"dense": {field: [] for field in fields}}
        return
    forged = {
        "numbers": [10**6],
        "medians": [],
        "flagged": [-1],
        "scale": [0.0] * max(len(dense["scale"]), 1),
        "mean": [0.0],
        "categories": [[0, 10**9]],
    }
    for name, value in forged.items():
        yield f"dense.{name}", member | {"dense": dense | {name: value}}
    yield "dense", member | {"dense": None}


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
