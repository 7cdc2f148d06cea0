"""REST API, version 1: one asset with its document, its check and its change."""

from typing import Any, Literal

from fastapi import APIRouter, Response

from alerting.console.api.api import Engineer, Served, Viewer
from alerting.console.api.parameters import (
    CONTENT_ETAG,
    Id,
    IfContent,
    IfNoneMatch,
    expected_content,
)
from alerting.console.api.views import View
from alerting.console.definitions.definition_api import Reason
from alerting.console.definitions.documents import TAKES_AN_ASSET, SentAsset
from alerting.console.definitions.views import FaultView, FieldChange, field_changes
from alerting.definitions.faults import UserError
from alerting.usecases.ingestion.assets import (
    AssetReview,
    apply_asset,
    asset_as_written,
    require_asset,
    review_asset,
    tag_of_asset,
)

router = APIRouter(prefix="/api/v1", tags=["assets"])


class AssetDetail(View):
    """An asset. `document`: as people write it, without fields at their default."""

    name: str
    document: Any


class AffectedView(View):
    """A definition that a change of an asset concerns. `variables`: changed ones that it reads;
    `applies`: if it begins or ends to watch the asset; `faults`: those that the change causes."""

    name: str
    title: str
    state: str
    variables: list[str]
    applies: Literal["begins", "ends", "stays"]
    faults: list[FaultView]


class AssetChangeView(View):
    """The effect of a document of an asset; a faulty one has faults alone. `dropped`: variables
    that it declares no more."""

    name: str
    action: Literal["new", "changed", "unchanged"]
    faults: list[FaultView]
    changes: list[FieldChange]
    affected: list[AffectedView]
    dropped: list[str]


@router.get("/assets/{name:without_colon}", responses={200: CONTENT_ETAG})
def show_asset(name: Id, platform: Served, _: Viewer, response: Response) -> AssetDetail:
    """Show an asset with its document. The ETag names its content."""
    found = require_asset(platform.assets, name)
    response.headers["etag"] = f'"{tag_of_asset(found)}"'
    return AssetDetail(name=found.name, document=asset_as_written(found))


@router.post("/assets:check", openapi_extra=TAKES_AN_ASSET)
def check_asset(platform: Served, _: Engineer, document: SentAsset) -> AssetChangeView:
    """Check a document of an asset without applying it: all its faults, or what it would change,
    and which definitions it concerns. Role: engineer."""
    return review_view(review_asset(platform, document))


@router.put(
    "/assets/{name:without_colon}",
    openapi_extra=TAKES_AN_ASSET,
    responses={
        200: CONTENT_ETAG,
        201: {"model": AssetChangeView, "description": "Made."} | CONTENT_ETAG,
    },
)
def apply_document(
    name: Id,
    platform: Served,
    person: Engineer,
    document: SentAsset,
    response: Response,
    reason: Reason = "",
    if_match: IfContent = None,
    if_none_match: IfNoneMatch = None,
) -> AssetChangeView:
    """Apply a document: as a change of the content in If-Match, or, with If-None-Match: *, as a new
    asset. Fields that it leaves out are removed. Role: engineer.

    412: it was changed since, by whom and when.
    """
    expected = expected_content(if_match, if_none_match)
    given = {"name": name, **document}
    if given["name"] != name:
        raise UserError(f"name: the document is of another asset than {name!r}")
    why = reason or "applied through the API"
    made = apply_asset(platform, given, expected, person.name, platform.clock.now(), why)
    response.status_code = 201 if made.action == "new" else 200
    response.headers["etag"] = f'"{tag_of_asset(require_asset(platform.assets, name))}"'
    return review_view(made)


def review_view(review: AssetReview) -> AssetChangeView:
    """Return the view of the effect of a document."""
    return AssetChangeView.model_validate(
        {**vars(review), "changes": field_changes(review.changes)}
    )
