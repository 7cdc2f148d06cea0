"""usage: pics.py FOLDER [names...]: pictures of each page with charts, 390/1280, light/dark."""
import sys, tempfile, re, json
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo
from alerting.console.app import create_app
from alerting.episodes.episode import Contribution, Change, RecommendationResult
from alerting.ports import Score
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from tests.builders import at, oven, too_hot, too_moist
from tests.helpers.console.api import TOKENS
from tests.helpers.console.chromium import open_chromium
from tests.helpers.console.episode_page import hot_now, read, risky, tick
from tests.helpers.console.often_hot import often_hot
from tests.helpers.console.pages import ADMIN_TOKEN
from tests.helpers.console.server import serving_thread
from tests.helpers.console.trends import TREND
import tests.helpers.console.trends as trends
from tests.helpers.learning.waiting import add_waiting
from tests.in_memory_platform import in_memory_platform
from tests.report_material import good_material
from alerting.reporting.definition.conclusion import conclude
from alerting.reporting.definition.report_metrics import compute_metrics
from alerting.reporting.report_page import draw, render_page

import os
OUT = Path(os.environ["PICS"]); OUT.mkdir(parents=True, exist_ok=True)
WANTED = os.environ.get("WANT","").split()
BERLIN = ZoneInfo("Europe/Berlin")
SCREENS = ((1280, "light"), (1280, "dark"), (390, "light"), (390, "dark"))

def alarm():
    p = hot_now(); [e] = p.episodes.find()
    return p, [("alarm", f"/episodes/{e.id}"), ("now", "/"), ("definitions", "/definitions"), ("asset", "/assets/oven-1")]

def risk():
    p = in_memory_platform(); p.assets.store_assets([oven()])
    apply(p, [too_moist()], "engineer", at(0), "test")
    why = (Contribution("temperature", 0.31, 231.0, 220.0, "x"), Contribution("moisture", 0.18, 4.1, 3.2, "x"), Contribution("speed", -0.07, 8.0, 7.6, "x"))
    advice = RecommendationResult((Change("speed", 8.0, 7.4, None),), 0.62, 0.2, True, "Set the speed to 7.4")
    e = risky(p, contributions=why, recommendation=advice)
    read(p, {m: 3.0 + max(0, m - 540) / 50 + (m % 5) / 20 for m in range(300, 551)}, "moisture")
    p.scores.add("too-moist", "oven-1", [Score(at(m), 0.1 if m < 540 else 0.62, 0.31, 3) for m in range(420, 551, 5)])
    p.clock.instant = at(550)
    return p, [("risk", f"/episodes/{e.id}")]

def waiting():
    p = in_memory_platform(); p.assets.store_assets([oven()])
    apply(p, [too_moist()], "engineer", at(0), "test")
    p.clock.instant = at(600)
    add_waiting(p, "too-moist")
    return p, [("model", "/models/too-moist")]

def trend():
    p = trends.swinging.__wrapped__() if hasattr(trends.swinging, "__wrapped__") else trends.swinging._get_wrapped_function()()
    return p, [("trend", TREND + "&find=temperature&above=215"), ("trend-no-limit", TREND)]

def editor():
    p = often_hot(per_day=100)
    apply(p, [too_hot(above=205, title="Too hot")], "ben", p.clock.now(), "first")
    return p, [("preview", "/definitions/too-hot/edit")]

def chart_alarm():
    from tests.console.web.test_languages_of_pages import press_line, CONTROL_CHART
    p = press_line(); es = list(p.episodes.find())
    return p, [("control-chart", f"/episodes/{es[-1].id}"), ("control-chart-model", f"/models/{CONTROL_CHART['name']}")]

PLANTS = {"alarm": alarm, "risk": risk, "waiting": waiting, "trend": trend, "editor": editor, "control": chart_alarm}

def shot(page, file):
    h = page.evaluate("document.documentElement.scrollHeight")
    w = page.evaluate("innerWidth")
    page.resize(w, min(h, 9000)); page.picture(file)

def test_pictures():
    with tempfile.TemporaryDirectory() as profile, open_chromium(profile) as page:
        for name, make in PLANTS.items():
            if WANTED and name not in WANTED: continue
            p, pages = make()
            p = replace(p, zone=BERLIN)
            app = create_app(p, TOKENS, now=lambda: p.clock.now(), zone=BERLIN)
            with serving_thread(app) as port:
                base = f"http://127.0.0.1:{port}"
                page.switch_scripts_on()
                page.resize(1280, 900)
                page.sign_in(base, ADMIN_TOKEN)
                for label, path in pages:
                    for width, scheme in SCREENS:
                        page.prefer(scheme); page.resize(width, 900)
                        page.open(base + path)
                        if label == "preview":
                            page.evaluate("(t => { t.value = t.value.replace('205', '225'); })(text)")
                            page.click("button[value=preview]")
                        import time; time.sleep(2.5 if label == "preview" else 0.7)
                        shot(page, OUT / f"{label}-{width}-{scheme}.png")
                if page.complaints: print(name, page.complaints[:3]); page.complaints.clear()
        if not WANTED or "report" in WANTED:
            m = good_material(); f = compute_metrics(m)
            file = Path(profile, "r.html")
            file.write_text(render_page(f, conclude(f), draw(f, m, BERLIN), zone=BERLIN))
            for width, scheme in SCREENS:
                page.prefer(scheme); page.resize(width, 900)
                page.open(file.as_uri())
                page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
                shot(page, OUT / f"report-{width}-{scheme}.png")
        if not WANTED or "mail" in WANTED:
            from alerting.usecases.notification.episode_values import draw_episode
            p, _ = risk(); [e] = p.episodes.find()
            (OUT / "mail.png").write_bytes(draw_episode(p, e, at(550), zone=BERLIN).png)
