"""Addresses of databases from the connections of Airflow."""

from alerting.definitions.faults import UserError, first_line


def connection_address(id: str) -> str:
    """Return a connection's address as SQLAlchemy writes it. Raises UserError for none."""
    from airflow.sdk import Connection  # noqa: PLC0415 - Airflow is loaded in tasks only
    from airflow.sdk.exceptions import AirflowException  # noqa: PLC0415

    try:
        address: str = Connection.get(id).get_uri()
    except AirflowException as fault:
        raise UserError(f"Airflow has no connection {id!r}: {first_line(fault)}") from fault
    return (
        f"postgresql{address.removeprefix('postgres')}"
        if address.startswith("postgres://")
        else address
    )
