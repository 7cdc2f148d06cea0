"""Texts in the reader's language: numbers, times, plural forms, and stored texts that keep their
template."""

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from alerting.definitions.wording.language import (
    ENGLISH,
    Interval,
    Styled,
    Translatable,
    has_part,
    join_with_and,
    joined,
    language,
    measured,
    preferred_language,
    read_template,
    template_document,
    translatable,
)
from alerting.detection.evaluation_results_and_texts import Evaluation, risk_message
from alerting.reporting.phrases import distance
from alerting.stores.database.documents import from_document, to_document
from tests.builders import at, classifier, oven

GERMAN = language("de")
FRENCH = language("fr")
THIN = "\u00a0"


VALUES = [
    (measured(4.5, "g", "°C"), "4.5 °C", f"4,5{THIN}°C", f"4,5{THIN}°C"),
    (measured(1.6, "g", "1"), "1.6", "1,6", "1,6"),
    (Styled(0.025, "share"), "2.5 %", f"2,5{THIN}%", f"2,5{THIN}%"),
    (Styled(0.9999999965, "threshold"), "99.99999965 %", *[f"99,99999965{THIN}%"] * 2),
    (Styled(0.6, "threshold"), "60 %", f"60{THIN}%", f"60{THIN}%"),
    (Styled(0.31, "points"), "31 points", "31 Punkte", "31 points"),
    (Styled(0.015, "points"), "1.5 points", "1,5 Punkte", "1,5 point"),
    (Styled(95_400, "duration"), "1 d 2 h 30 min", "1 d 2 h 30 min", "1 j 2 h 30 min"),
    ("oven-1", "oven-1", "oven-1", "oven-1"),
]


def test_values_are_shown_as_the_language_writes_them():
    shown = [(one, *(said.show(one) for said in (ENGLISH, GERMAN, FRENCH))) for one, *_ in VALUES]
    assert shown == VALUES
    assert ENGLISH.say_count("{number} row", "{number} rows", 1_234_567) == "1234567 rows"


def test_times_are_said_in_the_language():
    now = datetime(2026, 1, 12, 14, 20, tzinfo=UTC)
    assert [one.with_clock(UTC, now).instant(now) for one in (GERMAN, FRENCH)] == [
        "heute 14:20",
        "aujourd\u2019hui 14:20",
    ]
    evening = datetime(2026, 1, 11, 23, 50, tzinfo=UTC)
    in_berlin = ENGLISH.with_clock(ZoneInfo("Europe/Berlin"), now)
    said = [one.with_clock(UTC, now).instant(evening) for one in (ENGLISH, GERMAN, FRENCH)]
    assert said == ["yesterday 23:50", "gestern 23:50", "hier 23:50"]
    assert in_berlin.instant(evening) == "today 00:50"
    assert ENGLISH.with_clock(UTC, evening).instant(now) == "tomorrow 14:20"
    friday = datetime(2026, 1, 9, 6, 5, tzinfo=UTC)
    assert [one.with_clock(UTC, now).instant(friday) for one in (ENGLISH, GERMAN)] == [
        "Fri 9 Jan 06:05",
        "Fr. 9. Jan. 06:05",
    ]
    assert distance(now - timedelta(minutes=12), now, GERMAN) == "vor 12 min"
    since = datetime(2026, 1, 12, 14, 5, tzinfo=UTC)
    text = translatable("{event} since {since}", event="Line stop", since=since)
    assert GERMAN.with_clock(UTC, now).translate(text) == "Line stop seit heute 14:05"


def test_one_prediction_reads_as_one_sentence_in_every_language():
    reason = risk_message(classifier(), oven(), (), 0.89, 0.6)
    assert reason == "Moisture will probably exceed 4.5 % within 30 min (89 %; alarm at 60 %)"
    assert GERMAN.translate(reason) == (
        f"Moisture: voraussichtlich über 4,5{THIN}% innerhalb von 30 min (89{THIN}%; Alarm ab "
        f"60{THIN}%)"
    )
    assert FRENCH.translate(reason).startswith(f"Moisture{THIN}: dépassera probablement 4,5{THIN}%")


def test_a_stored_text_keeps_its_template_and_an_older_one_stays_english():
    evaluation = Evaluation(at(0), "triggered", risk_message(classifier(), oven(), (), 0.89, 0.6))
    document = to_document(evaluation)
    assert document["reason"] == evaluation.reason
    assert GERMAN.translate(from_document(Evaluation, document).reason) == GERMAN.translate(
        evaluation.reason
    )
    del document["reason_template"]
    older = from_document(Evaluation, document)
    assert older == evaluation
    assert GERMAN.translate(older.reason) == str(evaluation.reason)


def test_a_template_that_the_platform_did_not_write_leaves_the_english_text():
    stored = to_document(Evaluation(at(0), "triggered", "It is hot"))
    templates = [
        {},
        {"template": "{a}", "values": {"a": [1.0, ".999999999f"]}},
        {"template": 1, "values": []},
    ]
    documents = [{**stored, "reason_template": template} for template in templates]
    read = [from_document(Evaluation, document).reason for document in documents]
    assert read == ["It is hot"] * 3
    text = read_template(
        {"template": "{a.__class__} {a:9999} {b} {a}", "values": {"a": "oven {b}"}}
    )
    assert text == "{a.__class__} {a:9999} {b} oven {b}"


