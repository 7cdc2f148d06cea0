"""Description of a model for MLflow's pages and servers: signature, example, environment."""

import json
import platform
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from alerting.ports import Files

# loader that MLflow itself uses; named, not imported: the import takes seconds
LOADER = "alerting.adapters.mlflow.served_model"
ENVIRONMENTS = {"virtualenv": "python_env.yaml", "conda": "conda.yaml"}


def describe_model(
    run_id: str, model_id: str, files: Files, inputs: Mapping[str, str], kind: str
) -> Any:
    """Return the description of model files as MLflow's `Model`."""
    from mlflow.models import Model, ModelSignature
    from mlflow.types import ColSpec, Schema

    from alerting.learning.models.model_files import EXAMPLE, SERVED_EXAMPLE, estimates_life

    columns = [ColSpec(type_, name, required=False) for name, type_ in inputs.items()]
    scored = ("probability", *(("low", "median", "high") if estimates_life(files) else ()))
    outputs = [ColSpec("double", name, required=name == "probability") for name in scored]
    example = {
        "artifact_path": EXAMPLE,
        "serving_input_path": SERVED_EXAMPLE,
        "type": "dataframe",
        "pandas_orient": "split",
    }
    model = Model(
        run_id=run_id,
        model_id=model_id,
        signature=ModelSignature(Schema(columns), Schema(outputs)) if columns else None,
        saved_input_example_info=example if EXAMPLE in files else None,
    )
    model.add_flavor(
        "python_function",
        loader_module=LOADER,
        python_version=platform.python_version(),
        env=ENVIRONMENTS,
    )
    return model.add_flavor("alerting", files=sorted(files), kind=kind)


def environment_files(files: Files) -> dict[str, bytes]:
    """Return what `mlflow models serve` installs where it makes an environment: this package, and
    the libraries that score the model in these files. JSON, which YAML contains."""
    needed = files.get("requirements.txt", b"").decode().split()
    python = platform.python_version()
    pip = [f"{package}=={version(package)}" for package in ("alerting", "mlflow")] + needed
    documents = (
        {"python": python, "dependencies": pip},
        {"channels": ["conda-forge"], "dependencies": [f"python={python}", "pip", {"pip": pip}]},
    )
    texts = (json.dumps(document, indent=1).encode() for document in documents)
    return dict(zip(ENVIRONMENTS.values(), texts, strict=True))
