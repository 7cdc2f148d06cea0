from pathlib import Path

import pytest

from alerting.cli.main import app
from tools.pages.commands import commands_page

pytestmark = pytest.mark.fast

PAGE = Path(__file__).parents[2] / "docs" / "commands.md"


def test_the_page_of_commands_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == commands_page(app), "run: make docs"


def test_every_command_has_a_summary():
    rows = [line for line in commands_page(app).splitlines() if line.startswith("- `alerting ")]
    assert len(rows) > 30
    assert [row for row in rows if row.endswith(": ")] == []
