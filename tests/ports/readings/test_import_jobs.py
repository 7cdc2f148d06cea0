"""Port `ImportJobs`."""

from dataclasses import replace

import pytest
from pymongo.errors import WriteError

from alerting.adapters.mongo.documents import to_document
from alerting.adapters.mongo.indexes import IMPORT_JOBS
from alerting.ports import ImportChoices, ImportJob
from tests.builders import at

JOB = ImportJob("0123456789ab", "line.csv", "ada", at(0), 10, ImportChoices(asset="oven-1"))
CHOICES = ImportChoices(
    asset_column="machine",
    zone="Europe/Berlin",
    rename=(("$where.a", "zone_1"), ("Druck [Pa]", "pressure")),
    only=("a", "b"),
    missing=("ERR",),
    duplicates="mean",
    skip_bad=True,
)


def test_an_import_is_stored_as_it_is_and_the_newest_is_first(stores):
    younger = replace(JOB, id="f" * 12, created_at=at(1))
    assert stores.import_jobs.insert(JOB)
    assert stores.import_jobs.insert(younger)
    assert not stores.import_jobs.insert(JOB)
    assert stores.import_jobs.all() == [younger, JOB]
    checked = replace(
        JOB,
        choices=CHOICES,
        state="checked",
        understood={"lines": 2, "columns": [{"title": "$where.a", "bad_cells": []}]},
        preview=({"asset": "oven-1", "ts": at(0).isoformat(), "values": {"x": 1.5, "on": True}},),
        progress=1.0,
        seen_at=at(2),
        ended_at=at(2),
        version=2,
    )
    assert stores.import_jobs.replace(checked)
    assert stores.import_jobs.get(JOB.id) == checked
    stores.import_jobs.forget(JOB.id)
    stores.import_jobs.forget(JOB.id)
    assert (stores.import_jobs.get(JOB.id), stores.import_jobs.all()) == (None, [younger])


def test_an_import_changes_only_to_the_next_version_of_the_stored_one(stores):
    checking = replace(JOB, state="checking", version=2)
    assert not stores.import_jobs.replace(checking)
    stores.import_jobs.insert(JOB)
    assert stores.import_jobs.replace(checking)
    assert not stores.import_jobs.replace(replace(JOB, state="writing", version=2))
    assert stores.import_jobs.get(JOB.id) == checking


def test_the_server_refuses_an_import_whose_id_is_no_name_of_a_folder(real):
    document = to_document(JOB)
    del document["id"]
    with pytest.raises(WriteError):
        real.database[IMPORT_JOBS].insert_one({"_id": "../../etc", **document})
