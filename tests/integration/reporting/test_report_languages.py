"""The first sentences of reports, and their mails, in the language of the plant."""

from dataclasses import replace

import pytest

from alerting.definitions.wording.language import language
from alerting.reporting.definition.sentences import head_sentences
from alerting.reporting.life.differences import Difference
from alerting.reporting.metrics import compute_metrics
from alerting.reporting.plant.sentences import plant_sentences
from alerting.usecases.definitions.sync import apply
from alerting.usecases.reports.announce import announce_reports
from tests.builders import at, oven, too_hot
from tests.helpers.plant_reports import plant, summary
from tests.helpers.reports import store_report
from tests.pretended import Mailbox, pretended_platform
from tests.report_material import good_material


def test_the_sentences_of_a_definition():
    metrics = compute_metrics(good_material())
    german, french = (head_sentences(metrics, language=language(code)) for code in ("de", "fr"))
    assert german[:2] == (
        "7 von 9 Problemen wurden angekündigt, im Median 1 h 59 min vorher.",
        "2 Fehlalarme. 1 von 11 Alarmen hat noch kein Ergebnis.",
    )
    assert french[0] == "7 problèmes sur 9 ont été annoncés, 1 h 59 min à l\u2019avance (médiane)."
    assert french[1] == "2 fausses alarmes. 1 alarme sur 11 n\u2019a pas encore d\u2019issue."


def test_the_sentences_of_the_plant():
    found = plant(summary("belt", hits=0, avoided=0, false_alarms=9, undetermined=1, announced=0, problems=0))
    assert plant_sentences(found, language("de"))[:2] == (
        "Es trat kein Problem auf; 1 Definition löste 10 Alarme aus: 0 richtig, 9 falsch, 1 noch ohne Ergebnis.",
        "Vorgeschlagen: außer Dienst nehmen: belt.",
    )
    assert plant_sentences(found, language("fr"))[0].startswith(
        "Aucun problème n\u2019est survenu ; 1 définition a déclenché 10 alarmes : "
    )


@pytest.mark.parametrize(
    ("code", "subject", "line"),
    [
        ("en", "Report 2026-W02: too-hot, revision 2", "- false alarms: 0 → 1 (1 answer late)"),
        ("de", "Bericht 2026-W02: too-hot, Revision 2", "- Fehlalarme: 0 → 1 (1 answer late)"),
        ("fr", "Rapport 2026-W02 : too-hot, révision 2", "- fausses alarmes : 0 → 1 (1 answer late)"),
    ],
)
def test_a_mail_is_in_the_language_of_the_plant(code, subject, line):
    platform = replace(pretended_platform(Mailbox("mail")), language=code)
    platform.assets.put([oven()])
    apply(platform, [too_hot(schedule={"report_recipients": ["mail"]})], "engineer", at(0), "test")
    difference = Difference("false alarms", "0", "1", "1 answer late")
    store_report(platform, revision=2, differences=(difference,), announced=False)
    assert announce_reports(platform, at(9000)) == 1
    (notification,) = platform.notifications.due(at(9000), 9)
    assert notification.content.subject == subject
    assert line in notification.content.text.splitlines()
