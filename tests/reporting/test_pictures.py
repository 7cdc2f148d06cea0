"""Texts of pictures in mails: long ones leave room for the picture, and no letter is a box."""

import gc
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from alerting.reporting import pictures
from alerting.reporting.charts import LimitLine, Plot
from alerting.reporting.pictures import drawable, png


def drawn(plot, tmp_path):
    """Return the share of the picture that the curve's colour has."""
    path = tmp_path / "picture.png"
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of matplotlib: a missing letter, no room for the axes
        path.write_bytes(png([plot]))
    red, green, blue = np.moveaxis(np.asarray(Image.open(path).convert("RGB"), np.int64), -1, 0)
    return float(((blue > 150) & (red < 90) & (green < 160)).mean())


def curve(**changes):
    plot = Plot((0, 100), (0, 100), **changes)
    plot.line(range(100), 50 + 40 * np.sin(np.arange(100) / 5))
    return plot


@pytest.mark.parametrize(
    ("title", "levels"),
    [
        ("very long title " * 30, []),
        ("x" * 600, []),
        ("温度过高 3 号炉", []),
        ("short", [LimitLine(float(n), f"limit {n}", True) for n in range(200)]),
        ("short", [LimitLine(50.0, "limit of " + "many words " * 40, True)]),
    ],
)
def test_a_long_title_and_many_limits_leave_room_for_the_curve(title, levels, tmp_path):
    plain = drawn(curve(title="short"), tmp_path)
    assert drawn(curve(title=title, levels=levels), tmp_path) > 0.6 * plain > 0


def test_a_plot_shows_the_limits_nearest_to_its_middle():
    plot = Plot((0, 1), (0, 100), levels=[LimitLine(float(n), str(n), True) for n in range(200)])
    shown = [level.value for level, *_ in plot.placed_levels()]
    assert 2 < len(shown) < 20
    assert max(abs(value - 50) for value in shown) <= len(shown)


def test_what_no_font_has_is_left_out_of_a_picture():
    assert drawable("Ofen 3: 25 °C, größer ↑") == "Ofen 3: 25 °C, größer ↑"
    assert drawable("\U000e1234\U000e1234 3") == "… 3"


def test_garbage_is_collected_again_after_pictures_of_many_threads(monkeypatch):
    monkeypatch.setattr(pictures, "_draw_picture", lambda *_: Image.new("RGB", (1, 1)))
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(6) as threads:
            assert len([*threads.map(lambda _: png([]), range(600))]) == 600
    finally:
        sys.setswitchinterval(before)
        was_on = gc.isenabled()
        gc.enable()
    assert was_on
