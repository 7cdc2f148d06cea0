"""The block of an alarm: the same live, after a catch-up and in a backtest; in mails, answers and
reports, beside what the samples show."""

from dataclasses import replace
from datetime import UTC, timedelta

from alerting.console.alarms.handover_and_report_pages import find_table
from alerting.definitions.wording.language import ENGLISH
from alerting.episodes.touched_production import LONGEST_BACK
from alerting.reporting.estimates import to_document
from alerting.usecases.backtest.backtest import backtest, named_subject
from alerting.usecases.episodes.outcomes import touched_by
from alerting.usecases.explain import why
from alerting.usecases.make_reports import make_report
from tests.builders import at
from tests.helpers.blocking_line import END, SEEN, blocking_line, live

CLEAN = "clean until the sample of 01:30"
AT_FIRST = f"block 01:30 to 02:15 (45 min), 450 pieces, lots L1 and L2; {CLEAN}"
AT_LAST = f"block 01:30 to 03:00 (1 h 30 min), 900 pieces, lots L1, L2 and L3; {CLEAN}"


def at_once(text, minute):
    return ENGLISH.with_clock(UTC, at(minute)).translate(text).replace("today ", "")


def sentence(platform, minute):
    [episode] = platform.episodes.find("too-moist")
    return at_once(touched_by(platform, episode, at(minute)).message, minute)


def test_live_catch_up_and_backtest_say_the_same():
    caught_up = live(blocking_line(), every=END)
    shown = [sentence(platform, END) for platform in (live(blocking_line()), caught_up)]
    tested = backtest(caught_up, named_subject(caught_up, "too-moist"), at(0), at(END))
    assert "block 2026-01-05 01:30 to 2026-01-05 03:00, 900 pieces" in tested.page
    [block] = caught_up.backtests.get(tested.id)["metrics"]["blocks"]
    [episode] = caught_up.episodes.find("too-moist")
    live_block = to_document(touched_by(caught_up, episode, at(END)))
    assert (shown, block | {"episode": episode.id}) == ([AT_LAST, AT_LAST], live_block)


def test_an_open_alarm_grows_and_uses_no_sample_that_is_not_known_yet():
    platform = live(blocking_line(), end=SEEN)
    assert sentence(platform, SEEN) == AT_FIRST
    live(platform, SEEN + 1)
    assert [sentence(platform, minute) for minute in (SEEN, END)] == [AT_FIRST, AT_LAST]


def test_mails_and_the_answer_to_why_name_the_block():
    platform = live(blocking_line())
    raised, ended = platform.channels["mail"].messages
    day = "Mon 5 Jan "
    found = [one.text.replace(day, "").splitlines()[-1] for one in (raised, ended)]
    first = AT_FIRST.replace("15 (45", "10 (40").replace("450", "400")
    assert found == [f"Production: {text}." for text in (first, AT_LAST)]
    assert at_once(ended.payload["block"], END) == AT_LAST
    *_, block = why(platform, "too-moist", "oven-1", at(SEEN)).facts
    assert block.replace("2026-01-05 ", "").replace(" UTC", "") == AT_FIRST.replace(" (45 min)", "")


def test_without_the_field_and_of_a_withdrawn_alarm_nothing_is_blocked():
    for blocks in (False, True):
        platform = live(blocking_line(blocks_production=blocks))
        [episode] = platform.episodes.find("too-moist")
        assert touched_by(platform, replace(episode, withdrawn=blocks), at(END)) is None


def test_the_page_of_an_old_alarm_reads_no_more_than_a_month_after_it(monkeypatch):
    platform = live(blocking_line())
    [episode] = platform.episodes.find("too-moist")
    ends = []
    load = platform.readings.load
    monkeypatch.setattr(
        platform.readings, "load", lambda request: ends.append(request.end) or load(request)
    )
    years = touched_by(platform, episode, at(END) + timedelta(days=700))
    assert years == touched_by(platform, episode, at(END))
    assert max(ends) <= episode.closed_at + LONGEST_BACK


def test_a_report_sums_what_was_blocked_and_what_was_bad():
    platform = live(blocking_line())
    made = make_report(platform, "too-moist", at(0), at(END), at(END))
    [block] = platform.reports.content(made.id).metrics["blocks"]
    figures = [block[name] for name in ("length_s", "bad_s", "units", "bad_units")]
    assert figures == [90 * 60, 60 * 60, 900, 600]
    for text in ("1 h 30 min. Rightly, by its samples: 1 h (67 %)", "600 rightly, 300 good"):
        assert text in made.page
    figures, _, below = made.page.partition("</dl>")
    assert ("Blocked production" in figures, "Blocked production" in below) == (False, True)
    rows = find_table(platform, made.id, "blocks").to_records()
    assert [(row["lot"], row["units"]) for row in rows] == [("L1", 100), ("L2", 400), ("L3", 400)]
