"""Registered models as ONNX files: an artefact of their training for other runtimes. The platform
itself never reads one."""

from typing import TYPE_CHECKING

from alerting.definitions.faults import UserError, first_line
from alerting.definitions.model import Definition, ModelDefinition
from alerting.ports import ModelUnavailable, RegistryPorts, TrainingRuns
from alerting.ports.logs import id_logger
from alerting.usecases.registry.registration import load_model

if TYPE_CHECKING:
    from alerting.learning.models.trained import TrainedModel

FOLDER = "onnx"
FILE = "model.onnx"
_log = id_logger(__name__)


def log_onnx(runs: TrainingRuns, run_id: str, model: "TrainedModel") -> None:
    """Store a model as an artefact of its run, where people see runs, the library is installed, and
    its family has a graph."""
    if not runs.shown:
        return
    try:
        data = onnx_file(model)
    except UserError as refusal:
        _log.info("no ONNX file: %s", refusal, definition=model.definition, run=run_id)
    except Exception as fault:  # of an artefact, which must not stop a training
        _log.warning("no ONNX file: %s", first_line(fault), definition=model.definition, run=run_id)
    else:
        runs.log(run_id, files={FILE: data}, folder=FOLDER)


def export_onnx(platform: RegistryPorts, definition: Definition, version: int) -> bytes:
    """Return a registered version as an ONNX file.

    Raises UserError if its kind or family has no graph, if it cannot be read, and without the
    library.
    """
    from alerting.learning.models.trained import TrainedModel  # noqa: PLC0415 - loads a library of frames

    if not isinstance(definition, ModelDefinition):
        raise UserError(f"{definition.name!r} is of kind {definition.kind}, which has no model")
    try:
        model = load_model(platform, definition, version)
    except ModelUnavailable as unavailable:
        raise UserError(
            f"model {version} of {definition.name!r} cannot be read: {unavailable}"
        ) from unavailable
    if not isinstance(model, TrainedModel):
        raise UserError(
            f"{definition.name!r} is of kind {definition.kind}, whose models have no ONNX graph"
        )
    return onnx_file(model)


def onnx_file(model: "TrainedModel") -> bytes:
    """Return the ONNX file of the part of a model that serves: its refit where there is one. Raises
    UserError without one."""
    try:
        from alerting.learning.models.onnx_graph import onnx_graph  # noqa: PLC0415 - an optional library
    except ModuleNotFoundError as missing:
        raise UserError(
            f"ONNX files need the library {missing.name}: pip install 'alerting[onnx]'"
        ) from missing
    return onnx_graph(model.refit or model)
