"""What syncs need around them: Variables, pools, connections, and files that can be imported."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow.configuration import conf
from airflow.models.connection import Connection
from airflow.models.crypto import get_fernet
from airflow.models.dag import DagModel
from airflow.models.errors import ParseImportError
from airflow.models.pool import Pool
from airflow.models.variable import Variable
from cryptography.fernet import InvalidToken
from sqlalchemy import and_, select

from airflow_provider_cio.plugin.metadata.dags import LONGEST_MESSAGE, ids_of_syncs

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy.orm import Session


@dataclass(frozen=True)
class BrokenFile:
    """A DAG file that Airflow cannot import."""

    file: str
    message: str


def read_variables(session: Session, keys: Collection[str]) -> dict[str, str]:
    """Read Variables. A value in this server's environment wins, as it does for tasks."""
    query = select(Variable.key, Variable._val, Variable.is_encrypted).where(Variable.key.in_(keys))  # noqa: SLF001
    fernet = get_fernet()
    found = {}
    for key, value, encrypted in session.execute(query):
        try:
            found[key] = fernet.decrypt(value.encode()).decode() if encrypted else value
        except (InvalidToken, UnicodeError, AttributeError):
            continue
    for key in keys:
        if (override := os.environ.get(f"AIRFLOW_VAR_{key.upper()}")) is not None:
            found[key] = override
    return found


def read_missing_pools(session: Session, names: Collection[str]) -> set[str]:
    """Return which of the pools do not exist: their tasks wait forever."""
    return set(names) - set(session.scalars(select(Pool.pool).where(Pool.pool.in_(names))))


def read_missing_connections(session: Session, ids: Collection[str]) -> set[str]:
    """Return which connections neither the database nor this server's environment has.

    Where a secrets backend is configured, it may have them: then none counts as missing.
    """
    known = set(session.scalars(select(Connection.conn_id).where(Connection.conn_id.in_(ids))))
    if conf.get("secrets", "backend", fallback="") or conf.get("workers", "secrets_backend", fallback=""):
        return set()
    return {each for each in ids if each not in known and f"AIRFLOW_CONN_{each.upper()}" not in os.environ}


def read_import_errors(session: Session, readable: Collection[str]) -> list[BrokenFile]:
    """Read the import errors of files that have, or had, a DAG of ours.

    Args:
        session: A session of the metadata database.
        readable: DAGs that the user may read. An error is shown only if the user may read every DAG of the
            file, because the error may quote the file.
    """
    files = (
        select(DagModel.bundle_name, DagModel.relative_fileloc)
        .where(DagModel.dag_id.in_(ids_of_syncs()))
        .distinct()
        .subquery()
    )
    query = (
        select(ParseImportError.filename, ParseImportError.stacktrace, DagModel.dag_id)
        .join(
            files,
            and_(
                files.c.bundle_name == ParseImportError.bundle_name,
                files.c.relative_fileloc == ParseImportError.filename,
            ),
        )
        .join(
            DagModel,
            and_(
                DagModel.bundle_name == ParseImportError.bundle_name,
                DagModel.relative_fileloc == ParseImportError.filename,
            ),
        )
    )
    errors: dict[str, str] = {}
    hidden = set()
    for filename, trace, dag_id in session.execute(query):
        errors[str(filename)] = (trace or "").strip().rpartition("\n")[2][:LONGEST_MESSAGE]
        if dag_id not in readable:
            hidden.add(str(filename))
    return [BrokenFile(file, message) for file, message in sorted(errors.items()) if file not in hidden]
