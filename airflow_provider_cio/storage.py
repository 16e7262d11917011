"""The stores of reports and of the state of syncs, with a folder for each sync.

On a local disk, only the owner can read folders and files. Symbolic links below the root are not followed,
neither to write a file nor to read one. Other stores control the access themselves.
"""

from __future__ import annotations

import contextlib
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Protocol, cast
from urllib.parse import urlsplit

from airflow.sdk import ObjectStoragePath
from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import AirflowConfigException, AirflowNotFoundException
from fsspec.implementations.local import LocalFileSystem

from airflow_provider_cio.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from fsspec import AbstractFileSystem

#: The options of section ``[customerio]`` that hold the URL of a store.
REPORTS_URL = "reports_url"
STATE_URL = "state_url"
#: Schemes of the local disk.
_LOCAL_SCHEMES = {"", "file", "local"}
#: Schemes whose URLs begin with the name of a bucket or container.
_BUCKET_SCHEMES = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "adl"}
#: The modes of folders and files: access for the owner only.
_FOLDER_MODE = 0o700
_FILE_MODE = 0o600
_OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class Folder(Protocol):
    """The files of one sync."""

    def location(self, name: str) -> str:
        """Return the URL of a file."""

    def create(self, name: str) -> BinaryIO:
        """Open a new file for writing."""

    def open(self, name: str) -> BinaryIO:
        """Open a file for reading.

        Raises:
            OSError: The file does not exist, or is not a regular file in the folder.
        """

    def names(self) -> Iterable[str]:
        """Return the names of all files in the folder."""

    def remove(self, name: str) -> None:
        """Remove a file."""


def check_url(option: str) -> str:
    """Return the value of an option if it is a valid URL. Nothing is contacted.

    Args:
        option: The name of the option in section ``[customerio]``.

    Raises:
        ConfigurationError: The URL is not valid. The message does not quote it: it can contain credentials.
    """
    try:
        url = str(conf.get("customerio", option)).strip()
    except AirflowConfigException:
        url = ""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise _not_valid(option, "is not a valid URL") from None
    if "\0" in url or not url:
        raise _not_valid(option, "is empty" if not url else "is not a valid URL")
    if parts.scheme in _LOCAL_SCHEMES:
        if parts.netloc or not parts.path.startswith("/"):
            raise _not_valid(option, "is a relative path")
    elif len(parts.scheme) > 1 and "::" not in url and url.startswith(f"{url.partition(':')[0]}://"):
        if parts.scheme in _BUCKET_SCHEMES and not parts.netloc.rpartition("@")[2]:
            raise _not_valid(option, "does not contain a bucket")
    else:
        raise _not_valid(option, "is not a valid URL")
    return url


def open_folder(option: str, url: str, workspace: str, sync_name: str) -> Folder:
    """Return the folder for the files of a sync. This may contact the store.

    Args:
        option: The name of the option.
        url: The URL that `check_url` returned.
        workspace: The name of the workspace.
        sync_name: The name of the sync.

    Raises:
        ConfigurationError: No installed provider supports the store, or its connection does not exist.
    """
    scheme = urlsplit(url).scheme
    try:
        root = ObjectStoragePath(url)
        store = root.fs
    except AirflowNotFoundException:
        raise _not_valid(option, "contains a connection id that does not exist") from None
    except (ValueError, ImportError):
        raise _not_valid(option, f"has the scheme {scheme}, which no installed provider supports") from None
    if isinstance(store, LocalFileSystem):
        return _LocalFolder(root.path, workspace, sync_name)
    return _StoredFolder(store, root / workspace / sync_name)


def _not_valid(option: str, problem: str) -> ConfigurationError:
    return ConfigurationError(
        f"[customerio] {option} {problem}. Set it to an absolute URL of Airflow's object storage, such as"
        " file:///opt/airflow/reports or s3://aws_default@bucket/reports."
    )


@dataclass(frozen=True)
class _LocalFolder:
    """A folder on a local disk. Its path is opened folder by folder, so that no link is followed."""

    root: str
    workspace: str
    sync_name: str

    def location(self, name: str) -> str:
        return f"file://{os.path.join(self.root, self.workspace, self.sync_name, name)}"  # noqa: PTH118 - a URL's path

    def create(self, name: str) -> BinaryIO:
        self._create_root()
        with self._open_folder(create=True) as folder:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            file = os.open(name, flags, _FILE_MODE, dir_fd=folder)
            os.fchmod(file, _FILE_MODE)  # the umask may have removed bits
            return os.fdopen(file, "wb")

    def open(self, name: str) -> BinaryIO:
        with self._open_folder() as folder:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a FIFO would block
            file = os.open(name, flags, dir_fd=folder)
        if not stat.S_ISREG(os.fstat(file).st_mode):
            os.close(file)
            raise FileNotFoundError(name)
        return os.fdopen(file, "rb")

    def names(self) -> Iterator[str]:
        try:
            with self._open_folder() as folder, os.scandir(folder) as entries:
                yield from (entry.name for entry in entries if entry.is_file(follow_symlinks=False))
        except FileNotFoundError:
            return

    def remove(self, name: str) -> None:
        with self._open_folder() as folder:
            os.unlink(name, dir_fd=folder)

    def _create_root(self) -> None:
        """Create the root for its owner only. The mode of a root that exists stays."""
        with contextlib.suppress(FileExistsError):
            os.makedirs(os.path.dirname(self.root), exist_ok=True)  # noqa: PTH103, PTH120 - the root is a text
            os.mkdir(self.root, _FOLDER_MODE)  # noqa: PTH102
            os.chmod(self.root, _FOLDER_MODE)  # noqa: PTH101 - a umask may have taken bits away

    @contextlib.contextmanager
    def _open_folder(self, *, create: bool = False) -> Iterator[int]:
        with contextlib.ExitStack() as opened:
            folder = os.open(self.root, _OPEN_FOLDER)
            opened.callback(os.close, folder)
            for name in (self.workspace, self.sync_name):
                if create:
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(name, _FOLDER_MODE, dir_fd=folder)
                folder = os.open(name, _OPEN_FOLDER | os.O_NOFOLLOW, dir_fd=folder)
                opened.callback(os.close, folder)
                if create:
                    with contextlib.suppress(PermissionError):  # another user created it
                        os.fchmod(folder, _FOLDER_MODE)
            yield folder


@dataclass(frozen=True)
class _StoredFolder:
    """A folder of an object store, or of another file system that fsspec supports."""

    store: AbstractFileSystem
    path: ObjectStoragePath

    def location(self, name: str) -> str:
        return str(self.path / name)

    def create(self, name: str) -> BinaryIO:
        self.store.makedirs(self.path.path, exist_ok=True)
        # `ObjectStoragePath.open` is not used: it reports every single write as lineage.
        return cast("BinaryIO", self.store.open(f"{self.path.path}/{name}", "wb"))

    def open(self, name: str) -> BinaryIO:
        return cast("BinaryIO", self.store.open(f"{self.path.path}/{name}", "rb"))

    def names(self) -> Iterator[str]:
        try:
            paths = self.store.ls(self.path.path, detail=False)
        except FileNotFoundError:
            return
        yield from (path.rpartition("/")[2] for path in paths)

    def remove(self, name: str) -> None:
        self.store.rm_file(f"{self.path.path}/{name}")
