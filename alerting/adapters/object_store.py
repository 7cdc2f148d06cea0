"""Object stores by address: S3 and its like, Google Cloud Storage, Azure, through Arrow."""

import os
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from alerting.deferred import fs
from alerting.definitions.faults import UserError

# aws and wasb: as Airflow writes its connections
SCHEMES = {
    "s3": "s3",
    "aws": "s3",
    "gs": "gs",
    "az": "az",
    "wasb": "az",
}
_REQUEST_S = 60
_FIELDS = {"s3": {"endpoint_url", "region_name"}, "gs": set[str](), "az": set[str]()}


def object_store(address: str, environ: Mapping[str, str] = os.environ) -> Any:
    """Return the file system of an address such as
    `s3://KEY:SECRET@?endpoint_url=https://minio:9000`.

    Without a key the credentials are those of the environment (AWS_…,
    GOOGLE_APPLICATION_CREDENTIALS, AZURE_STORAGE_…), or of the machine. The connection is encrypted
    and the certificate checked, except where the endpoint is written with http://. Raises
    UserError, without any part of the address, if it is none.
    """
    try:
        url = urlsplit(address)
        kind = SCHEMES[url.scheme]
        query = {
            name: values[-1]
            for name, values in parse_qs(url.query, strict_parsing=bool(url.query)).items()
        }
        key, secret = (unquote(part) if part else None for part in (url.username, url.password))
        if unknown := query.keys() - _FIELDS[kind]:
            raise UserError(
                f"the address of the object store has unknown fields: {', '.join(sorted(unknown))}"
            )
        if kind == "s3" and (key is None) != (secret is None):
            raise UserError(
                "the address of the object store has a key without its secret, or a secret without "
                "its key"
            )
    except (KeyError, ValueError):
        hint = (
            "write for example s3://KEY:SECRET@?endpoint_url=https://minio:9000, in a secret %2F "
            "for / and %2B for +"
        )
        raise UserError(f"this is not the address of an object store; {hint}") from None
    if kind == "gs":
        return fs.GcsFileSystem(retry_time_limit=timedelta(seconds=_REQUEST_S))
    if kind == "az":
        account = key or environ.get("AZURE_STORAGE_ACCOUNT_NAME")
        if not account:
            raise UserError(
                "the address of the object store names no account: az://ACCOUNT:KEY@, or "
                "AZURE_STORAGE_ACCOUNT_NAME"
            )
        return fs.AzureFileSystem(account, secret or environ.get("AZURE_STORAGE_ACCOUNT_KEY"))
    return _s3(key, secret, query, environ)


def _s3(
    key: str | None, secret: str | None, query: Mapping[str, str], environ: Mapping[str, str]
) -> Any:
    given = (
        query.get("endpoint_url")
        or environ.get("AWS_ENDPOINT_URL_S3")
        or environ.get("AWS_ENDPOINT_URL")
        or ""
    )
    scheme, _, endpoint = given.rpartition("://")
    if scheme not in ("", "http", "https"):
        raise UserError(
            "the endpoint of the object store is no address: write for example "
            "https://minio.plant:9000"
        )
    region = (
        query.get("region_name") or environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION")
    )
    return fs.S3FileSystem(
        access_key=key,
        secret_key=secret,
        region=region or ("us-east-1" if endpoint else None),
        scheme=scheme or "https",
        endpoint_override=endpoint.rstrip("/") or None,
        tls_ca_file_path=environ.get("AWS_CA_BUNDLE") or None,
        connect_timeout=10,
        request_timeout=_REQUEST_S,
    )
