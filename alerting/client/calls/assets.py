"""Calls about assets. Made by `python -m tools.client`."""

from typing import Literal

from alerting.client.shapes.assets import AssetBody, AssetChangeView, AssetDetail
from alerting.client.transport import Transport, segment


class AssetsCalls(Transport):
    """Calls about assets."""

    def show_asset(self, name: str) -> AssetDetail:
        """Show an asset with its document. The ETag names its content."""
        answer: AssetDetail = self.call("GET", f"/assets/{segment(name)}")
        return answer

    def apply_document(
        self,
        name: str,
        body: AssetBody | str,
        *,
        reason: str | None = None,
        if_match: int | None = None,
        if_none_match: Literal["*"] | None = None,
    ) -> AssetChangeView:
        """Apply a document: as a change of the content in If-Match, or, with If-None-Match: *,
        as a new asset. Fields that it leaves out are removed. Role: engineer. 412: it was
        changed since, by whom and when."""
        answer: AssetChangeView = self.call(
            "PUT",
            f"/assets/{segment(name)}",
            query={"reason": reason},
            headers={"if-match": if_match, "if-none-match": if_none_match},
            body=body,
        )
        return answer

    def check_asset(self, body: AssetBody | str) -> AssetChangeView:
        """Check a document of an asset without applying it: all its faults, or what it would
        change, and which definitions it concerns. Role: engineer."""
        answer: AssetChangeView = self.call("POST", "/assets:check", body=body)
        return answer
