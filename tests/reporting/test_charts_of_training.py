"""Charts that a library of drawings makes for the page of a training."""

from alerting.reporting.page.charts import importance


def test_names_with_signs_of_formulas_are_drawn_as_they_are_written():
    assert "cost $a{$" in importance({"x": 0.2}, {"x": "cost $a{$"})
