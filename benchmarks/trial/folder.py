"""The folder of a trial: its finished weeks, so that an interrupted trial continues."""

from pathlib import Path

from alerting.definitions.faults import UserError


class TrialFolder:
    """Port `TrialStore`: one file per name; each is written beside its place and renamed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"{folder}: cannot be made ({error.strerror}); name another with "
                "ALERTING_BENCH_KEPT"
            ) from error

    def load(self, name: str) -> bytes | None:
        file = self._folder / name
        try:
            return file.read_bytes() if file.exists() else None
        except OSError as error:
            raise UserError(f"{file}: cannot be read ({error.strerror})") from error

    def save(self, name: str, content: bytes) -> None:
        partial = self._folder / f"{name}.partial"
        try:
            partial.write_bytes(content)
            partial.replace(self._folder / name)
        except OSError as error:
            raise UserError(
                f"{self._folder / name}: cannot be written ({error.strerror})"
            ) from error
