"""Settings of reports that are not valid, and stores that fail or do not respond."""

from __future__ import annotations

import datetime as dt
import os
import stat
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_cio.engine import Rejection
from airflow_provider_cio.reports.report import Report, report_name
from tests.airflow.test_reports import read
from tests.airflow.test_sync import spec

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.airflow.conftest import Airflow

URL = "AIRFLOW__CUSTOMERIO__REPORTS_URL"
DAYS = "AIRFLOW__CUSTOMERIO__REPORT_RETENTION_DAYS"
REJECTION = Rejection("people", 1, "x", "identifiers.id", "invalid", "no", {"id": "x"})
#: The seconds that a hanging store waits: more than any bound in these tests.
HANG_SECONDS = 60


@pytest.mark.parametrize(
    "wrong",
    [
        (DAYS, "30 days", "[customerio] report_retention_days is not a valid number of days"),
        (DAYS, "-1", "report_retention_days is not a valid number of days"),
        (DAYS, "0", "report_retention_days is not a valid number of days"),
        (DAYS, "nan", "report_retention_days is not a valid number of days"),
        (DAYS, "inf", "report_retention_days is not a valid number of days"),
        (DAYS, "1e300", "report_retention_days is not a valid number of days"),
        (DAYS, "1000000", "report_retention_days is not a valid number of days"),
        (DAYS, "", "report_retention_days is not a valid number of days"),
        (URL, "foo://bucket/reports", "reports_url has the scheme foo, which no installed"),
        (
            URL,
            "memory://x/reports",
            "reports_url has the scheme memory, which no installed",
        ),
        (URL, "s3:///reports", "reports_url does not contain a bucket"),
        (URL, "s3://aws_default@/reports", "reports_url does not contain a bucket"),
        (URL, "s3:/bucket/reports", "reports_url is not a valid URL"),
        (URL, "s3://[bucket/reports", "reports_url is not a valid URL"),
        (URL, "simplecache::s3://bucket", "reports_url is not a valid URL"),
        (URL, "C:\\reports", "reports_url is not a valid URL"),
        (URL, "reports", "reports_url is a relative path"),
        (URL, "./reports", "reports_url is a relative path"),
        (URL, "file://reports", "reports_url is a relative path"),
        (URL, "file:reports", "reports_url is a relative path"),
        (URL, "file://{AIRFLOW_HOME}/reports", "reports_url is a relative path"),
        (URL, " ", "reports_url is empty"),
        (URL, "foo://key:t0psecret@bucket/reports", "reports_url has the scheme foo"),
    ],
)
def test_settings_are_checked_before_a_row_is_read(
    connected: Airflow,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    wrong: tuple[str, str, str],
) -> None:
    """The run fails without a retry. The message does not quote a URL, which can contain credentials."""
    option, value, message = wrong
    monkeypatch.setenv(option, value)
    text = spec("settings", "SELECT NULL AS id")
    connected.write("syncs/settings.yaml", text.replace("retries: 0", "retries: 5"))
    run = connected.run("customerio.production.settings")
    summary = connected.summary(run)
    assert (run.state, run.get_task_instances()[0].try_number) == ("failed", 1)
    assert (summary["status"], summary["rows_read"], summary["requests"]) == ("Failed", 0, 0)
    out = capfd.readouterr().out
    assert message in out
    assert "t0psecret" not in out


