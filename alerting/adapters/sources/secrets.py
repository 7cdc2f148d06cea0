"""Secrets of sources: from the environment, or from files that only their owner may read."""

from collections.abc import Callable, Mapping
from pathlib import Path

from alerting.definitions.faults import UserError, shown
from alerting.definitions.sources.mapping import Secret
from alerting.settings.variables import SecretRules

Resolve = Callable[[Secret], str]


def resolver(environ: Mapping[str, str], connection: Callable[[str], str] | None = None) -> Resolve:
    """Return the function that finds any secret; a source gets `allowed_secrets`. `connection`: of
    Airflow by its id, in a DAG.

    The function raises UserError, without the secret, if it is not there.
    """

    def resolve(secret: Secret) -> str:
        if secret.env is not None:
            found = environ.get(secret.env, "")
            if not found:
                raise UserError(
                    f"the environment variable {secret.env} is not set; the process that connects "
                    "needs "
                    "it"
                )
            return found
        if secret.file is not None:
            return _read(Path(secret.file))
        if connection is None:
            name = secret.airflow_connection
            raise UserError(
                f"the connection {shown(name)} is known to Airflow only: the DAG of the source "
                "reads it"
            )
        return connection(str(secret.airflow_connection))

    return resolve


def allowed_secrets(
    environ: Mapping[str, str], rules: SecretRules, connection: Callable[[str], str] | None = None
) -> Resolve:
    """Return the function that finds secrets. It raises UserError for those not allowed."""
    resolve = resolver(environ, connection)

    def find(secret: Secret) -> str:
        refusal = rules.name_refusal(secret.env) if secret.env is not None else None
        refusal = rules.file_refusal(secret.file) if secret.file is not None else refusal
        if refusal is not None:
            raise UserError(refusal)
        return resolve(secret)

    return find


def _read(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as fault:
        raise UserError(
            f"the file of the secret, {path!s}, cannot be read: {fault.strerror!s}"
        ) from fault
    except UnicodeDecodeError:
        raise UserError(f"the file of the secret, {path!s}, is no text in UTF-8") from None
    require_private(path)
    return text.strip()


def require_private(path: Path) -> None:
    """Raise UserError if others than its owner may read a file, OSError if it is not there."""
    if path.stat().st_mode & 0o077:
        raise UserError(
            f"the file of the secret, {path!s}, may be read by others: run `chmod 600` on it"
        )
