"""Model files of a forest as earlier versions wrote them."""

import json

import skops.io

from alerting.learning.models.files import model_files
from tests.learning.models.hostile_files import FOREST, META, SKLEARN


def earlier_files(model, fitted) -> dict[str, bytes]:
    """Return the files of a model of one forest, with `fitted` in its place, as a skops file."""
    files = model_files(model)
    meta = json.loads(files[META])
    (member,) = meta["members"]
    assert member["files"] == [FOREST]
    meta["members"] = [member | {"files": [SKLEARN]}]
    return {META: json.dumps(meta).encode(), SKLEARN: skops.io.dumps(fitted)}
