"""An engineer's day in a real browser with scripts, under the console's own policy: a file becomes
readings, a condition found on its trend an alert that raises; a model's point is moved and the
model approved; a definition that a colleague has changed is compared and restored.

On a phone and a desk. `ALERTING_PICTURES` names a folder: then every screen in the light and in the
dark, with a picture of each page (`make pages`).
"""

import os
from datetime import timedelta
from pathlib import Path

import pytest

from alerting.console.app import create_app
from alerting.console.plant.import_jobs import Imports
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from tests.builders import at
from tests.helpers.console.api import TOKENS
from tests.helpers.console.chromium import CHROMIUM, NO_CHROMIUM, SIDEWAYS, wait_until
from tests.helpers.console.pages import ADMIN_TOKEN
from tests.helpers.console.server import serving_thread
from tests.helpers.learning.stored_platforms import stored_platform
from tests.helpers.learning.waiting import add_waiting
from tests.helpers.scored_lines import humid_line
from tests.humid_line import DAY, NAME

pytestmark = [
    *(pytest.mark.models, pytest.mark.browser),
    pytest.mark.skipif(CHROMIUM is None, reason=NO_CHROMIUM),
]
PICTURES = os.environ.get("ALERTING_PICTURES")
SCREENS = {"phone": (390, 844), "tablet": (800, 1280), "desk": (1280, 800), "wide": (1920, 1080)}
WALKS = (
    [(name, scheme) for name in SCREENS for scheme in ("light", "dark")]
    if PICTURES
    else [("phone", "dark"), ("desk", "light")]
)
NOW = at(9 * DAY)
SMALL = """[...document.querySelectorAll('main button:not(.unseen), main select, main a.more,'
  + 'main a.go, main summary, main input:not([type=hidden]), main textarea')]
  .map(e => e.closest('label') || e).filter(e => e.checkVisibility()
  && e.getBoundingClientRect().height < 44).map(e => e.outerHTML)"""


class Walk:
    """An engineer in a browser, who looks at every page."""

    def __init__(self, page, base, folder, screen):
        self.page = page
        self.base = base
        self._folder = folder
        self._screen = screen

    def look(self, name):
        """Check that nothing is cut off or too small to be touched; take a picture if asked."""
        if self._folder is not None:
            self.page.picture(self._folder / f"{name}-{self._screen}.png")
        assert (self.page.evaluate(SMALL), self.page.evaluate(SIDEWAYS)) == ([], False), name

    def open(self, path, there="main"):
        self.page.open(self.base + path)
        self.page.wait_for(self.base + path, there)

    def press(self, selector, address, there):
        """Click, and wait for an element of the page that follows."""
        self.page.follow(selector, self.base + address, there)

    def text(self, *expected):
        shown = self.page.text()
        assert [text for text in expected if text not in shown] == [], shown[:2000]


def european_file():
    """Eight hours until the present of an oven that gets hot for ten minutes of each hour, as
    loggers of Berlin write them."""
    lines = ["Zeitstempel;Temperatur Zone 1 [°C];Rezeptur"]
    for minute in range(480):
        local = NOW + timedelta(hours=1, minutes=minute - 480)
        value = f"{(216 if minute % 60 < 10 else 200) + minute % 7 / 2:.1f}".replace(".", ",")
        lines.append(f"{local:%d.%m.%Y %H:%M:%S};{value};A{minute // 120}")
    return ("\n".join(lines) + "\n").encode("cp1252")


def bring_a_file(walk, file):
    walk.open("/import", "input[name=file]")
    walk.page.write("input[name=asset]", "oven-9")
    walk.page.choose_file("input[name=file]", file)
    walk.press("form.import-file button", "/import/", "form[action$='/write'] button")
    walk.look("recognised")
    walk.text("480 rows of oven-9", "°C")
    walk.page.evaluate("document.querySelectorAll('input[name=name]')[0].value = 'zone_1'")
    walk.press("form#choices button", "/import/", "form[action$='/write'] button")
    walk.press("form[action$='/write'] button", "/import/", "main a[href^='/trends']")
    walk.look("written")
    walk.text("480 rows are stored.")


