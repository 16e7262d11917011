"""Files of a spec folder, read so that none can block, fill the memory, or show what lies elsewhere."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

#: Specs and queries are written by people and have some kB. Parsing takes time for each byte.
MAX_BYTES = 1_000_000

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_REASONS = {
    errno.ENOENT: "it does not exist",
    errno.ELOOP: "it is a link that leads to itself",
    errno.EACCES: "the permission is missing; let Airflow's user read it",
    errno.ENAMETOOLONG: "its name is too long",
}


class UnreadableError(Exception):
    """A file cannot be read; the message says why, in words that follow "cannot be read"."""


def read_text(path: Path | str, root: str) -> str:
    """Read a file of a folder.

    Args:
        path: The file. It may be a link that stays in the folder, as in a ConfigMap or with git-sync.
        root: The folder, without links in its path.

    Raises:
        UnreadableError: It is not a regular file in the folder, is too large, or is not UTF-8.
    """
    try:
        data = _read(path, root)
    except OSError as error:
        missing = error.errno == errno.ENOENT and os.path.islink(path)  # noqa: PTH114 - a path costs time
        reason = (
            "it is a link to something that does not exist" if missing else _REASONS.get(error.errno or 0)
        )
        raise UnreadableError(reason or f"{type(error).__name__} ({os.strerror(error.errno or 0)})") from None
    except ValueError:  # a NUL in a name
        raise UnreadableError("its name has the character NUL") from None
    if len(data) > MAX_BYTES:
        raise UnreadableError(f"it has more than {MAX_BYTES:,} bytes; a spec or a query has far fewer")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UnreadableError(f"line {line} is not UTF-8; save the file as UTF-8") from None


def lies_in(path: str, root: str) -> bool:
    """Tell whether a path lies in a folder; both without links."""
    return path.startswith(root if root.endswith(os.sep) else root + os.sep)


def _read(path: Path | str, root: str) -> bytes:
    resolved = os.path.realpath(path, strict=True)
    if not lies_in(resolved, root):
        raise UnreadableError("it lies outside of the folder with the specs; put a copy into the folder")
    # A FIFO would block, and opening a device can have effects: look before opening, and again afterwards,
    # since the name may by then mean another file.
    _check_regular(os.stat(resolved))  # noqa: PTH116 - the same
    descriptor = os.open(resolved, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
    with open(descriptor, "rb", buffering=0) as file:  # noqa: PTH123 - it is open already
        _check_regular(os.fstat(descriptor))
        parts = []
        left = MAX_BYTES + 1
        while left and (part := file.read(left)):
            parts.append(part)
            left -= len(part)
    return b"".join(parts)


def _check_regular(status: os.stat_result) -> None:
    if stat.S_ISREG(status.st_mode):
        return
    kind = next((name for is_kind, name in _KINDS if is_kind(status.st_mode)), "a special file")
    raise UnreadableError(f"it is {kind}; put a regular file in its place")
