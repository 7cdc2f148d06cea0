"""The sentences at the head of the plant's report."""

from collections.abc import Iterator

from alerting.reporting.messages import money as spoken
from alerting.reporting.plant.metrics import PlantMetrics, Totals


def plant_sentences(metrics: PlantMetrics) -> tuple[str, ...]:
    """Return the sentences that matter first: problems and false alarms, the proposals, money, the worst nuisance."""
    return tuple(_sentences(metrics))


def _sentences(m: PlantMetrics) -> Iterator[str]:
    t = m.totals
    if not t.definitions:
        yield "No alert had anything to report in this period."
        return
    announced = (
        "No problem occurred"
        if not t.problems
        else f"{t.announced} of {t.problems} {'problem was' if t.problems == 1 else 'problems were'} announced"
    )
    alerts = "1 alert" if t.definitions == 1 else f"{t.definitions} alerts"
    episodes = "1 episode" if t.episodes == 1 else f"{t.episodes} episodes"
    yield f"{announced}; {alerts} raised {episodes}{_outcomes(t)}."
    wanted = m.proposed
    if wanted:
        named = "; ".join(f"{r.proposal.kind} {r.summary.title}" for r in wanted[:3])
        yield f"Proposed: {named}." if len(wanted) <= 3 else f"Proposed: {named}; and {len(wanted) - 3} more in the report."
    for money in m.money:
        yield (
            f"The alerts that state their costs were worth {spoken(money.net.low, money.net.high, money.currency)}; problems "
            f"that came cost {spoken(money.lost.low, money.lost.high, money.currency)}."
        )
    worst = m.nuisances[0].summary if m.nuisances else None
    if worst is not None:
        yield f"{worst.title} raised the most false alarms: {worst.false_alarms} of {t.false_alarms}."


def _outcomes(t: Totals) -> str:
    """Return how the episodes turned out; only what is known of them, and how many have no outcome yet."""
    if not t.episodes:
        return ""
    if t.undetermined == t.episodes:
        return ", without an outcome yet" if t.episodes == 1 else ", none with an outcome yet"
    waiting = f", {t.undetermined} without an outcome yet" if t.undetermined else ""
    return f": {t.right} right, {t.false_alarms} false{waiting}"
