"""The files of a spec folder. None can block, fill the memory, or reveal a file outside of the folder."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

#: People write specs and queries, which have a few kB. Parsing takes time for each byte.
MAX_BYTES = 1_000_000

_SPECIAL_FILES = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_REASONS = {
    errno.ENOENT: "it does not exist",
    errno.ELOOP: "it is a link to itself",
    errno.EACCES: "Airflow's user may not read it: change its permissions",
    errno.ENAMETOOLONG: "its name is too long",
}


class UnreadableError(Exception):
    """A file cannot be read. The message is the reason, in words that follow "cannot be read"."""


def read_text(path: Path | str, root: str) -> str:
    """Read a file of a folder.

    Args:
        path: The file. It can be a link that stays in the folder, as in a ConfigMap or with git-sync.
        root: The folder, without links in its path.

    Raises:
        UnreadableError: It is not a regular file in the folder, is too large, or is not UTF-8.
    """
    try:
        data = _read(path, root)
    except OSError as error:
        missing = error.errno == errno.ENOENT and os.path.islink(path)  # noqa: PTH114 - a Path takes longer
        reason = "it is a link to a file that does not exist" if missing else _REASONS.get(error.errno or 0)
        raise UnreadableError(reason or f"{type(error).__name__} ({os.strerror(error.errno or 0)})") from None
    except ValueError:  # a NUL in a name
        raise UnreadableError("its name has the character NUL") from None
    if len(data) > MAX_BYTES:
        raise UnreadableError(f"it has more than {MAX_BYTES:,} bytes: a spec or a query has far fewer")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UnreadableError(f"line {line} is not UTF-8: save the file as UTF-8") from None


def is_inside(path: str, root: str) -> bool:
    """Return whether a path is inside a folder. Neither may have links."""
    return path.startswith(root if root.endswith(os.sep) else root + os.sep)


def walk(root: Path, is_spec: Callable[[str], bool]) -> list[str]:
    """List the files of specs in a folder and the folders in it, in a stable order. Hidden ones are left out.

    A linked folder is read, unless its target is read anyway. An entry that cannot be read, such as a link to
    a folder outside, is in the list too, so that it is refused by its name.

    Args:
        root: The folder.
        is_spec: Returns whether a file with this name is a spec.
    """
    found: list[str] = []
    links: list[str] = []
    seen: set[str] = set()
    resolved = os.path.realpath(root)
    _walk_folder(os.fspath(root), is_spec, found, links, seen)
    while links:
        links, pending = [], sorted(links)
        for link in pending:
            target = os.path.realpath(link)
            if is_inside(target, resolved) or target == resolved:
                _walk_folder(link, is_spec, found, links, seen)
            else:
                found.append(link)
    return sorted(found)


def _walk_folder(
    folder: str, is_spec: Callable[[str], bool], found: list[str], links: list[str], seen: set[str]
) -> None:
    """Add the specs below a folder, and the links to other folders.

    Args:
        folder: The folder.
        is_spec: Returns whether a file with this name is a spec.
        found: Receives the paths of specs.
        links: Receives the paths of links to folders.
        seen: The folders that have been read, without links; receives this one.
    """
    folders = [folder]
    while folders:
        folder = folders.pop()
        resolved = os.path.realpath(folder)
        if resolved in seen:
            continue
        seen.add(resolved)
        try:
            with os.scandir(folder) as entries:
                listed = sorted(entries, key=lambda entry: entry.name)
        except OSError:
            found.append(folder)
            continue
        for entry in listed:
            if entry.name.startswith("."):
                continue
            if is_spec(entry.name):
                found.append(entry.path)
            elif entry.is_dir(follow_symlinks=False):
                folders.append(entry.path)
            elif entry.is_symlink() and os.path.isdir(entry.path):  # noqa: PTH112 - entry.is_dir() raises for a loop of links
                links.append(entry.path)


def _read(path: Path | str, root: str) -> bytes:
    resolved = os.path.realpath(path, strict=True)
    if not is_inside(resolved, root):
        raise UnreadableError("it is outside of the folder with the specs: copy it into the folder")
    # Opening a FIFO would block, and opening a device can have effects, so the file is checked before. It is
    # checked again afterwards, because the name can mean another file by then.
    _check_regular(os.stat(resolved))  # noqa: PTH116 - a Path takes longer
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
    kind = next((name for is_kind, name in _SPECIAL_FILES if is_kind(status.st_mode)), "a special file")
    raise UnreadableError(f"it is {kind}: replace it with a regular file")
