"""The skops file of a scikit-learn model, read without running code from it."""

from collections.abc import Callable, Mapping
from typing import Any

import skops.io
from skops.io.exceptions import UntrustedTypesFoundException

from alerting.learning.models.metadata import META
from alerting.learning.models.skops_archive import check_archive
from alerting.learning.models.trained import ModelRefused

SKLEARN = "model.skops"
# beyond skops' own; the types that a file itself asks for are never added
TRUSTED_TYPES = ["sklearn.tree._tree.Tree"]


def dump_sklearn(fitted: Any) -> bytes:
    """Return a fitted model as the content of its file; equal models may differ in bytes."""
    return bytes(skops.io.dumps(fitted))


def load_sklearn(files: Mapping[str, bytes], wanted: type, check: Callable[[Any], None]) -> Any:
    """Read a checked model of type `wanted`. Raises ModelRefused for any other file."""
    check_archive(files.get(SKLEARN, b""), SKLEARN)
    loaded = load_checked_sklearn(files)
    if type(loaded) is not wanted:
        raise ModelRefused(
            f"{SKLEARN} holds a {type(loaded).__name__}, not the {wanted.__name__} that {META} "
            "names"
        )
    try:
        check(loaded)
    except (AttributeError, TypeError, ValueError, IndexError) as error:
        raise ModelRefused(
            f"{SKLEARN} holds a {wanted.__name__} without all of its parts"
        ) from error
    return loaded


def load_checked_sklearn(files: Mapping[str, bytes]) -> Any:
    """Read a model whose content was checked before. Raises ModelRefused for types that are not
    trusted, or a file that skops cannot read."""
    data = files.get(SKLEARN, b"")
    try:
        return skops.io.loads(data, trusted=TRUSTED_TYPES)
    except UntrustedTypesFoundException as error:
        raise ModelRefused(
            f"{SKLEARN} names untrusted types and was not loaded: {error}"
        ) from error
    except Exception as error:  # a forged file can make it fail in any way
        raise ModelRefused(
            f"model files without a readable {SKLEARN}; train the model again"
        ) from error