def test_only_the_owner_can_read_folders_and_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This holds for each umask, and for folders that exist. The mode of a root that exists stays."""
    for root, mode, umask in (("new/reports", None, 0), ("mine", 0o755, 0o777), ("deep", 0o750, 0o022)):
        folder = tmp_path / root
        if mode:
            (folder / "w" / "s").mkdir(parents=True)
            for each in (folder, folder / "w", folder / "w" / "s"):
                each.chmod(mode)
        monkeypatch.setenv(URL, f"file://{folder}")
        before = os.umask(umask)
        try:
            report = Report("w", "s", dt.datetime.now(dt.UTC))
            report.add(REJECTION)
            report.close()
        finally:
            os.umask(before)
        assert report.location
        assert stat.S_IMODE(folder.stat().st_mode) == (mode or 0o700)
        for each in (folder / "w", folder / "w" / "s"):
            assert stat.S_IMODE(each.stat().st_mode) == 0o700
        (file,) = (folder / "w" / "s").iterdir()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_links_are_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is written through a symbolic link in place of a report or of its folder."""
    monkeypatch.setenv(URL, f"file://{tmp_path}/reports")
    (tmp_path / "reports" / "w").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "reports" / "w" / "linked").symlink_to(tmp_path / "elsewhere")
    report = Report("w", "linked", dt.datetime.now(dt.UTC))
    report.add(REJECTION)
    report.close()
    assert report.location is None
    started = dt.datetime.now(dt.UTC)
    (tmp_path / "reports" / "w" / "s").mkdir()
    (tmp_path / "reports" / "w" / "s" / report_name(started)).symlink_to(tmp_path / "elsewhere" / "file")
    report = Report("w", "s", started)
    report.add(REJECTION)
    report.close()
    assert report.location is None
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_old_reports_are_removed_a_thousand_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next run removes the rest. Files that are not reports, and links, stay."""
    monkeypatch.setenv(URL, f"file://{tmp_path}")
    folder = tmp_path / "w" / "s"
    folder.mkdir(parents=True)
    old = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    for n in range(1200):
        (folder / report_name(old + dt.timedelta(seconds=n))).touch()
    (folder / "2020-01-01T000000.5Z.csv").touch()
    (folder / report_name(old - dt.timedelta(days=1))).symlink_to("/etc/passwd")
    for left in (202, 2, 2):
        Report("w", "s", dt.datetime.now(dt.UTC)).close()
        assert len(list(folder.iterdir())) == left


class Store(MemoryFileSystem):  # type: ignore[misc] # fsspec has no types
    """A store that fails or hangs at one of its steps."""

    cachable = False

    def __init__(self, step: str = "", error: Exception | None = None) -> None:
        super().__init__()
        self.step, self.error = step, error
        self.released = threading.Event()

    def do(self, step: str) -> None:
        """Fail at the step, or hang if there is no error to raise."""
        if step != self.step:
            return
        if self.error:
            raise self.error
        self.released.wait(HANG_SECONDS)

    def makedirs(self, path: str, exist_ok: bool = False) -> None:  # noqa: FBT001, FBT002 - fsspec's signature
        """Create folders."""
        self.do("makedirs")
        super().makedirs(path, exist_ok=exist_ok)

    def _open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        self.do("open")
        file, store = super()._open(path, mode, **options), self
        write, close = file.write, file.close

        def failing_write(chunk: bytes) -> int:
            store.do("write")
            return int(write(chunk))

        def failing_close() -> None:
            store.do("close")
            close()

        file.write, file.close = failing_write, failing_close
        return file

    def ls(self, path: str, detail: bool = True, **options: Any) -> Any:  # noqa: FBT001, FBT002
        """List a folder."""
        self.do("ls")
        return super().ls(path, detail, **options)


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return a function that creates the store of ``memory://`` URLs."""
    from airflow.sdk.io.store import _STORE_CACHE, attach

    monkeypatch.setenv(URL, "memory://bucket/reports")
    stores = []

    def make(step: str = "", error: Exception | None = None) -> Store:
        store = Store(step, error)
        stores.append(store)
        _STORE_CACHE.pop("memory", None)
        attach("memory", fs=store)
        return store

    yield make
    _STORE_CACHE.pop("memory", None)
    MemoryFileSystem.store.clear()
    for store in stores:
        store.released.set()


@pytest.mark.parametrize("step", ["makedirs", "open", "write", "close", "ls"])
@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), PermissionError("t0psecret"), ValueError("t0psecret")]
)
def test_a_store_that_fails_does_not_end_the_run(
    connected: Airflow, stored: Any, caplog: pytest.LogCaptureFixture, step: str, error: Exception
) -> None:
    """All rows are tried, and the log has a line about the report without the text of the error."""
    stored(step, error)
    connected.write("syncs/failing.yaml", spec("failing", "SELECT id FROM (VALUES ('ok1'), (NULL)) t (id)"))
    run = connected.run("customerio.production.failing")
    summary = connected.summary(run)
    assert (run.state, summary["status"]) == ("failed", "Some rows failed")
    assert summary["queries"]["people"] == {"read": 2, "imported": 1, "failed": 1}
    out = caplog.text
    assert "t0psecret" not in out
    if step == "ls":
        assert summary["report"].startswith("memory://bucket/reports/production/failing/")
        assert "Old reports of the sync cannot be removed" in out
    else:
        assert summary["report"] is None
        assert f"The report cannot be written ({type(error).__name__})" in out


