from pathlib import Path

import pytest

from alerting.definitions.asset_documents import Asset
from alerting.definitions.routes_and_sinks import Route
from tools.pages.definition_reference import reference_page

pytestmark = pytest.mark.fast

PAGE = Path(__file__).parents[2] / "docs" / "definition-reference.md"


def test_the_reference_page_is_up_to_date_and_describes_every_field():
    assert PAGE.read_text(encoding="utf-8") == reference_page(), "run: make docs"
    schemas = [model.model_json_schema() for model in (Asset, Route)]
    parts = [part for one in schemas for part in (one, *one["$defs"].values())]
    fields = {
        (part["title"], name): field
        for part in parts
        for name, field in part.get("properties", {}).items()
    }
    assert [one for one, node in fields.items() if not {"description", "$ref"} & node.keys()] == []
