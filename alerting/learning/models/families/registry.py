"""All model families by name."""

from collections.abc import Mapping

from alerting.definitions.model import Family
from alerting.learning.models.families.contract import ModelFamily, Params
from alerting.learning.models.families.lightgbm import LightGbm
from alerting.learning.models.families.logistic_regression import Logistic
from alerting.learning.models.families.random_forest import RandomForest

_FAMILIES: Mapping[Family, ModelFamily] = {family.name: family for family in (LightGbm(), RandomForest(), Logistic())}


def get_family(name: Family) -> ModelFamily:
    """Return the family of this name."""
    return _FAMILIES[name]


def default_params(name: Family) -> Params:
    """Return the proven default of a family: the first trial of every search."""
    return dict(_FAMILIES[name].defaults)


def proven_params(name: Family) -> list[Params]:
    """Return the default, and then sets that differ much from it and from each other: each is best for another kind of data."""
    return [default_params(name) | change for change in ({}, *_FAMILIES[name].alternatives)]


def searched_params(name: Family, params: Mapping[str, object]) -> Params:
    """Return the parameters that trials vary."""
    family = _FAMILIES[name]
    return {key: value for key, value in params.items() if key in family.defaults and key not in family.fixed}
