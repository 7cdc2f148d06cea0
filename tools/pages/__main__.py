"""Write the pages and pictures that come from code."""

from pathlib import Path

from alerting.cli.main import app
from alerting.definitions.file_form import FORM_FIELDS
from tools.pages.alarm_life_cycle import life_cycle_page
from tools.pages.api_description import api_description
from tools.pages.commands import commands_page
from tools.pages.completion import completion_names
from tools.pages.definition_reference import reference_page
from tools.pages.file_options import options_page
from tools.pages.kind_pictures import kind_pictures

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

(DOCS / "definition-reference.md").write_text(reference_page(), encoding="utf-8")
(DOCS / "alarm-life-cycle.md").write_text(life_cycle_page(), encoding="utf-8")
(ROOT / "tests" / "console" / "api" / "openapi.txt").write_text(api_description(), encoding="utf-8")
(DOCS / "commands.md").write_text(commands_page(app), encoding="utf-8")
(ROOT / "alerting" / "cli" / "completion.json").write_text(completion_names(app), encoding="utf-8")
(DOCS / "file-options.md").write_text(options_page(FORM_FIELDS), encoding="utf-8")
for name, picture in kind_pictures().items():
    (DOCS / "images" / name).write_text(picture, encoding="utf-8")
