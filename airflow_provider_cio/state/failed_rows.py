"""The failed rows that the next run of a sync reads again, in a file under ``[customerio] state_url``.

Each run that remembers other rows writes a new file, whose name is its generation. Only then does it set the
Variable that holds the generation, and only then the last sync time. So a run that is killed in between
leaves the earlier file in use, or a newer one with the earlier last sync time. Neither skips a row. A worker
that does not share the folder does not find the file, and fails instead of skipping the rows.
"""

from __future__ import annotations

import logging
import re
import uuid
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, TypeVar

import msgspec
from airflow.sdk import Variable

from airflow_provider_cio.engine.retry import FailedRow  # noqa: TC001 - msgspec reads the annotations
from airflow_provider_cio.engine.worker import Worker
from airflow_provider_cio.errors import ConfigurationError, SyncError, TransientError
from airflow_provider_cio.state.airflow_api import airflow_api_error, variable_names
from airflow_provider_cio.state.names import FAILED_ROWS_DESCRIPTION, failed_rows_key
from airflow_provider_cio.storage import STATE_URL, check_url, open_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow_provider_cio.storage import Folder

log = logging.getLogger(__name__)

_T = TypeVar("_T")

#: The value of the Variable when no rows are remembered.
_NOTHING = "none"
_GENERATION = re.compile("[0-9a-f]{32}", re.ASCII).fullmatch
_PREFIX, _SUFFIX = "failed_rows-", ".json"
#: Seconds for one step of the store. An object store takes a few for a file of this size.
_STEP_SECONDS = 30
#: Seconds for the removal of old files. The next run removes what is left.
_CLEAN_UP_SECONDS = 10


class _File(msgspec.Struct):
    """The content of a file."""

    generation: str
    rows: list[FailedRow]


_decode = msgspec.json.Decoder(_File).decode


class FailedRowsStore:
    """Loads and saves the failed rows of one sync. Only the run that holds the workspace's slot uses it.

    Args:
        workspace: The name of the workspace.
        sync_name: The name of the sync.
    """

    def __init__(self, workspace: str, sync_name: str) -> None:
        self._workspace = workspace
        self._sync_name = sync_name
        self._key = failed_rows_key(workspace, sync_name)

    def load(self) -> list[FailedRow]:
        """Return the rows that the last run remembered.

        Raises:
            ConfigurationError: The file with the rows is not in the folder, or `state_url` cannot be used.
            TransientError: Airflow or the store did not answer.
        """
        generation = self._generation()
        if generation == _NOTHING:
            return []
        if not _GENERATION(generation):
            raise self._missing("does not hold what a sync wrote")
        try:
            file = _decode(self._in_store(lambda folder: _read(folder, generation)))
        except FileNotFoundError:
            raise self._missing("names a file that is not there") from None
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise self._missing("names a file that cannot be read") from None
        if file.generation != generation:
            raise self._missing("names a file of another sync")
        return file.rows

    def save(self, rows: Sequence[FailedRow]) -> None:
        """Replace the rows. The last sync time must not move before this returns.

        Raises:
            ConfigurationError: The rows could not be loaded again, or `state_url` cannot be used.
            TransientError: Airflow or the store did not answer.
        """
        before = self._generation()
        if not rows and before == _NOTHING:
            return
        generation = uuid.uuid4().hex if rows else _NOTHING
        if rows:
            content = msgspec.json.encode(_File(generation, [*rows]))
            self._in_store(lambda folder: _write(folder, generation, content))
        Variable.set(self._key, generation, description=FAILED_ROWS_DESCRIPTION)
        if self._generation() != generation:
            raise ConfigurationError(
                f"The Variable {self._key} is also set in the environment or in a secrets backend, and that"
                " value is used. Remove it there: it holds which failed rows the next run tries again."
            )
        try:
            self._in_store(lambda folder: _remove_others(folder, generation), _CLEAN_UP_SECONDS)
        except SyncError as error:
            log.warning("Old files of failed rows were not removed: %s", error)

    def _generation(self) -> str:
        value = Variable.get(self._key, default=None)
        if value is None and self._key in variable_names(self._key):  # it exists, so reading it has failed
            raise airflow_api_error()
        return _NOTHING if value is None else str(value).strip()

    def _in_store(self, step: Callable[[Folder], _T], seconds: float = _STEP_SECONDS) -> _T:
        """Take a step in the folder of the sync, and wait for it for a limited time."""
        url = check_url(STATE_URL)
        worker = Worker("customerio-state")
        try:
            return worker.submit(
                lambda: step(open_folder(STATE_URL, url, self._workspace, self._sync_name))
            ).result(seconds)
        except (FileNotFoundError, ConfigurationError):
            raise
        except (Exception, CancelledError) as error:  # noqa: BLE001 - every kind of store has errors of its own
            reason = "it did not answer in time" if isinstance(error, TimeoutError) else type(error).__name__
            raise TransientError(
                f"The store of [customerio] state_url cannot be used ({reason}). Check the store, then run"
                " the task again."
            ) from None
        finally:
            worker.close()

    def _missing(self, what: str) -> ConfigurationError:
        return ConfigurationError(
            f"The failed rows of earlier runs are missing: the Variable {self._key} {what} in [customerio]"
            " state_url. Set state_url to a folder that all workers share, or set the last sync time to 0 to"
            " send every row again."
        )


def _name(generation: str) -> str:
    return f"{_PREFIX}{generation}{_SUFFIX}"


def _read(folder: Folder, generation: str) -> bytes:
    with folder.open(_name(generation)) as file:
        return file.read()


def _write(folder: Folder, generation: str, content: bytes) -> None:
    with folder.create(_name(generation)) as file:
        file.write(content)


def _remove_others(folder: Folder, generation: str) -> None:
    for name in list(folder.names()):
        if name.startswith(_PREFIX) and name.endswith(_SUFFIX) and name != _name(generation):
            folder.remove(name)