@pytest.mark.parametrize("step", ["makedirs", "open", "write", "close", "ls"])
def test_a_store_that_does_not_respond_is_abandoned(
    stored: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, step: str
) -> None:
    """The run waits for a bounded time once, and not again for the same store."""
    bound = "_CLEAN_UP_SECONDS" if step == "ls" else "_STEP_SECONDS"
    monkeypatch.setattr(f"airflow_provider_cio.reports.report.{bound}", 0.5)
    stored(step)
    report = Report("w", "s", dt.datetime.now(dt.UTC))
    started = time.monotonic()
    for _ in range(20_000):
        report.add(REJECTION)
    report.close()
    assert time.monotonic() - started < HANG_SECONDS
    assert (report.location is None) is (step != "ls")
    expected = "cannot be removed (TimeoutError)" if step == "ls" else "the store does not respond"
    assert expected in caplog.text


def test_a_run_that_airflow_ends_does_not_wait_for_the_store(stored: Any) -> None:
    """Airflow kills a task 5 seconds after its signal, so the report is closed quickly."""
    store = stored("close")
    report = Report("w", "s", dt.datetime.now(dt.UTC))
    report.add(REJECTION)
    started = time.monotonic()
    report.close(quickly=True)
    assert time.monotonic() - started < HANG_SECONDS / 2
    assert report.location is None
    assert not store.released.is_set()


def test_an_object_store_gets_the_same_report(connected: Airflow, stored: Any, tmp_path: Path) -> None:
    """The report in an object store is complete and has the expected name."""
    store = stored()
    connected.write(
        "syncs/stored.yaml", spec("stored", "SELECT NULL AS id, n FROM generate_series(1, 9000) n")
    )
    summary = connected.summary(connected.run("customerio.production.stored"))
    (path,) = store.ls("/bucket/reports/production/stored", detail=False)
    assert summary["report"] == f"memory://bucket/reports/production/stored/{path.rpartition('/')[2]}"
    (tmp_path / "copy").write_bytes(store.cat_file(path))
    assert [line["n"] for line in read(tmp_path / "copy")] == [str(n) for n in range(1, 9001)]


def test_a_timeout_ends_a_run_whose_store_does_not_respond(connected: Airflow, stored: Any) -> None:
    """The run ends although the source and the store are busy for minutes, and it has a summary."""
    stored("close")
    query = "SELECT NULL AS id FROM generate_series(1, 99999) n WHERE n < 50000 OR pg_sleep(600) IS NULL"
    connected.write("syncs/stuck.yaml", spec("stuck", query, "execution_timeout: 3 seconds\n"))
    started = time.monotonic()
    run = connected.run("customerio.production.stuck")
    assert time.monotonic() - started < HANG_SECONDS
    summary = connected.summary(run)
    assert (run.state, summary["status"], summary["report"]) == ("failed", "Failed", None)


@pytest.mark.usefixtures("airflow")
def test_a_run_that_is_killed_stops_all_its_parts() -> None:
    """Airflow calls `on_kill` from a signal handler. A part that blocks or fails delays no other part."""
    from airflow_provider_cio.operators.sync import CustomerIOSyncOperator

    class Part:
        def __init__(self, *, blocks: bool) -> None:
            self.blocks, self.called, self.released = blocks, threading.Event(), threading.Event()

        def stop(self) -> None:
            self.called.set()
            if self.blocks:
                self.released.wait(HANG_SECONDS)
            raise OSError

    parts: Any = [Part(blocks=True), Part(blocks=False), Part(blocks=True)]
    operator = CustomerIOSyncOperator(
        task_id="a", workspace="w", sync_name="s", people_query="SELECT 1 AS id"
    )
    operator._stoppable = parts  # noqa: SLF001 - a run sets it
    operator.on_kill()
    for part in parts:
        assert part.called.wait(HANG_SECONDS / 2)
        part.released.set()
