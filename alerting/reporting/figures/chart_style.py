"""Style that all charts share: no frame, a light grid, titles on the left, names as they are
written."""

from typing import Any


def chart_style(ink: str, muted: str, rule: str) -> dict[str, Any]:
    """Return the settings of matplotlib for these colours of text, labels and lines."""
    return {
        "font.size": 10,
        "axes.edgecolor": rule,
        "axes.labelcolor": muted,
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.axisbelow": True,
        "axes.grid": True,
        "axes.titlelocation": "left",
        "grid.color": rule,
        "legend.frameon": False,
        "text.parse_math": False,
        "text.color": ink,
        "xtick.color": rule,
        "xtick.labelcolor": muted,
        "ytick.color": rule,
        "ytick.labelcolor": muted,
    }
