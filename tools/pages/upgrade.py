"""Make the page of what left from its table."""

from alerting.definitions.removed_features import REMOVED_IN_0_2_0

_INTRODUCTION = """# What left in 0.2.0

Made from the code by `make docs`; do not edit. A document that names something that left is refused with what does it now.
`alerting prepare` and `alerting up` name what an existing home has of it; nothing is deleted, and the rest works. A stored
document that is refused stands still: apply another one of its name, or delete it in MongoDB.
"""  # noqa: E501


def upgrade_page() -> str:
    """Return the Markdown of everything that left, with what does it now, said once for all that
    it does."""
    names: dict[tuple[str, str], list[str]] = {}
    for one in REMOVED_IN_0_2_0:
        names.setdefault((one.sort, one.instead), []).append(f"`{one.name}`")
    rows = (f"- {what} {', '.join(of)}: {instead}\n" for (what, instead), of in names.items())
    return f"{_INTRODUCTION}\n{''.join(rows)}"