def test_a_text_inside_another_is_said_as_its_template_says_it_also_of_a_stored_wording():
    inner = translatable("{value} too hot", value=Styled(4.5, ".1f °C"))
    stored = read_template(template_document(inner), "4.5 degrees too hot")
    assert stored == "4.5 degrees too hot"
    assert translatable("oven: {text}", text=inner) == "oven: 4.5 °C too hot"
    assert translatable("oven: {text}", text=stored) == "oven: 4.5 °C too hot"
    assert ENGLISH.translate(stored) == ENGLISH.translate(inner) == inner


def test_texts_are_joined_in_every_language():
    parts = joined(
        "; ",
        translatable("the problem occurred"),
        "",
        translatable("an operator acted without preventing it"),
    )
    assert parts == "the problem occurred; an operator acted without preventing it"
    assert (
        GERMAN.translate(parts)
        == "das Problem trat ein; ein Bediener handelte, ohne es zu verhindern"
    )
    assert FRENCH.translate(join_with_and(translatable("Yes"), translatable("No"))) == "Oui et Non"
    assert read_template(template_document(parts)).values == parts.values
    assert isinstance(parts, Translatable)


def test_a_text_has_another_as_its_part_by_value_also_when_it_was_stored():
    part = translatable("the problem has not come")
    whole = translatable("late data: {changes}", changes=joined("; ", "severity", part))
    stored = read_template(template_document(whole), str(whole))
    assert [has_part(text, part) for text in (part, str(part), whole, stored)] == [True] * 4
    assert not has_part(str(whole), part)  # its words are not read
    assert not has_part(part, whole)


def test_a_text_that_an_earlier_version_stored_in_other_words_is_the_same_by_its_values():
    part = translatable("over since {when}", when=at(0))
    earlier = {"template": part.template, "values": {"when": at(0).isoformat()}}
    stored = read_template(earlier, f"over since {at(0).isoformat()}")
    assert stored != part
    assert has_part(stored, part)
    assert has_part(joined("; ", "low", stored), part)
    assert not has_part(stored, translatable("over since {when}", when=at(1)))


def test_only_an_earlier_version_may_have_meant_an_instant_by_a_text():
    lot = "2026-01-05T06:00:00Z"
    text = translatable("{name} is {value}", name="Lot", value=lot)
    stored = template_document(joined("; ", text))
    assert ENGLISH.with_clock(UTC).translate(read_template(stored)) == f"Lot is {lot}"
    earlier = {"template": text.template, "values": {"name": "Lot", "value": lot}}
    assert ENGLISH.translate(read_template(earlier)) == "Lot is 2026-01-05 06:00 UTC"


@pytest.mark.parametrize(
    ("stamp", "zone"),
    [
        ("9999-12-31T23:59:59Z", "Europe/Berlin"),
        ("9999-12-31T23:59:59-05:00", "UTC"),
        ("0001-01-01T00:00:00Z", "America/New_York"),
    ],
)
def test_the_ends_of_the_calendar_are_said_in_every_zone(stamp, zone):
    end = datetime.fromisoformat(stamp)
    for clock in ({}, {"now": at(0)}, {"now": at(0), "dated": True}):
        reader = GERMAN.with_clock(ZoneInfo(zone), **clock)
        for value in (end, Interval(end, end)):
            said = reader.show(read_template(template_document(translatable("{v}", v=value))))
            assert str(end.day) in said


def test_a_text_without_translation_and_what_people_wrote_stay_as_they_are():
    assert GERMAN.translate("Lower zone 2") == "Lower zone 2"
    assert (
        GERMAN.translate(translatable("an old template, {name}", name="x")) == "an old template, x"
    )
    # stored before templates were
    assert GERMAN.translate("the condition is met") == "die Bedingung ist erfüllt"


def test_the_language_of_a_browser_is_the_first_that_exists():
    table = {
        "": "en",
        "de-AT,de;q=0.9,en;q=0.8": "de",
        "en-GB,en;q=0.9,de;q=0.8": "en",
        "en;q=0.2, fr;q=0.7": "fr",
        "it, de;q=0": "en",
        "de;q=wrong, fr": "fr",
    }
    assert {accept: preferred_language(accept, "en") for accept in table} == table
    assert preferred_language("it", "fr") == "fr"


def test_french_is_written_as_the_french_write_it():
    one_apostrophe_and_one_word_for_a_training = r"\w'\w|apprentissage"
    no_line_begins_with_a_mark_or_ends_with_an_opening_one = r" [:;!?»](\s|<|$)|« "
    faults = (
        one_apostrophe_and_one_word_for_a_training,
        no_line_begins_with_a_mark_or_ends_with_an_opening_one,
    )
    found = [form for text in FRENCH.texts.values() for form in forms(text)]
    written = [re.sub(r"<code>.*?</code>", "", text) for text in found]
    assert [text for text in written if re.search("|".join(faults), text)] == []


def forms(text):
    return [text] if isinstance(text, str) else [*text]
