"""Page of the models of a definition: versions, decisions, and what the model in service uses."""

from collections.abc import Sequence

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from alerting.console.api.api import Served, Viewer
from alerting.console.api.parameters import Id
from alerting.console.web.rendering import render
from alerting.definitions.faults import NotFound
from alerting.ports import DecisionRecord
from alerting.reporting.figures.bars import importance_bars
from alerting.usecases.definitions.platform_alerts import WAITING
from alerting.usecases.training.promote import newest_estimate

router = APIRouter(include_in_schema=False)
_DECISIONS_SHOWN = 20


@router.get("/models/{name}", response_class=HTMLResponse)
def models(name: Id, request: Request, platform: Served, _: Viewer) -> str:
    """Return the page of a definition's models."""
    revision = platform.definitions.newest_revision(name)
    if revision is None:
        raise NotFound(f"there is no definition {name!r}")
    assets = platform.assets.all()
    titles = {name: variable.title for asset in assets for name, variable in asset.variables.items() if variable.title}
    decisions = platform.decisions.of(name)
    measured = newest_importance(decisions)
    return render(
        "models.html",
        request,
        name=name,
        title=revision.definition.title or name,
        importance=importance_bars(measured.evidence["importance"]["variables"], titles) if measured else None,
        measured=measured,
        estimated=newest_estimate(decisions),
        waiting=next((a for a in platform.platform_alerts.open() if (a.kind, a.subject) == (WAITING, name)), None),
        decisions=list(reversed(decisions))[:_DECISIONS_SHOWN],
        now=platform.clock.now(),
    )


def newest_importance(decisions: Sequence[DecisionRecord]) -> DecisionRecord | None:
    """Return the decision that measured the importance of the version in service, else of the newest one; None without."""
    promoted = [d for d in reversed(decisions) if d.promoted]
    measured = [d for d in promoted if d.evidence.get("importance", {}).get("variables")]
    return next(
        (d for d in measured if d.challenger_version == promoted[0].challenger_version), measured[0] if measured else None
    )
