"""A European file in a real browser without scripts: from an empty console to its readings."""

from datetime import UTC, datetime

import pytest

from tests.helpers.console.chromium import CHROMIUM, SIDEWAYS, open_chromium
from tests.helpers.console.server import serving_thread
from tests.helpers.console.uploads import ENGINEER_TOKEN, console, european_file
from tests.in_memory_platform import in_memory_platform

pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")]
SCREENS = ((390, 844), (800, 1280), (1280, 800))
SMALL = """[...document.querySelectorAll('main button:not(.unseen), main select, main a.more, main a.go, main summary, main input:not([type=hidden]), main textarea')]
  .map(e => e.closest('label') || e).filter(e => e.checkVisibility() && e.getBoundingClientRect().height < 44).map(e => e.outerHTML)"""  # noqa: E501

# On a phone each value has the title of its column before it, not over it.
LABELS = """[...document.querySelectorAll('.import-columns td[data-label]')]
  .map(e => getComputedStyle(e, '::before').marginLeft)"""


@pytest.mark.parametrize(("width", "height"), SCREENS)
def test_a_european_file_is_recognised_and_written_without_a_terminal(tmp_path, width, height):
    platform = in_memory_platform()
    file = tmp_path / "Linie 1.csv"
    file.write_bytes(european_file())
    app = console(platform, tmp_path / "imports")
    with serving_thread(app) as port, open_chromium(tmp_path / "profile") as page:
        page.resize(width, height)

        def look(name):
            page.picture(tmp_path / f"{name}-{width}.png")
            assert (page.evaluate(SMALL), page.evaluate(SIDEWAYS)) == ([], False), name

        if width == SCREENS[-1][0]:
            page.switch_scripts_on()  # then a script shows the progress, not the browser
        page.open(f"http://127.0.0.1:{port}/login")
        page.write("input[name=token]", ENGINEER_TOKEN)
        page.tap("form[action='/login'] button")
        look("first steps")
        page.tap("li.now a[href='/import']")
        page.write("input[name=asset]", "oven-1")
        page.choose_file("input[name=file]", file)
        look("chosen")
        page.tap("form.import-file button")
        page.wait_for(f"http://127.0.0.1:{port}/import/", "form[action$='/write'] button")
        look("recognised")
        assert set(page.evaluate(LABELS)) == {"0px"}
        text = page.text()
        assert "480 rows of oven-1, 2025-10-25 22:00:00 UTC to 2025-10-26 05:59:00 UTC" in text
        assert "local time of Europe/Berlin" in text
        assert "an hour comes twice" in text
        page.evaluate("document.querySelectorAll('input[name=name]')[0].value = 'zone_1'")
        page.tap("form#choices button")
        page.wait_for(f"http://127.0.0.1:{port}/import/", "form[action$='/write'] button")
        page.tap("form[action$='/write'] button")
        page.wait_for(f"http://127.0.0.1:{port}/import/", "main a[href^='/trends']")
        look("written")
        assert "480 rows are stored." in page.text()
        page.open(f"http://127.0.0.1:{port}/")
        look("second step")
        assert page.evaluate("document.querySelector('li.now strong').innerText") == (
            "Look at the readings"
        )
    (asset,) = platform.assets.all()
    assert asset.variables["zone_1"].unit == "°C"
    assert platform.readings.span("oven-1") == (
        datetime(2025, 10, 25, 22, tzinfo=UTC),
        datetime(2025, 10, 26, 5, 59, tzinfo=UTC),
    )
