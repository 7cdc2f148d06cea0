from pathlib import Path

import pytest
from pydantic import BaseModel

from alerting.definitions.assets import Asset
from alerting.kinds.classifier.definition import ClassifierDefinition
from alerting.kinds.control_chart.definition import ControlChartDefinition
from alerting.kinds.threshold.definition import ThresholdDefinition
from tools.pages.definition_reference import reference_page

pytestmark = pytest.mark.fast

PAGE = Path(__file__).parents[2] / "docs" / "definition-reference.md"


def test_the_reference_page_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == reference_page(), "run: make docs"


@pytest.mark.parametrize(
    "model", [ThresholdDefinition, ClassifierDefinition, ControlChartDefinition, Asset]
)
def test_every_field_is_described(model):
    def undescribed(part, prefix=""):
        for name, field in part.model_fields.items():
            if not field.description:
                yield f"{prefix}{name}"
            for inner in (field.annotation, *getattr(field.annotation, "__args__", ())):
                if isinstance(inner, type) and issubclass(inner, BaseModel):
                    yield from undescribed(inner, f"{prefix}{name}.")

    assert list(undescribed(model)) == []
