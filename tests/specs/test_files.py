"""Which files of a folder are read, and which are refused, each by its name."""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airflow_provider_cio.specs import SpecFolder
from airflow_provider_cio.specs.files import UnreadableError, read_text
from airflow_provider_cio.specs.problems import SpecError
from tests.specs.conftest import GOOD

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.specs.conftest import Folder

SECRET = "name: hush"


def make_socket(path: Path) -> None:
    """Create a socket. It is bound with a short path and then moved, because a bound path must be short."""
    folder = tempfile.mkdtemp(dir=path.parent)
    current = Path.cwd()
    os.chdir(folder)
    try:
        socket.socket(socket.AF_UNIX).bind("s")
    finally:
        os.chdir(current)
    (Path(folder) / "s").rename(path)


def link(target: str) -> Callable[[Path], None]:
    return lambda path: path.symlink_to(target)


#: What can have the name of a file, with how it is created, and the message.
SPECIAL: dict[str, tuple[Callable[[Path], object], str]] = {
    "FIFO": (os.mkfifo, "it is a FIFO"),
    "socket": (make_socket, "it is a socket"),
    "device": (link("/dev/zero"), "it is outside of the folder"),
    "directory": (Path.mkdir, "it is a folder"),
    "link to a directory": (link("."), "it is a folder|it is outside"),
    "link to a file elsewhere": (link("../secret.sql"), "it is outside of the folder"),
    "link to nothing": (link("nowhere"), "it is a link to a file that does not exist"),
    "link to itself": (lambda path: path.symlink_to(path), "it is a link to itself"),
    "too large": (lambda path: path.write_text("#" * 1_000_001), "it has more than 1,000,000 bytes"),
    "UTF-16": (lambda path: path.write_text(GOOD, "utf-16"), "line 1 is not UTF-8"),
    "Latin 1": (lambda path: path.write_text("# \n# é\n", "latin-1"), "line 2 is not UTF-8"),
}


@pytest.mark.parametrize("name", ["spec.yaml", "defaults.yaml", "people.sql"])
@pytest.mark.parametrize("kind", SPECIAL)
def test_what_is_not_a_file_of_the_folder_is_refused_by_its_name(
    folder: Folder, name: str, kind: str
) -> None:
    """Specs, defaults and queries are refused without waiting, and without displaying their content."""
    folder.write("secret.sql", SECRET)
    syncs = folder.root / "syncs"
    syncs.mkdir()
    make, message = SPECIAL[kind]
    make(syncs / name)
    if name != "spec.yaml":
        query = "query_file: people.sql" if name == "people.sql" else "query: SELECT 1"
        folder.write("syncs/spec.yaml", GOOD.replace("query: SELECT id FROM people", query))
    with pytest.raises(SpecError, match=message) as error:
        SpecFolder(syncs).load(syncs / "spec.yaml")
    assert name in str(error.value)
    assert "hush" not in str(error.value)
    assert SpecFolder(syncs).names(syncs / "spec.yaml") in (None, ("production", "active_people"))


