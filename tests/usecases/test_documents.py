"""The life of documents: two people who change the same one at the same instant."""

import pytest

from alerting.usecases.definitions.revisions_and_evaluation_plan import DEFINITION_DOCUMENTS
from alerting.usecases.document_life import ChangedMeanwhile
from alerting.usecases.ingestion.asset_import import ASSETS
from tests.builders import at, oven, too_hot
from tests.in_memory_platform import in_memory_platform

PRESS = {"name": "press"}


@pytest.mark.parametrize(
    ("kind", "written", "first", "second"),
    [
        (ASSETS, PRESS, {"title": "Press 1"}, {"title": "Press 2"}),
        (DEFINITION_DOCUMENTS, too_hot(), {"above": 220}, {"above": 230}),
    ],
)
def test_the_second_of_two_at_one_instant_is_refused_and_the_first_stays(
    monkeypatch, kind, written, first, second
):
    platform = in_memory_platform()
    platform.assets.store_assets([oven()])
    kind.apply(platform, [written], "ada", at(0))
    stored = platform.assets if kind is ASSETS else platform.definitions
    store_document = stored.store_document

    def store_after_bea(document):
        monkeypatch.setattr(stored, "store_document", store_document)
        kind.apply(platform, [written | first], "bea", at(1), expected=1)
        store_document(document)

    monkeypatch.setattr(stored, "store_document", store_after_bea)
    with pytest.raises(ChangedMeanwhile, match=f"{written['name']} was changed by bea") as refused:
        kind.apply(platform, [written | second], "ada", at(1), expected=1)
    (field,) = first
    assert f"it changed {field}: " in refused.value.detail
    assert kind.store(platform).find(written["name"])[field] == first[field]
    made = kind.show(platform, written["name"], at(2)).revisions
    assert [(one.number, one.actor) for one in made] == [(1, "ada"), (2, "bea")]
