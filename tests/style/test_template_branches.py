"""Branches of templates that a run of tests renders."""

import pytest
from jinja2 import DictLoader, Environment

from tests.template_branches import TAKEN, UNTAKEN, mark, record_branches, untaken

pytestmark = pytest.mark.fast
TEXT = "{% if a.b %}x{% else %}{% for c in d %}{{ c if c else 0 }}{% endfor %}{% endif %}"


def test_a_rendered_branch_is_noted_and_the_page_is_as_before(monkeypatch):
    monkeypatch.setattr(Environment, "_generate", Environment._generate)
    record_branches()
    page = Environment(loader=DictLoader({"t.html": TEXT}), autoescape=True).get_template("t.html")
    assert page.render(a={"b": 0}, d=[0, 7]) == "07"
    branches = set(mark(Environment(autoescape=True).parse(TEXT), "t.html"))
    assert branches - TAKEN == {"t.html if b a"}
    TAKEN.difference_update(branches)


def test_a_branch_that_no_test_renders_is_told_unless_it_is_known():
    known = UNTAKEN.read_text(encoding="utf-8").splitlines()
    missing, _ = untaken([])
    assert missing, "branches that are rendered are not in the list"
    assert not {*missing} & {*known}
    assert known == sorted(set(known))
