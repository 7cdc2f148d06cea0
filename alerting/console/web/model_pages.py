"""Page of a definition's models: as `alerting models`, and what the one in service uses."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from alerting.console.api.api import Served, Viewer
from alerting.console.api.parameters import Id
from alerting.console.language import language_of
from alerting.console.web.rendering import render
from alerting.console.web.values import value_shapes
from alerting.definitions.faults import NotFound
from alerting.definitions.model import ModelDefinition
from alerting.ports import DecisionRecord
from alerting.reporting.definition.decisions import summarise_decision
from alerting.reporting.figures.bars import importance_bars
from alerting.reporting.page.decision_text import (
    candidate_titles,
    cut_short_lines,
    format_metric,
    metric_lines,
    proposed_alert,
    ranked,
)
from alerting.usecases.definitions.platform_alerts import WAITING
from alerting.usecases.training.promote import model_history

router = APIRouter(include_in_schema=False)


@router.get("/models/{name}", response_class=HTMLResponse)
def models(name: Id, request: Request, platform: Served, _: Viewer) -> str:
    """Return the page of a definition's models."""
    revision = platform.definitions.newest_revision(name)
    if revision is None:
        raise NotFound(f"there is no definition {name!r}")
    assets = platform.assets.all()
    titles = {
        name: variable.title
        for asset in assets
        for name, variable in asset.variables.items()
        if variable.title
    }
    decisions = platform.decisions.for_definition(name)
    now = platform.clock.now()
    measured = newest_importance(decisions)
    shown = measured.evidence["importance"]["variables"] if measured else {}
    history = model_history(platform, name)
    return render(
        "models.html",
        request,
        name=name,
        title=revision.definition.title or name,
        has_model=isinstance(revision.definition, ModelDefinition),
        history=history,
        values=value_shapes(platform, revision.definition, assets, request),
        without_alarm=_has_values_alone(decisions, history["champion"]),
        since=datetime.fromisoformat(history["since"]) if history["since"] else None,
        is_silent=_is_silent(history["unfinished"], now),
        training=_training(history["training"]),
        importance=importance_bars(shown, titles, language_of(request)) if measured else None,
        measured=measured,
        waiting=next(
            (a for a in platform.platform_alerts.open() if (a.kind, a.subject) == (WAITING, name)),
            None,
        ),
        provisional=next((_reason(d) for d in reversed(decisions) if d.promoted), ""),
        decisions=[
            (d, _summary(d), proposed_alert(d.evidence)) for d in list(reversed(decisions))[:20]
        ],
        now=now,
    )


def _has_values_alone(decisions: Sequence[DecisionRecord], version: int | None) -> bool:
    """Return whether the values of a version serve without an alarm."""
    served = [d for d in decisions if d.promoted and d.challenger_version == version]
    return version is not None and bool(served) and "values" in served[-1].evidence


def _is_silent(unfinished: dict[str, Any] | None, now: datetime) -> bool:
    """Return whether a training shows no progress for so long that it was killed."""
    if unfinished is None:
        return False
    return bool(now - unfinished["last_sign"] >= unfinished["killed_after"])


def _training(training: dict[str, Any] | None) -> dict[str, Any] | None:
    if training is None:
        return None
    lines = [vars(candidate) for candidate in ranked(training["leaderboard"])]
    titles = candidate_titles(training["leaderboard"])
    test = training["test"]
    return {
        "run": training["run_id"],
        "titles": list(titles.values()),
        "candidates": [
            [
                line["family"].replace("_", " "),
                *(format_metric(line, key) for key in titles),
                line["trials"],
            ]
            for line in lines
        ],
        "lines": [
            *cut_short_lines(training["leaderboard"], training["run_id"]),
            *training["chance"],
            *(metric_lines(test) if "ap" in test else ()),
            *test.get("notes", ()),
        ],
    }


def _summary(decision: DecisionRecord) -> str:
    d = decision
    return summarise_decision(d.verdict, d.champion_version, d.actor, d.reason, d.evidence)


def _reason(decision: DecisionRecord) -> str:
    """Return why a model serves, without what the candidates below say of the search."""
    return _summary(replace(decision, evidence={**decision.evidence, "cut_short": None}))


def newest_importance(decisions: Sequence[DecisionRecord]) -> DecisionRecord | None:
    """Return the decision that measured importance of the version in service, or newest."""
    promoted = [d for d in reversed(decisions) if d.promoted]
    measured = [d for d in promoted if d.evidence.get("importance", {}).get("variables")]
    return next(
        (d for d in measured if d.challenger_version == promoted[0].challenger_version),
        measured[0] if measured else None,
    )
