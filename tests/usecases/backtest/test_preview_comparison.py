"""A draft beside what is in service, and the values that a preview draws."""

from dataclasses import replace

from alerting.ports import silent
from alerting.usecases.backtest.backtest import written_subject
from alerting.usecases.backtest.preview import PreviewComparison, compare_episodes, preview
from alerting.usecases.definitions.sync import apply
from tests.builders import at, too_hot
from tests.helpers.console.api import episode
from tests.helpers.console.often_hot import DAYS, often_hot

END = at(DAYS * 24 * 60)


def tried(platform, document):
    subject = written_subject(platform, document)
    return preview(platform, subject, at(0), END, silent, lambda: None)


def test_episodes_that_overlap_on_an_asset_are_in_both():
    draft = [episode(0), episode(60), episode(60, asset="oven-2")]
    served = [episode(4), episode(200), replace(episode(300), condition="open", closed_at=None)]
    assert compare_episodes(7, draft, served) == PreviewComparison(7, 2, 2, 1)
    assert compare_episodes(7, served, draft) == PreviewComparison(7, 2, 2, 1)
    assert compare_episodes(7, [], []) == PreviewComparison(7, 0, 0, 0)


def test_an_open_episode_overlaps_what_comes_later():
    still = replace(episode(0), condition="open", closed_at=None)
    assert compare_episodes(1, [still], [episode(500)]).both == 1


def test_a_draft_is_compared_with_the_revision_in_service_alone():
    platform = often_hot()
    assert tried(platform, too_hot()).compared is None
    apply(platform, [too_hot(above=240)], "ann", at(0), "first")
    assert tried(platform, too_hot()).compared == PreviewComparison(1, 12 * DAYS, 0, 0)
    assert tried(platform, too_hot(above=240)).compared is None  # it is the one in service
    apply(platform, [too_hot(above=240, state="draft")], "ann", at(1), "second")
    assert tried(platform, too_hot()).compared is None


def test_the_drawing_has_the_values_of_the_period_with_their_peaks_and_limits():
    platform = often_hot()
    drawn = tried(platform, too_hot()).drawn
    (panel,) = drawn.panels
    assert drawn.asset == "oven-1"
    assert (panel.values.min(), panel.values.max()) == (200.0, 230.0)
    assert [(level.value, level.label) for level in panel.levels] == [(215.0, "limit")]
    assert len(drawn.draft) == 12 * DAYS
    second = sorted(drawn.draft)[1]
    assert second == (at(120), at(130))


def test_suppressed_times_are_drawn():
    hours = {"windows": [{"days": ["mon"], "from": "06:00", "to": "08:00"}]}
    drawn = tried(often_hot(), too_hot(suppression=hours)).drawn
    assert (at(360), at(480)) in drawn.suppressed
