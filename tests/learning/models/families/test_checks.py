"""Every family keeps the contract, and a family that breaks it is named with its fault."""

import json
import pickle
from dataclasses import replace

import numpy as np
import pytest

from alerting.definitions.families import BUILT_IN, PERSISTENCE
from alerting.definitions.faults import UserError
from alerting.learning.models.families.checks import check_family
from alerting.learning.models.families.contract import LabelledRows, get_family
from alerting.learning.models.trained import ModelRefused
from tests.helpers.learning.mean_difference import FAMILY, FILE, MeanDifference, Weights

pytestmark = pytest.mark.models


@pytest.mark.parametrize("family", (PERSISTENCE, *BUILT_IN))
def test_a_family_of_the_platform_keeps_the_contract(family):
    check_family(get_family(family))


def test_a_family_in_one_file_of_its_own_keeps_it():
    check_family(FAMILY)


class OtherParameters(MeanDifference):
    def suggest(self, trial):
        return super().suggest(trial) | {"depth": 3}


class MissingPackage(MeanDifference):
    packages = ("no-such-package-of-anybody",)


class LearnsNothing(MeanDifference):
    def fit(self, params, columns, rows, seed, threads=0):
        return super().fit({"strength": -1.0}, columns, rows, seed, threads)


class WithoutWeights(MeanDifference):
    def fit(self, params, columns, rows, seed, threads=0):
        return super().fit(params, columns, replace(rows, weight=None), seed, threads)


class Chancy(MeanDifference):
    def fit(self, params, columns, rows, seed, threads=0):
        noise = 1 + np.random.default_rng().random() / 1000
        return super().fit({"strength": params["strength"] * noise}, columns, rows, seed, threads)


class DependsOnThreads(MeanDifference):
    def fit(self, params, columns, rows, seed, threads=0):
        return super().fit(
            {"strength": params["strength"] + threads / 1000}, columns, rows, seed, threads
        )


class WritesIntoItsRows(MeanDifference):
    def fit(self, params, columns, rows, seed, threads=0):
        np.nan_to_num(rows.matrix, copy=False)
        return super().fit(params, columns, rows, seed, threads)


class DependsOnNeighbours(MeanDifference):
    def fit(self, params, columns, rows, seed, threads=0):
        class Relative(Weights):
            def margin(self, encoded, rounds=None):
                return super().margin(encoded) + encoded.mean() / 1000

        estimator = super().fit(params, columns, rows, seed, threads)
        return replace(
            estimator, model=Relative(estimator.model.weights, estimator.model.intercept)
        )


class NotAProbability(MeanDifference):
    def fit(self, params, columns, rows, seed, threads=0):
        class Raw(Weights):
            margin_is_probability = True

        estimator = super().fit(params, columns, rows, seed, threads)
        return replace(estimator, model=Raw(estimator.model.weights, estimator.model.intercept))


class ExplainsOtherwise(MeanDifference):
    def fit(self, params, columns, rows, seed, threads=0):
        class Half(Weights):
            def contributions(self, encoded):
                shares, base = super().contributions(encoded)
                return shares / 2, base

        estimator = super().fit(params, columns, rows, seed, threads)
        return replace(estimator, model=Half(estimator.model.weights, estimator.model.intercept))


class LosesDigits(MeanDifference):
    def load(self, files, width):
        read = super().load(files, width)
        return Weights(read.weights.round(6), read.intercept)


class CrashesOnDamage(MeanDifference):
    def load(self, files, width):
        values = np.array(json.loads(files[FILE]), np.float64)
        return Weights(values[:-1], float(values[-1]))


class RunsCode(MeanDifference):
    def load(self, files, width):
        try:
            return super().load(files, width)
        except ModelRefused:
            try:
                pickle.loads(files[FILE])  # noqa: S301 - the fault
            except Exception as fault:
                raise ModelRefused("damaged") from fault
            raise


@pytest.mark.parametrize(
    ("broken", "fault"),
    [
        (OtherParameters, "differ from the defaults"),
        (MissingPackage, "no-such-package-of-anybody is not installed"),
        (LearnsNothing, "no better than chance"),
        (WithoutWeights, "weigh five times as much do not raise the probability"),
        (Chancy, "the same rows and seed give another model"),
        (DependsOnThreads, "two threads give another model than one"),
        (DependsOnNeighbours, "a row alone has another score than among others"),
        (NotAProbability, "a probability is below 0 or above 1"),
        (ExplainsOtherwise, "contributions do not add up"),
        (LosesDigits, "its own files are refused: .* do not fit their hash"),
        (CrashesOnDamage, r"weights.json, .* raises \w+ instead of ModelRefused"),
        (RunsCode, "weights.json, a pickle, has run code"),
    ],
)
def test_a_broken_family_is_named_with_its_fault(broken, fault):
    with pytest.raises(AssertionError, match=f"mean_difference: .*{fault}"):
        check_family(broken())


def test_a_family_that_writes_into_its_rows_is_stopped():
    with pytest.raises(ValueError, match="read-only"):
        check_family(WritesIntoItsRows())


@pytest.mark.parametrize(("label", "kind"), [(0, "negative"), (1, "positive")])
def test_rows_of_one_class_reach_no_family(label, kind):
    with pytest.raises(UserError, match=f"all 3 rows to learn from are {kind}"):
        LabelledRows(np.zeros((3, 1)), np.full(3, label, np.int8))
