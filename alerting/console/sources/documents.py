"""Documents of sources and sinks on pages: as they are typed, and their revisions."""

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from alerting.console.definitions.documents import read_yaml_document
from alerting.definitions.faults import UserError
from alerting.ports import SourceRevision


def read_named_document(text: str, name: str | None, word: str) -> dict[str, Any]:
    """Return the document of a form. Raises UserError, also if it is of another one. `word`: what
    it is of."""
    document = {**read_yaml_document(text, "the document")}
    if name is not None and document.setdefault("name", name) != name:
        raise UserError(f"name: the document is of another {word} than {name!r}")
    return document


def yaml_of(document: Mapping[str, Any]) -> str:
    """Return a document as it is edited."""
    return yaml.safe_dump(dict(document), sort_keys=False, allow_unicode=True)


def document_history(
    revisions: Sequence[SourceRevision],
) -> list[tuple[SourceRevision, list[str]]]:
    """Return the revisions, newest first, each with the fields that it changed."""
    history = []
    before: Mapping[str, Any] = {}
    for one in revisions:
        after = one.document
        fields = [f for f in {**before, **after} if before.get(f) != after.get(f)]
        history.append((one, fields if before else []))
        before = after
    return history[::-1]
