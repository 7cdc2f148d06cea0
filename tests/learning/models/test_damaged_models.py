"""A champion whose files are damaged or forged is `unknown` in words for its definition before
anything reads them; all others go on. A forged description is refused in words as well."""

import json
from collections.abc import Iterator

import pytest

from alerting.learning.models.files import model_files, model_from_files
from alerting.learning.models.trained import ModelRefused
from tests.helpers.learning.trained import finished

META = "model.json"


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


def test_a_forged_description_is_refused_in_words():
    files = model_files(finished("logistic_regression")[0])
    for way, forged in metas(json.loads(files[META])):
        with pytest.raises(ModelRefused):
            model_from_files(files | {META: forged})
            pytest.fail(f"{way} was read")
