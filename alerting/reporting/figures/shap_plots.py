"""SHAP's own plots of a model's contributions, as PNG files for the pages of the registry."""

import io
import warnings
from collections.abc import Callable, Mapping, Sequence

import matplotlib
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
MOST_VARIABLES = 15


def shap_plots(
    variables: Sequence[str], shares: Floats, values: Floats, names: Mapping[str, str]
) -> dict[str, bytes]:
    """Return the beeswarm and the bar plot by file name. `shares`, `values`: rows by variable;
    `names`: titles of variables."""
    import shap  # noqa: PLC0415 - takes seconds and 130 MB to import; only a finished training needs it

    titles = [names.get(name, name) for name in variables]
    explained = shap.Explanation(
        values=shares, base_values=np.zeros(len(shares)), data=values, feature_names=titles
    )
    return {
        "shap_beeswarm.png": _png(
            lambda: shap.plots.beeswarm(explained, max_display=MOST_VARIABLES, show=False),
            "share of the variable in the score (probability)",
        ),
        "shap_bar.png": _png(
            lambda: shap.plots.bar(explained.abs.mean(0), max_display=MOST_VARIABLES, show=False),
            "mean size of its share in the score (probability)",
        ),
    }


def _png(plot: Callable[[], object], label: str) -> bytes:
    """Return what a plot of SHAP draws; its plots go through pyplot, whose figure is closed
    again."""
    from matplotlib import pyplot  # noqa: PLC0415 - chooses a backend at import

    with matplotlib.rc_context({"text.parse_math": False}):
        pyplot.switch_backend("agg")
        figure = pyplot.figure(facecolor="white")
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings(
                    "ignore", "All-NaN slice", RuntimeWarning
                )  # a category has no number to colour by
                plot()
            figure.axes[0].set_xlabel(label)
            buffer = io.BytesIO()
            figure.savefig(buffer, format="png", dpi=110, bbox_inches="tight", facecolor="white")
        finally:
            pyplot.close(figure)
    return buffer.getvalue()
