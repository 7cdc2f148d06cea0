"""Documents without revisions, such as assets and routes: their content tag, their changes in the
audit, and edits that people make in MongoDB itself, past every page and command."""

import hashlib
import json
from datetime import datetime
from typing import Literal

from alerting.definitions.faults import ChangedMeanwhile
from alerting.definitions.wording.language import translatable
from alerting.ports import (
    AUDIT_ORIGIN,
    Audit,
    AuditEntry,
    AuditFilter,
    DefinitionPorts,
    Document,
    DocumentEdit,
)

EDITOR = "MongoDB"
"""The actor of an edit in the database: which of its users made it the platform cannot know."""
NEW: Literal["new"] = "new"
"""The content that is expected of a document that does not exist yet."""
_MOST_ENTRIES = 200


def content_tag(document: Document) -> str:
    """Return the identity of a document's content, independent of the order of its fields."""
    text = json.dumps(document, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def document_history(audit: Audit, what: str, name: str) -> list[AuditEntry]:
    """Return the changes of a document, newest first, however they were made. `what`: an asset or
    a route."""
    found = audit.find(AuditFilter(subject=name), _MOST_ENTRIES)
    return [entry for entry in found if entry.what.startswith(f"{what} ")]


def require_content(
    audit: Audit, what: str, name: str, stored: Document | None, expected: str
) -> None:
    """Raise ChangedMeanwhile if a stored document has another content than expected, or exists
    though a new one was expected."""
    if expected == (NEW if stored is None else content_tag(stored)):
        return
    last = next(iter(document_history(audit, what, name)), None)
    if stored is not None and expected == NEW:
        message = translatable("there is already one of this name: {name}", name=name)
    elif last is None:
        message = translatable("{name} has another content than expected", name=name)
    else:
        message = translatable(
            "{name} was changed by {author} at {when}",
            name=name,
            author=last.actor,
            when=last.at.isoformat(timespec="seconds"),
        )
    raise ChangedMeanwhile(message)


def audit_edits(platform: DefinitionPorts, at: datetime) -> list[str]:
    """Audit edits made in the database since the last time; return what was edited."""
    found = platform.documents.edits()
    origin = AUDIT_ORIGIN.set(EDITOR)
    try:
        for edit in found:
            what = describe_edit(edit)
            why = "edited in MongoDB"
            platform.audit.add(EDITOR, what, edit.name, at, edit.before, edit.after, why)
            platform.documents.note(edit)
    finally:
        AUDIT_ORIGIN.reset(origin)
    return [f"{edit.collection}/{edit.name}" for edit in found]


def describe_edit(edit: DocumentEdit) -> str:
    """Return what was done, e.g. `route changed`."""
    done = "added" if edit.before is None else "removed" if edit.after is None else "changed"
    return f"{edit.what} {done}"
