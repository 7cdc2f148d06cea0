"""The audit of documents that people edit in MongoDB itself, past every page and command."""

from datetime import datetime

from alerting.ports import AUDIT_ORIGIN, DefinitionPorts, DocumentEdit

EDITOR = "MongoDB"
"""The actor of an edit in the database: which of its users made it the platform cannot know."""


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
