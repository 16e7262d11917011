"""Notifications of a run's end: Airflow's notifiers send mails to a real SMTP server."""

from __future__ import annotations

import email
import re
from email.header import decode_header, make_header
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aiosmtpd.controller import Controller

from local.processes import free_port
from tests.airflow.test_sync import PEOPLE, spec

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import Message

    from tests.airflow.conftest import Airflow
    from tests.conftest import Database

DOCS = Path(__file__).parents[2] / "docs" / "notifications.md"


class Mailbox:
    """Accepts and stores every mail."""

    def __init__(self) -> None:
        self.mails: list[Message] = []

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        """Store a mail."""
        self.mails.append(email.message_from_bytes(envelope.content))
        return "250 OK"

    def take(self) -> list[tuple[str, str, str]]:
        """Return the recipient, subject and text of each new mail, and forget the mails."""
        mails, self.mails = self.mails, []
        return [
            (str(mail["To"]), str(make_header(decode_header(mail["Subject"]))), _text(mail)) for mail in mails
        ]


def _text(mail: Message) -> str:
    parts = [part.get_payload(decode=True) for part in mail.walk() if part.get_content_maintype() == "text"]
    return "\n".join(part.decode() for part in parts if isinstance(part, bytes))


@pytest.fixture
def mailbox(connected: Airflow) -> Iterator[Mailbox]:
    """Return the mailbox of an SMTP server to which Airflow has a connection."""
    mailbox = Mailbox()
    server = Controller(mailbox, hostname="127.0.0.1", port=free_port())
    server.start()
    extra = {"disable_ssl": True, "disable_tls": True, "from_email": "airflow@example.com"}
    connected.connect("smtp_default", conn_type="smtp", host="127.0.0.1", port=server.port, extra=extra)
    yield mailbox
    server.stop()


def example() -> str:
    """Return the example of the documentation."""
    found = re.search(r"```yaml\n(on_failure:.*?)```", DOCS.read_text(), re.DOTALL)
    assert found
    return found.group(1)


def test_the_example_of_the_documentation_sends_mails(
    connected: Airflow, database: Database, mailbox: Mailbox
) -> None:
    """A run with failed rows and a run that Completed send their summaries, without personal data."""
    database.execute(f"{PEOPLE}; INSERT INTO people VALUES ('n1', 'a@b.co'), ('n2', 'no address')")
    connected.write("syncs/notified.yaml", spec("notified", more=example()))
    run = connected.run("customerio.production.notified")
    ((to, subject, text),) = mailbox.take()
    assert (run.state, to) == ("failed", "growth@example.com")
    assert subject == "customerio.production.notified: Some rows failed"
    assert "1 of 2 rows failed" in text
    assert connected.summary(run)["report_url"] in text.replace("&amp;", "&")
    assert "no address" not in text
    database.execute("UPDATE people SET email = NULL")
    run = connected.run("customerio.production.notified")
    ((_, subject, text),) = mailbox.take()
    assert (run.state, subject) == ("success", "customerio.production.notified: 2 rows imported")


def test_a_run_that_fails_before_it_begins_sends_a_mail(connected: Airflow, mailbox: Mailbox) -> None:
    """The mail has the status Failed and no rows."""
    of_one_query = example().replace("summary.rows_failed", "summary.queries.people.failed")
    connected.write("syncs/early.yaml", spec("early", more=of_one_query))
    connected.set_variable("customerio.production.early.last_sync_time", "yesterday")
    assert connected.run("customerio.production.early").state == "failed"
    ((_, subject, text),) = mailbox.take()
    assert subject == "customerio.production.early: Failed"
    assert "0 of 0 rows failed" in text


def test_a_wrong_notifier_is_a_mistake_in_the_spec(airflow: Airflow) -> None:
    """An unknown path, a class that is not a notifier, and missing or unknown arguments are refused."""
    smtp = "airflow.providers.smtp.notifications.smtp.SmtpNotifier"
    mistakes = {
        "{notifier: airflow.nowhere.Notifier}": "airflow.nowhere.Notifier cannot be imported: ",
        "{notifier: airflow.sdk.DAG}": "airflow.sdk.DAG is not a notifier of Airflow",
        f"{{notifier: {smtp}}}": "SmtpNotifier needs to",
        f"{{notifier: {smtp}, arguments: {{too: a@b.co}}}}": "SmtpNotifier",
    }
    for number, (notifier, message) in enumerate(mistakes.items()):
        airflow.write("syncs/wrong.yaml", spec(f"wrong{number}", more=f"on_failure: [{notifier}]\n"))
        broken = airflow.dags()[f"customerio.production.wrong{number}"]
        assert "spec-error" in broken.tags
        assert f"wrong.yaml:5:14: on_failure.0: {message}" in broken.doc_md
