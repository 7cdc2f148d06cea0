"""What groups of the plant's directory let a person do, and how their account is named."""

from itertools import islice

import pytest

from alerting.operators.directory import (
    GroupRule,
    MappedRights,
    map_groups,
    possible_account_names,
)
from alerting.operators.people import check_account_name

pytestmark = pytest.mark.fast

RULES = (
    GroupRule("everyone", "viewer"),
    GroupRule("line-1", "operator", ("oven-1", "line-1")),
    GroupRule("line-2", "operator", ("line-2",)),
    GroupRule("process", "engineer", ("line-1",)),
    GroupRule("experts", "engineer"),
    GroupRule("it", "admin"),
)


@pytest.mark.parametrize(
    ("groups", "rights"),
    [
        ([], None),
        (["canteen"], None),
        (["Line-1"], None),
        (["line-1 "], None),
        (["everyone"], MappedRights("viewer", None)),
        (["line-1"], MappedRights("operator", ("line-1", "oven-1"))),
        (["line-2", "line-1"], MappedRights("operator", ("line-1", "line-2", "oven-1"))),
        # a role of a part of the plant does not hold where only a lower one does
        (["everyone", "line-1"], MappedRights("operator", ("line-1", "oven-1"))),
        (["process", "line-2"], MappedRights("engineer", ("line-1",))),
        (["process", "experts"], MappedRights("engineer", None)),
        (["process", "it"], MappedRights("admin", None)),
        (["canteen", "line-2"], MappedRights("operator", ("line-2",))),
    ],
)
def test_groups_give_the_highest_role_where_it_holds(groups, rights):
    assert map_groups(groups, RULES) == rights
    assert map_groups(groups[::-1], RULES[::-1]) == rights


def test_without_rules_no_group_gives_anything():
    assert map_groups(["it"], ()) is None


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ("anna", ["anna", "anna-2", "anna-3"]),
        ("Anna.Berg@plant.example", ["anna.berg", "anna.berg-2", "anna.berg-3"]),
        ("PLANT\\anna", ["plant-anna", "plant-anna-2", "plant-anna-3"]),
        ("Jörg Müller", ["j-rg-m-ller", "j-rg-m-ller-2", "j-rg-m-ller-3"]),
        ("…", ["person", "person-2", "person-3"]),
        ("", ["person", "person-2", "person-3"]),
        ("@", ["person", "person-2", "person-3"]),
        ("platform", ["platform-2", "platform-3", "platform-4"]),
        ("admin@plant.example", ["admin-2", "admin-3", "admin-4"]),
        ("MongoDB", ["mongodb-2", "mongodb-3", "mongodb-4"]),
        ("x" * 500, ["x" * 53, f"{'x' * 53}-2", f"{'x' * 53}-3"]),
    ],
)
def test_names_of_accounts_are_legal_and_never_end(wanted, names):
    assert list(islice(possible_account_names(wanted), 3)) == names
    for name in names:
        check_account_name(name)
