"""Champions of many definitions from one training."""

from dataclasses import replace

from alerting.ports import Files, SandboxPorts
from alerting.usecases.model_registry import register_model


def copy_champion(
    platform: SandboxPorts, source: str, name: str, files: Files | None = None
) -> None:
    """Register the champion of one definition as that of another one, with its files or these."""
    decision = next(
        decision for decision in platform.decisions.for_definition(source) if decision.promoted
    )
    version = decision.challenger_version
    run_id = decision.run_id
    if version is None or run_id is None:
        raise LookupError(f"the training of {source} has no champion")
    tags = {
        key: value
        for key, value in platform.runs.tags(run_id).items()
        if not key.startswith("mlflow.")
    }
    run = platform.runs.start_run(name, "copy", {**tags, "definition": name})
    files = files or platform.models.model_files(source, version)
    described = platform.models.version_tags(source, version)
    copy = register_model(platform, name, run, files, {**described, "training_run": run}, {})
    platform.runs.finish(run)
    platform.decisions.add(
        replace(decision, definition=name, run_id=run, challenger_version=copy), rank=1
    )
    platform.models.set_alias(name, "champion", copy)
