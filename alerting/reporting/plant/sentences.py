"""The sentences at the head of the plant's report."""

from collections.abc import Iterator

from alerting.definitions.wording.language import ENGLISH, Language, template
from alerting.reporting.base.messages import money as spoken
from alerting.reporting.plant.metrics import PlantMetrics, Totals

_PROPOSALS = {
    "retire": template("retire {title}"),
    "retune": template("retune {title}"),
    "retrain": template("retrain {title}"),
}
_NAMED = 3


def plant_sentences(metrics: PlantMetrics, language: Language = ENGLISH) -> tuple[str, ...]:
    """Return the sentences that matter first: problems, proposals, money, the worst nuisance."""
    return tuple(_sentences(metrics, language))


def _sentences(m: PlantMetrics, language: Language) -> Iterator[str]:
    t = m.totals
    if not t.definitions:
        yield language.say("No alert had anything to report in this period.")
        return
    raised = _outcomes(t, _raised(t, language), language)
    if t.with_problem or t.problems:
        yield language.say("{problems}; {alerts}.", problems=_problems(t, language), alerts=raised)
    else:  # no definition states a problem, so none can be known
        yield f"{raised}." if t.episodes else language.say("No alarm was raised.")
    wanted = m.proposed
    if wanted:
        named = "; ".join(
            language.say(_PROPOSALS[r.proposal.kind], title=r.summary.title)
            for r in wanted[:_NAMED]
        )
        more = len(wanted) - _NAMED
        if more <= 0:
            yield language.say("Proposed: {names}.", names=named)
        else:
            yield language.say(
                "Proposed: {names}; and {number} more in the report.", names=named, number=more
            )
    for money in m.money:
        if not (t.with_problem or t.problems):  # then nothing can be known to be avoided
            yield language.say(
                "The alerts that state their costs cost {cost} by false alarms and interventions.",
                cost=spoken(-money.net.high, -money.net.low, money.currency, language),
            )
            continue
        yield language.say(
            "The alerts that state their costs were worth {worth}; problems that came cost {lost}.",
            worth=spoken(money.net.low, money.net.high, money.currency, language),
            lost=spoken(money.lost.low, money.lost.high, money.currency, language),
        )
    worst = m.nuisances[0].summary if m.nuisances else None
    if worst is not None:
        if worst.false_alarms == t.false_alarms:
            yield language.say_count(
                "The only false alarm came from “{title}”.",
                "All {number} false alarms came from “{title}”.",
                t.false_alarms,
                title=worst.title,
            )
        else:
            yield language.say(
                "{number} of {total} false alarms came from “{title}”.",
                number=worst.false_alarms,
                total=t.false_alarms,
                title=worst.title,
            )


def _problems(t: Totals, language: Language) -> str:
    if not t.problems:
        if t.with_problem == t.definitions:
            return language.say("No problem occurred")
        return language.say_count(
            "No problem occurred of the {number} alert that states one",
            "No problem occurred of the {number} alerts that state one",
            t.with_problem,
        )
    return language.say_count(
        "{found} of {number} problem was predicted",
        "{found} of {number} problems were predicted",
        t.problems,
        found=t.announced,
    )


def _raised(t: Totals, language: Language) -> str:
    return language.say_count(
        "{number} alert raised {episodes}",
        "{number} alerts raised {episodes}",
        t.definitions,
        episodes=language.say_count("{number} alarm", "{number} alarms", t.episodes),
    )


def _outcomes(t: Totals, raised: str, language: Language) -> str:
    if not t.episodes:
        return raised
    if t.undetermined == t.episodes:
        return raised + language.say_count(
            ", without an outcome yet", ", none with an outcome yet", t.episodes
        )
    known = language.say(
        "{raised}: {right} right, {wrong} false", raised=raised, right=t.right, wrong=t.false_alarms
    )
    return (
        known + language.say(", {number} without an outcome yet", number=t.undetermined)
        if t.undetermined
        else known
    )
