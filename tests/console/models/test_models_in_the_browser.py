"""An engineer without scripts in a real browser: looks at a model that waits, rejects it, approves
the next one, rolls it back, and moves the operating point."""

import pytest

from alerting.console.app import create_app
from alerting.usecases.training.due import find_due_trainings
from alerting.usecases.training.runs import answer_run
from tests.helpers.console.api import TOKENS
from tests.helpers.console.chromium import CHROMIUM, SIDEWAYS, open_chromium
from tests.helpers.console.pages import ADMIN_TOKEN
from tests.helpers.console.server import serving_thread
from tests.helpers.learning.stored_platforms import stored_platform
from tests.helpers.learning.waiting import add_waiting
from tests.helpers.scored_lines import humid_line
from tests.humid_line import NAME

pytestmark = [
    *(pytest.mark.models, pytest.mark.browser),
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium"),
]
SMALL = """[...document.querySelectorAll('main button:not(.unseen), main select, main a.more, main a.go, main summary, main input:not([type=hidden])')]
  .map(e => e.closest('label') || e).filter(e => e.checkVisibility() && e.getBoundingClientRect().height < 44).map(e => e.outerHTML)"""  # noqa: E501


@pytest.fixture
def platform():
    return stored_platform(humid_line)


def wait_for(platform, version):
    """Let a copy of the model in service wait for a decision."""
    files = platform.models.model_files(NAME, 1)
    return add_waiting(platform, NAME, files, champion_version=version)


class Console:
    """A browser without scripts, signed in as an engineer, beside the platform that it shows."""

    def __init__(self, page, base, folder):
        self.page = page
        self.base = base
        self._folder = folder

    def look(self, name):
        """Check the page at three widths, and store its pictures."""
        for width in (390, 800, 1280):
            self.page.resize(width, 800)
            self.page.picture(self._folder / f"{name}-{width}.png")
            seen = (self.page.evaluate(SMALL), self.page.evaluate(SIDEWAYS))
            assert seen == ([], False), (name, width)

    def open(self, path):
        self.page.open(f"{self.base}{path}")

    def shows(self, *texts):
        shown = self.page.text()
        assert [text for text in texts if text not in shown] == []


@pytest.fixture
def console(tmp_path, platform):
    app = create_app(platform, TOKENS, airflow="http://airflow.example")
    with serving_thread(app) as port, open_chromium(tmp_path / "profile") as page:
        made = Console(page, f"http://127.0.0.1:{port}", tmp_path)
        page.resize(1280, 800)
        made.open("/login?next=/models")
        page.write("input[name=token]", ADMIN_TOKEN)
        page.tap("details[open] button.primary")
        yield made


def test_an_engineer_rejects_approves_and_rolls_back(console, platform):
    page = console.page
    wait_for(platform, 1)
    console.open("/models")
    console.look("list")
    console.shows("1 model waits for a decision.")
    page.tap("a.card.model")
    console.look("model")
    console.shows("waits for a decision", "8 of 10", "too long in alarm", "Airflow")
    page.tap("a.go.primary")
    console.look("decide")
    page.tap("button[value=reject]")
    console.shows("a rejection needs a reason")
    page.write("input[name=reason]", "not before the audit")
    page.tap("button[value=reject]")
    console.shows("ada rejected it: not before the audit")

    wait_for(platform, 1)
    console.open(f"/models/{NAME}/decide")
    page.tap("button[value=approve]")
    console.look("approved")
    console.shows("Version 3 is in service since")

    page.tap("a.go[href$=rollback]")
    console.look("rollback")
    page.write("input[name=reason]", "too many alarms")
    page.tap("button.primary")
    console.shows("Version 1 is in service since", "Rolled back")
    rolled = [e for e in platform.audit.entries if e["what"] == "rolled back"]
    assert [(e["actor"], e["before"], e["after"]) for e in rolled] == [("ada", 3, 1)]

    run = wait_for(platform, 1)
    console.open(f"/models/{NAME}/decide")
    answer_run(platform, run, "bea")
    page.tap("button[value=approve]")
    console.shows("bea put version 4 into service", "Nothing waits for a decision any more.")


def test_an_engineer_moves_the_operating_point_and_trains(console, platform):
    page = console.page
    wait_for(platform, 1)
    console.open(f"/models/{NAME}#curve")
    page.press("input[name=at_most][value='6.0']")
    page.tap("#curve button")
    console.look("point")
    console.shows("8 of 10", "9 of 10", "operating_point: {false_alarms_per_week: 6}")
    page.tap("button.primary")
    newest = platform.definitions.newest_revision(NAME)
    assert newest.definition.operating_point.false_alarms_per_week == 6
    assert newest.author == "ada"
    assert find_due_trainings(platform, platform.clock.now()) != []
    answer_run(platform, NAME, "ada", "the point has moved")
    console.open(f"/models/{NAME}")
    console.look("requested")
    console.shows("ada asked for a training")
    page.tap("a.go[href$=cancel]")
    console.look("cancel")
    page.write("input[name=reason]", "later")
    page.tap("button.primary")
    assert "asked for a training" not in page.text()
    assert find_due_trainings(platform, platform.clock.now()) == []