def find_a_condition(walk):
    walk.press("main a[href^='/trends']", "/trends", "#find input[name=above]")
    wait_until(lambda: walk.page.evaluate("document.querySelectorAll('#lanes .panel').length"))
    walk.look("trend")
    walk.page.write("#find input[name=above]", "212")
    walk.page.write("#find input[name=for]", "2m")
    walk.press("#find form[method=get] button", "/trends", "#find form[method=post] button")
    walk.look("found")
    walk.text("8 times")


def make_an_alert(walk):
    walk.press("#find form[method=post] button", "/previews/", "#text")
    draft = "document.querySelector('#text').value"
    assert "212" in walk.page.evaluate(draft)
    walk.page.evaluate(
        f"document.querySelector('#text').value = {draft}.replace(/^name: .*$/m, 'name: hot')"
    )
    walk.look("draft")
    walk.page.evaluate(
        "document.querySelector('#text').dispatchEvent(new Event('input', {bubbles: true}))"
    )
    wait_until(lambda: "It would have raised 8 alarms" in walk.page.text(), walk.page.text)
    walk.look("preview")
    walk.page.write("[name=reason]", "zone 1 runs hot")
    walk.press("button[value=apply]", "/definitions/hot", ".tabs")
    walk.look("applied")


def decide_on_a_model(walk, platform):
    add_waiting(platform, NAME, platform.models.model_files(NAME, 1), champion_version=1)
    walk.open(f"/models/{NAME}", "#curve")
    walk.look("model")
    walk.open(f"/models/{NAME}/decide", "button[value=approve]")
    walk.look("decide")
    walk.press("button[value=approve]", f"/models/{NAME}", "#curve")
    walk.text("Version 2 is in service since")
    walk.page.press("input[name=alarm_at][value='0.9']")
    walk.press("#curve form button", f"/models/{NAME}/point", "button.primary")
    walk.look("point")
    walk.text("operating_point: {alarm_at: 0.9}")


def edit_beside_another(walk, change):
    walk.open("/definitions/hot/edit", "#text")
    change()
    edited = "document.querySelector('#text').value"
    walk.page.evaluate(f"document.querySelector('#text').value = {edited}.replace('212', '214')")
    walk.press("button[value=apply]", "/definitions/hot/edit", ".unmended")
    walk.look("conflict")
    walk.text("Changed by ben")
    walk.press("button[value=apply]", "/definitions/hot", ".tabs")
    walk.open("/definitions/hot?from=1&to=3", "#difference")
    walk.look("difference")
    walk.page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    restore = "form[action$='/restore']:has([name=number][value='1'])"
    walk.page.write(f"{restore} [name=reason]", "212 was right")
    walk.page.click(f"{restore} button")


@pytest.mark.parametrize(("screen", "scheme"), WALKS, ids=map("-".join, WALKS))
def test_from_a_file_to_an_alarm_and_a_model_in_service(chromium, tmp_path, screen, scheme):
    platform = stored_platform(humid_line)
    file = tmp_path / "Linie 9.csv"
    file.write_bytes(european_file())
    folder = Path(PICTURES, scheme) if PICTURES else None
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    files = Imports(tmp_path / "imports", "Europe/Berlin")
    app = create_app(platform, TOKENS, import_files=files, airflow="http://airflow.example")
    chromium.resize(*SCREENS[screen])
    chromium.prefer(scheme)
    chromium.complaints.clear()
    with serving_thread(app) as port:
        walk = Walk(chromium, f"http://127.0.0.1:{port}", folder, screen)
        chromium.sign_in(walk.base, ADMIN_TOKEN, "/definitions")
        chromium.requests.clear()
        bring_a_file(walk, file)
        find_a_condition(walk)
        make_an_alert(walk)
        assert platform.definitions.newest_revision("hot").reason == "zone 1 runs hot"
        decide_on_a_model(walk, platform)
        (hot,) = [one for one in platform.definitions.documents() if one["name"] == "hot"]
        changed = {**hot, "above": 213}
        edit_beside_another(walk, lambda: apply(platform, [changed], "ben", NOW, "fewer"))
        wait_until(lambda: platform.definitions.newest_revision("hot").number == 4)
    expected = ("MarkedSkippable", "412 (Precondition Failed)")
    assert [c for c in chromium.complaints if not any(one in str(c) for one in expected)] == []
    assert {a.split("/")[2] for a in chromium.requests if "//" in a} == {f"127.0.0.1:{port}"}