def test_an_unreadable_file_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A file of another user, or on a failing disk, is an error with the reason, not a traceback."""
    path = tmp_path / "spec.yaml"
    path.write_text(GOOD)
    for error, message in (
        (PermissionError(13, "no"), "Airflow's user may not read it"),
        (OSError(5, "no"), "OSError"),
    ):

        def refuse(*_: object, error: OSError = error) -> int:
            raise error

        with monkeypatch.context() as patched:
            patched.setattr(os, "open", refuse)
            with pytest.raises(UnreadableError, match=message):
                read_text(path, str(tmp_path))


def test_special_files_do_not_take_others_out_of_the_list(folder: Folder) -> None:
    """Each special file beside a valid spec is listed as an error, and the valid spec is loaded."""
    for number, (make, _) in enumerate(SPECIAL.values()):
        make(folder.root / f"special{number}.yaml")
        make(folder.root / f"other{number}")
    good = folder.write("zzz.yaml", GOOD)
    specs = SpecFolder(folder.root)
    loaded, errors = specs.load_all(specs.paths())
    assert list(loaded) == [good]
    assert {f"special{number}.yaml" for number in range(len(SPECIAL))} <= {path.name for path in errors}
    assert all(isinstance(error, SpecError) for error in errors.values())


def test_links_of_a_config_map_and_of_git_sync_are_followed(folder: Folder) -> None:
    """The folder can be a link, and its files can be links to files inside it."""
    folder.write(
        "volume/..2026/active_people.yaml", GOOD.replace("query: SELECT id FROM people", "query_file: q.sql")
    )
    folder.write("volume/..2026/q.sql", "SELECT 1 AS id")
    volume = folder.root / "volume"
    (volume / "..data").symlink_to("..2026")
    for name in ("active_people.yaml", "q.sql"):
        (volume / name).symlink_to(f"..data/{name}")
    (folder.root / "current").symlink_to("volume")
    specs = SpecFolder(folder.root / "current")
    (path,) = specs.paths()
    assert specs.load(path).name == "active_people"


def test_linked_folders_are_read_once(folder: Folder) -> None:
    """A folder is read once, and a hidden folder at its first link. A link to the outside is refused."""
    folder.write("outside/hush.yaml", GOOD)
    folder.write("syncs/team/a.yaml", GOOD)
    folder.write("syncs/.shared/b.yaml", GOOD.replace("active_people", "b"))
    syncs = folder.root / "syncs"
    for name, target in {
        "again": "team",
        "shared": ".shared",
        "also": ".shared",
        "team/up": "..",
        "out": "../outside",
    }.items():
        (syncs / name).symlink_to(target)
    specs = SpecFolder(syncs)
    paths = [str(path.relative_to(syncs)) for path in specs.paths()]
    assert paths == ["also/b.yaml", "out", "team/a.yaml"]
    with pytest.raises(SpecError, match="out:1:1: cannot be read: it is outside of the folder"):
        specs.load(syncs / "out")
    assert specs.names(syncs / "out") is None


def test_names_that_cannot_be_printed_are_escaped(folder: Folder) -> None:
    """A newline would forge a line of the log, and a name that is not UTF-8 cannot be printed."""
    for name in (b"a\nb.yaml", b"a\xffb.yaml", b"a\x1b[31m.yaml"):
        path = Path(os.fsdecode(os.fsencode(folder.root) + b"/" + name))
        path.write_text("name: [")
        with pytest.raises(SpecError) as error:
            SpecFolder(folder.root).load(path)
        assert str(error.value).isprintable()


def test_the_ending_may_be_in_capitals(folder: Folder) -> None:
    """A spec that is ignored without a message would be noticed too late."""
    for name in ("a.YAML", "b.Yml", "c.yaml~", "d.txt", ".e.yaml"):
        folder.write(name, GOOD)
    assert [path.name for path in SpecFolder(folder.root).paths()] == ["a.YAML", "b.Yml"]


@pytest.mark.parametrize("name", ["defaults.yaml", "defaults.yml"])
def test_defaults_have_two_names(folder: Folder, name: str) -> None:
    """Both suffixes of YAML work, as for specs. Two files of defaults in one folder are a mistake."""
    folder.write(name, "owner: growth\n")
    assert folder.load().owner == "growth"
    assert [path.name for path in SpecFolder(folder.root).paths()] == ["spec.yaml"]
    folder.write("defaults.yaml", "")
    folder.write("defaults.yml", "")
    assert folder.problems(GOOD) == [
        "defaults.yml:1:1: defaults.yaml is in the same folder: keep one of the two"
    ]


def test_byte_order_marks_are_ignored(folder: Folder) -> None:
    """Editors on Windows write them into specs, defaults and queries."""
    folder.write("defaults.yaml", "\ufeffowner: growth\n")
    folder.write("people.sql", "\ufeffSELECT 1 AS id")
    spec = folder.load("\ufeff" + GOOD.replace("query: SELECT id FROM people", "query_file: people.sql"))
    assert spec.people
    assert (spec.owner, spec.people.query) == ("growth", "SELECT 1 AS id")


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r", "\x85"])
def test_every_end_of_a_line_is_understood(folder: Folder, newline: str) -> None:
    """Each end of a line of YAML works, and messages have the right line."""
    path = folder.root / "spec.yaml"
    path.write_bytes((GOOD + "nulls: drop\n").replace("\n", newline).encode())
    with pytest.raises(SpecError, match=r"spec.yaml:6:8: nulls cannot be drop"):
        SpecFolder(folder.root).load(path)


def test_a_query_file_must_end_in_sql(folder: Folder) -> None:
    """Airflow displays a query, so no other file, such as a spec with secrets of a notifier, can be one."""
    folder.write("other.yaml", GOOD + "on_failure: hush\n")
    text = GOOD.replace("query: SELECT id FROM people", "query_file: other.yaml")
    (problem,) = folder.problems(text)
    assert problem.startswith("spec.yaml:5:15: there is no readable file other.yaml in the folder")
    assert problem.endswith(": its name must end in .sql")
