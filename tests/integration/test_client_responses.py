"""Responses that are damaged, endless, slow or undocumented never count as a verdict."""

from __future__ import annotations

import gzip
import itertools
import json
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_cio.errors import (
    AddressError,
    ConfigurationError,
    CredentialsError,
    RateLimitedError,
    RefusedError,
    TransientError,
    UnavailableError,
)
from airflow_provider_cio.track import AppClient, TrackClient
from airflow_provider_cio.track.backoff import backoff_seconds, parse_retry_after
from airflow_provider_cio.track.bounds import (
    ACTIVITY_PAGES,
    EMPTY_ACTIVITY_PAGES,
    FIRST_BACKOFF,
    MAX_RETRY_AFTER,
)
from airflow_provider_cio.track.rate_limiter import RateLimiter
from airflow_provider_cio.track.rejected_operation import RejectedOperation
from tests.raw_server import RawServer, answer

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterable

OPERATION = b'{"type":"person","identifiers":{"id":"1"},"attributes":{"a":1},"action":"identify"}'
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
SECRET = "quoted@example.com"

#: Seconds; much longer than any test here takes with a bounded client.
A_MINUTE = 60


@pytest.fixture
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the pauses between attempts in tests that are not about them."""
    monkeypatch.setattr("airflow_provider_cio.track.backoff.FIRST_BACKOFF", 0.01)


def client(server: RawServer, **options: Any) -> TrackClient:
    """Create a client of a server."""
    return TrackClient(
        site_id="site", api_key="key-12345", base_url=server.url, **{"retry_for": 30, **options}
    )


def app(server: RawServer, **options: Any) -> AppClient:
    """Create a client of a server's App API."""
    return AppClient(api_key="key-12345", base_url=server.url, **{"retry_for": 30, **options})


def gzipped(body: bytes, encoding: bytes = b"gzip") -> bytes:
    """Return a response with a compressed body."""
    return answer(body, headers=b"Content-Encoding: " + encoding + b"\r\n")


DAMAGE = {
    "no answer": b"",
    "half a status line": b"HTTP/1.",
    "not HTTP": b"SSH-2.0-OpenSSH_9.2\r\n",
    "HTTP/0.9": b"{}",
    "a status that is a word": b"HTTP/1.1 fine\r\n\r\n{}",
    "a status of two digits": b"HTTP/1.1 20 OK\r\n\r\n{}",
    "a status of four digits": b"HTTP/1.1 2000 OK\r\n\r\n{}",
    "NUL bytes": bytes(1000),
    "a header without a colon": OK + b"nonsense\r\nContent-Length: 2\r\n\r\n{}",
    "a header of NUL bytes": OK + b"\0\0: \0\r\nContent-Length: 2\r\n\r\n{}",
    "a header that is too long": OK + b"X: " + b"x" * 70_000 + b"\r\nContent-Length: 2\r\n\r\n{}",
    "too many headers": OK + b"X: x\r\n" * 200 + b"Content-Length: 2\r\n\r\n{}",
    "half the headers": OK + b"Content-Le",
    "two lengths": OK + b"Content-Length: 2, 7\r\n\r\n{}",
    "two length headers": OK + b"Content-Length: 2\r\nContent-Length: 7\r\n\r\n{}",
    "a negative length": OK + b"Content-Length: -2\r\n\r\n{}",
    "a length that is a word": OK + b"Content-Length: two\r\n\r\n{}",
    "a length beyond the body": OK + b"Content-Length: 200\r\n\r\n{}",
    "a huge length": OK + b"Content-Length: 99999999999999999999999\r\n\r\n{}",
    "a length below the body": OK + b"Content-Length: 1\r\n\r\n{}",
    "a bad chunk size": CHUNKED + b"two\r\n{}\r\n0\r\n\r\n",
    "a negative chunk size": CHUNKED + b"-2\r\n{}\r\n0\r\n\r\n",
    "a huge chunk size": CHUNKED + b"F" * 40 + b"\r\n{}\r\n0\r\n\r\n",
    "a chunk that ends early": CHUNKED + b"20\r\n{}",
    "no last chunk": CHUNKED + b"2\r\n{}\r\n",
    "not gzip": gzipped(b"{}"),
    "half of gzip": gzipped(gzip.compress(b"{}" * 50)[:-12]),
    "not deflate": gzipped(b"{}", b"deflate"),
    "an encoding that was not asked for": gzipped(b"{}", b"br"),
    "two encodings": gzipped(gzip.compress(gzip.compress(b"{}")), b"gzip, gzip"),
    "an encoding that does not exist": gzipped(b"{}", b"rot13"),
    "a bomb of gzip": gzipped(gzip.compress(bytes(50_000_000))),
    "a bomb of deflate": gzipped(zlib.compress(bytes(50_000_000)), b"deflate"),
    "a body that is too large": answer(b" " * 5_000_000 + b"{}"),
}


@pytest.mark.usefixtures("short_pauses")
@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_answer_is_repeated(damage: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """A damaged response is an outage, whichever library detects it. The log has no traceback."""
    with RawServer(damage) as server, client(server) as track:
        assert track.send_batch([OPERATION]) == []
        assert track.requests == 2
        with (
            pytest.raises(UnavailableError) as error,
            RawServer(last=damage) as bad,
            client(bad, retry_for=0) as c,
        ):
            c.send_batch([OPERATION])
    assert "key-12345" not in str(error.value)
    assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.parametrize("body", [gzip.compress(b"{}\n"), zlib.compress(b"{}")], ids=["gzip", "deflate"])
def test_a_compressed_answer_is_read(body: bytes) -> None:
    """Compressed responses are decompressed."""
    encoding = b"gzip" if body[0] == 0x1F else b"deflate"
    with RawServer(gzipped(body, encoding)) as server, client(server) as track:
        assert track.send_batch([OPERATION]) == []
        assert track.requests == 1


def sends(pieces: Iterable[bytes], pause: float = 0) -> Any:
    """Return a script that sends these pieces as long as the client reads."""

    def send(connection: socket.socket) -> None:
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(pause)

    return send


ENDLESS = {
    "headers": ([OK], b"X: " + b"x" * 1000 + b"\r\n"),
    "one header": ([OK, b"X: "], b"x" * 1000),
    "a status line": ([b"HTTP/1.1 200 "], b"x" * 1000),
    "interim responses": ([], b"HTTP/1.1 100 Continue\r\n\r\n"),
    "headers of interim responses": ([b"HTTP/1.1 100 Continue\r\n"], b"X: x\r\n"),
    "body": ([OK, b"\r\n"], b" " * 65_536),
    "body with a length": ([OK, b"Content-Length: 999999999999\r\n\r\n"], b" " * 65_536),
    "chunks": ([CHUNKED], b"400\r\n" + b" " * 1024 + b"\r\n"),
    "one chunk": ([CHUNKED, b"FFFFFFFFFF\r\n"], b" " * 65_536),
    "extensions of chunks": ([CHUNKED], b"1;" + b"x" * 5000 + b"\r\n \r\n"),
    "trailers": ([CHUNKED, b"2\r\n{}\r\n0\r\n"], b"X: " + b"x" * 1000 + b"\r\n"),
    "body of an error": ([b"HTTP/1.1 503 X\r\n\r\n"], b" " * 65_536),
}


@pytest.mark.parametrize(("begin", "piece"), ENDLESS.values(), ids=ENDLESS)
def test_an_endless_answer_is_cut_off(begin: list[bytes], piece: bytes) -> None:
    """An endless response fails, whichever part of it is endless."""
    script = sends(itertools.chain(begin, itertools.repeat(piece)))
    with RawServer(last=script) as server, client(server, timeout=20, retry_for=0) as track:
        with pytest.raises(UnavailableError):
            track.send_batch([OPERATION])
        with app(server, timeout=20, retry_for=0) as app_client, pytest.raises(UnavailableError):
            app_client.segments()


SLOW = {
    "nothing": ([], b""),
    "status line": ([], b"H"),
    "headers": ([OK, b"X: "], b"x"),
    "interim responses": ([], b"HTTP/1.1 100 Continue\r\n\r\n"),
    "body": ([OK, b"Content-Length: 1000000\r\n\r\n"], b" "),
    "body without a length": ([OK, b"\r\n"], b" "),
    "chunks": ([CHUNKED], b"1\r\n \r\n"),
    "body of an error": ([b"HTTP/1.1 503 X\r\n\r\n"], b" "),
    "body of a 429": ([b"HTTP/1.1 429 X\r\n\r\n"], b" "),
}


@pytest.mark.parametrize(("begin", "piece"), SLOW.values(), ids=SLOW)
def test_a_slow_answer_ends_with_the_time_of_a_request(begin: list[bytes], piece: bytes) -> None:
    """A response that arrives byte by byte fails at the timeout, and all attempts end within `retry_for`."""
    script = sends(itertools.chain(begin, itertools.repeat(piece)), pause=0.1)
    start = time.monotonic()
    with RawServer(last=script) as server, client(server, timeout=0.4, retry_for=0.6) as track:
        with pytest.raises(TransientError):
            track.send_batch([OPERATION])
        assert track.requests <= 3
    assert time.monotonic() - start < A_MINUTE


UNDOCUMENTED = {
    "an empty body": answer(b""),
    "null": answer(b"null"),
    "a list": answer(b"[]"),
    "a number": answer(b"0"),
    "true": answer(b"true"),
    "a text": answer(b'"ok"'),
    "not JSON": answer(b"OK"),
    "two objects": answer(b"{}{}"),
    "half of JSON": answer(b'{"errors": ['),
    "half of success": answer(b"{"),
    "a page": answer(b"<!DOCTYPE html><html><body>maintenance</body></html>"),
    "a message": answer(b'{"message": "maintenance"}'),
    "a status": answer(b'{"status": "ok"}'),
    "a body that is nested too deeply": answer(b'{"errors": ' + b"[" * 100_000),
    "a message that is not UTF-8": answer(b'{"message": "\xff"}'),
    "bytes that are not UTF-8": answer(b"\xff\xfe{\0}\0"),
    "errors that are a text": answer(b'{"errors": "no"}'),
    "errors that are an object": answer(b'{"errors": {"batch_index": 0}}'),
    "errors that are texts": answer(b'{"errors": ["no"]}'),
    "an index that is a text": answer(b'{"errors": [{"batch_index": "0"}]}'),
    "an index that is a fraction": answer(b'{"errors": [{"batch_index": 0.5}]}'),
    "a huge index": answer(b'{"errors": [{"batch_index": 99999999999999999999}]}'),
    "an index beyond the batch": answer(b'{"errors": [{"batch_index": 1}]}'),
    "a negative index": answer(b'{"errors": [{"batch_index": -1}]}'),
    "no index": answer(b'{"errors": [{"reason": "invalid"}]}'),
    "one index of two": answer(b'{"errors": [{"batch_index": 0}, {"batch_index": 5}]}'),
    "207 without errors": answer(b"{}", status=207),
    "207 with null": answer(b'{"errors": null}', status=207),
    "207 with an empty list": answer(b'{"errors": []}', status=207),
    "207 with a page": answer(b"<html></html>", status=207),
    "400 with a page": answer(b"<html>Bad Request</html>", status=400),
    "400 with a message": answer(b'{"message": "Bad Request"}', status=400),
    "400 with an empty body": answer(b"", status=400),
    "400 with an empty object": answer(b"{}", status=400),
    "400 with an empty list": answer(b'{"errors": []}', status=400),
    "400 with an empty meta": answer(b'{"meta": {}}', status=400),
    "400 with half of JSON": answer(b'{"errors": [{"batch_index": 0', status=400),
    **{
        str(status): answer(b"{}", status=status)
        for status in (
            *(201, 202, 203, 205, 206, 226, 299),
            *(402, 405, 406, 408, 409, 410, 411, 412, 414, 415, 416, 417, 418, 421, 422, 423, 424, 425, 426),
            *(428, 431, 451, 499, 500, 501, 502, 503, 504, 505, 507, 511, 520, 522, 524, 599, 999),
        )
    },
    "204": b"HTTP/1.1 204 No Content\r\n\r\n",
    "101": b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    "103": b"HTTP/1.1 103 Early Hints\r\n\r\n",
}


@pytest.mark.usefixtures("short_pauses")
@pytest.mark.parametrize("undocumented", UNDOCUMENTED.values(), ids=UNDOCUMENTED)
def test_an_answer_that_the_api_does_not_document_is_repeated(undocumented: bytes) -> None:
    """An undocumented response neither accepts nor rejects a row, and the request is repeated."""
    with RawServer(undocumented) as server, client(server) as track:
        assert track.send_batch([OPERATION]) == []
        assert track.requests == 2


@pytest.mark.usefixtures("short_pauses")
@pytest.mark.parametrize(
    "name", ["a message", "a page", "an empty body", "400 with a page", "204", "201", "422"]
)
def test_people_are_added_to_a_segment_only_after_a_documented_response(name: str) -> None:
    """People count as added to a segment only after a documented response."""
    with RawServer(UNDOCUMENTED[name]) as server, client(server) as track:
        track.add_to_segment(7, "id", ["1"])
        assert track.requests == 2


@pytest.mark.parametrize("body", [b'{"meta":{"error":"no"}}', b'{"meta":{"errors":["no"]}}'])
def test_a_refusal_of_people_is_not_repeated(body: bytes) -> None:
    """A documented 400 to people for a segment is not repeated."""
    with RawServer(answer(body, status=400)) as server, client(server) as track:
        with pytest.raises(RefusedError) as refusal:
            track.add_to_segment(7, "id", ["1"])
        assert (track.requests, refusal.value.message) == (1, "no")


@pytest.mark.parametrize(
    ("status", "error"),
    [
        *((status, AddressError) for status in (300, 301, 302, 303, 304, 305, 307, 308, 399, 404)),
        *((status, CredentialsError) for status in (401, 403)),
        (407, ConfigurationError),
    ],
)
@pytest.mark.parametrize("body", [b"", b"<html></html>", b'{"meta":{"error":"quoted@example.com"}}'])
def test_a_configuration_error_fails_at_once(
    status: int, error: type[ConfigurationError], body: bytes
) -> None:
    """Errors that need a correction fail at once. The message contains neither the body nor a key."""
    given = answer(body, status=status, headers=b"Location: https://elsewhere/\r\n")
    with RawServer(last=given) as server, client(server) as track:
        with pytest.raises(error, match=str(status)) as raised:
            track.send_batch([OPERATION])
        assert track.requests == 1
        with app(server) as app_client, pytest.raises(ConfigurationError, match=str(status)):
            app_client.segments()
    assert SECRET not in str(raised.value)
    assert "key-12345" not in str(raised.value)


def test_a_status_is_enough_where_the_body_is_damaged() -> None:
    """A 401 fails at once even if its body is damaged."""
    with RawServer(last=b"HTTP/1.1 401 X\r\nContent-Length: 500\r\n\r\n{") as server, client(server) as track:
        with pytest.raises(CredentialsError):
            track.send_batch([OPERATION])
        assert track.requests == 1


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (b"caf\xe9 is wrong", "caf\ufffd is wrong"),
        (b"half \\ud83d of it", "half \ufffd of it"),
        (b"half \\ude00 of it", "half \ufffd of it"),
        (b"all \\ud83d\\ude00 of it", "all \U0001f600 of it"),
        (b"a NUL \\u0000", "a NUL \0"),
    ],
)
def test_a_message_with_half_a_character_is_still_a_verdict(sent: bytes, read: str) -> None:
    """A message with half a character, from a truncated quote, still rejects its row."""
    body = (
        b'{"errors":[{"batch_index":0,"reason":"invalid","field":"attributes.a","message":"' + sent + b'"}]}'
    )
    with RawServer(answer(body, status=207)) as server, client(server) as track:
        assert track.send_batch([OPERATION]) == [RejectedOperation(0, "invalid", "attributes.a", read)]


def test_an_error_may_have_null_for_all_but_the_index() -> None:
    """An error with nulls and an index rejects its operation without a reason."""
    body = {"errors": [{"batch_index": 0, "reason": None, "field": None, "message": None}], "more": 1}
    with RawServer(answer(json.dumps(body).encode(), status=207)) as server, client(server) as track:
        assert track.send_batch([OPERATION]) == [RejectedOperation(0, "", "", "")]


def test_a_cookie_is_not_sent_back() -> None:
    """Cookies are neither stored nor sent back."""
    given = answer(headers=b"Set-Cookie: a=b; Path=/\r\n")
    with RawServer(given, given) as server, client(server) as track:
        for _ in range(2):
            track.send_batch([OPERATION])
        assert not [head for head in server.heads if b"cookie" in head.lower()]


# Pauses.


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        *(("", None), ("soon", None), ("-5", 0), ("0", 0), ("007", 7), ("1.5", 1.5), (" 3 ", 3)),
        *(("1e3", 1000), ("9" * 400, float("inf")), ("inf", float("inf")), ("nan", None), ("0x10", None)),
        *(("5, 7", None), ("5;7", None), ("²", None), ("\0", None), ("None", None)),
        ("Fri, 31 Dec 99999 23:59:59 GMT", None),
        ("Fri, 31 Dec 9999 23:59:59 +9999", None),
        ("Wed, 99 Foo 2025 07:28:00 GMT", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("Wed, 21 Oct 2015 07:28:00", 0),
    ],
)
def test_any_retry_after_is_read_or_ignored(text: str, seconds: float | None) -> None:
    """Any Retry-After is either parsed or ignored."""
    assert parse_retry_after(text) == seconds


def test_a_pause_is_never_shorter_than_the_backoff_and_never_longer_than_300_seconds() -> None:
    """Retry-After can only lengthen a pause, up to 300 seconds."""
    for failures in range(1, 3000, 7):
        assert 0.25 <= backoff_seconds(failures) <= 30
        assert backoff_seconds(failures, 0) >= 0.25
        assert backoff_seconds(failures, -1) >= 0.25
        assert backoff_seconds(failures, 100) == 100
        assert backoff_seconds(failures, float("inf")) == MAX_RETRY_AFTER


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("headers", [b"", b"Retry-After: 0\r\n", b"Retry-After: 0\r\nRetry-After: 0\r\n"])
def test_an_outage_gets_few_requests(status: int, headers: bytes) -> None:
    """A Retry-After of 0 does not shorten the pauses."""
    with (
        RawServer(last=answer(b"", status=status, headers=headers)) as server,
        client(server, retry_for=2) as track,
        pytest.raises(TransientError),
    ):
        track.send_batch([OPERATION])
    assert 2 <= track.requests <= 2 / (FIRST_BACKOFF / 2) + 1


@pytest.mark.parametrize("status", [429, 503])
def test_a_pause_beyond_the_end_is_not_waited_for(status: int) -> None:
    """A Retry-After beyond `retry_for` fails at once, because no attempt would follow the pause."""
    given = answer(b"", status=status, headers=b"Retry-After: 200\r\n")
    start = time.monotonic()
    with RawServer(last=given) as server, client(server) as track:
        with pytest.raises(TransientError):
            track.send_batch([OPERATION])
        assert track.requests == 1
    assert time.monotonic() - start < A_MINUTE


def test_a_burst_of_429_halves_the_rate_once() -> None:
    """All 429s until the limiter opens again belong to one burst, which halves the rate once."""
    limiter = RateLimiter(100)
    begun = time.monotonic()
    for _ in range(64):
        limiter.on_429(begun, None)
    assert limiter.per_second == 50
    assert not limiter.try_start()
    while closed := limiter.seconds_closed():
        time.sleep(closed)
    assert limiter.try_start()  # one may try …
    assert not limiter.try_start()  # … and only one
    limiter.on_429(time.monotonic(), None)
    assert limiter.per_second == 50
    limiter.on_response(begun)  # an answer to a request of before
    assert not limiter.try_start()
    limiter.on_response(time.monotonic())
    assert limiter.try_start()
    assert limiter.try_start()
    assert limiter.per_second == 52
    limiter.on_429(time.monotonic(), None)
    assert limiter.per_second == 26


def test_all_lanes_pause_together_after_a_429() -> None:
    """A 429 pauses the requests of all lanes."""
    limited = answer(b"", status=429, headers=b"Retry-After: 1\r\n")
    with RawServer(limited, limited, limited) as server, client(server, max_concurrent_requests=16) as track:
        with ThreadPoolExecutor(16) as threads:
            assert list(threads.map(track.send_batch, [[OPERATION]] * 16)) == [[]] * 16
        assert track.requests == 16 + 3


def test_a_lane_that_waits_behind_a_429_gives_up_in_time() -> None:
    """All lanes give up within `retry_for`, also those that wait for their first attempt."""
    start = time.monotonic()
    with RawServer(last=answer(b"", status=429)) as server, client(server, retry_for=3) as track:
        with ThreadPoolExecutor(16) as threads:
            futures = [threads.submit(track.send_batch, [OPERATION]) for _ in range(16)]
        assert all(isinstance(future.exception(), RateLimitedError) for future in futures)
    assert time.monotonic() - start < 16 * 3


# The App API.


def page(activities: int, cursor: str | None) -> bytes:
    """Return a page of the activity log."""
    entries = [{"id": str(number)} for number in range(activities)]
    return answer(json.dumps({"activities": entries, "next": cursor}).encode())


def numbered(activities: int) -> Any:
    """Return a script of endless pages."""
    numbers = itertools.count()

    def send(connection: socket.socket) -> None:
        connection.sendall(page(activities, f"cursor-{next(numbers)}"))

    return send


@pytest.mark.parametrize(
    ("script", "pages"),
    [
        pytest.param(page(1, "again"), 2, id="the same cursor"),
        pytest.param(numbered(0), EMPTY_ACTIVITY_PAGES, id="pages without activities"),
    ],
)
def test_an_endless_activity_log_is_read_in_part(
    script: Any, pages: int, caplog: pytest.LogCaptureFixture
) -> None:
    """An endless activity log is read in part, with a warning that changes may be missing."""
    with RawServer(last=script) as server, app(server) as app_client:
        list(app_client.activities("failed_attribute_change"))
        assert app_client.requests == pages
    assert "not read to its end" in caplog.text


def test_an_activity_log_is_bounded_in_pages_and_seconds(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Reading stops at the bounds of pages and seconds, even if every page has a new cursor."""
    assert ACTIVITY_PAGES <= 1000
    for bound, value, message in (("PAGES", 5, "the bound of 5 pages"), ("SECONDS", 0, "more than 0 s")):
        with monkeypatch.context() as patch, RawServer(last=numbered(3)) as server, app(server) as app_client:
            patch.setattr(f"airflow_provider_cio.track.app_client.ACTIVITY_{bound}", value)
            list(app_client.activities("failed_attribute_change"))
            assert app_client.requests <= 5
        assert message in caplog.text


@pytest.mark.parametrize("cursor", ["", None])
def test_the_last_page_has_no_cursor(cursor: str | None, caplog: pytest.LogCaptureFixture) -> None:
    """The last page has an empty cursor or none, and no warning is logged."""
    with RawServer(page(2, "b"), page(0, "c"), page(1, cursor)) as server, app(server) as app_client:
        assert [activity.id for activity in app_client.activities("x")] == ["0", "1", "0"]
    assert "not read" not in caplog.text


SEGMENTS = answer(b'{"segments": [{"id": 7, "name": "VIPs", "type": "manual"}]}')
APP_CALLS: dict[str, tuple[Callable[[AppClient], object], bytes]] = {
    "segments": (lambda app_client: app_client.segments(), SEGMENTS),
    "activities": (lambda app_client: list(app_client.activities("x")), page(0, None)),
    "create_segment": (lambda app_client: app_client.create_segment("VIPs"), SEGMENTS),
}


@pytest.mark.usefixtures("short_pauses")
@pytest.mark.parametrize("call", APP_CALLS)
@pytest.mark.parametrize(
    "bad",
    [
        *(
            "a message",
            "a page",
            "an empty body",
            "null",
            "a list",
            "half of JSON",
            "204",
            "201",
            "418",
            "500",
        ),
        *("400 with a page", "207 without errors", "a body that is nested too deeply", "400 with a message"),
    ],
)
def test_calls_of_the_app_api_are_repeated_after_an_undocumented_response(call: str, bad: str) -> None:
    """Every call of the App API is repeated after an undocumented response."""
    make, good = APP_CALLS[call]
    with RawServer(UNDOCUMENTED[bad], last=good) as server, app(server) as app_client:
        make(app_client)
        assert app_client.requests == 2


@pytest.mark.usefixtures("short_pauses")
def test_a_segment_is_not_created_twice_when_an_answer_is_lost() -> None:
    """Before the request is repeated, the segment is looked up: the lost response may have been a success."""
    created = answer(b'{"segment": {"id": 8, "name": "VIPs", "type": "manual"}}')
    none = answer(b'{"segments": []}')
    with RawServer(b"", SEGMENTS) as server, app(server) as app_client:
        assert app_client.create_segment("VIPs").id == 7
        assert [head.split()[0] for head in server.heads] == [b"POST", b"GET"]
    with RawServer(b"", none, created) as server, app(server) as app_client:
        assert app_client.create_segment("VIPs").id == 8


@pytest.mark.parametrize("status", [400, 422])
def test_a_name_that_customerio_does_not_accept_is_a_configuration_error(status: int) -> None:
    """A refused name is a configuration error, and the message does not quote the response."""
    body = b'{"errors": [{"detail": "quoted@example.com is taken", "status": "400"}]}'
    with RawServer(answer(body, status=status)) as server, app(server) as app_client:
        with pytest.raises(ConfigurationError, match="segment named 'VIPs'") as error:
            app_client.create_segment("VIPs")
        assert app_client.requests == 1
    assert SECRET not in str(error.value)


def test_a_token_of_a_service_account_names_the_workspace() -> None:
    """The token of a service account is sent with the id of the workspace."""
    with RawServer(SEGMENTS) as server, app(server, workspace_id="123") as app_client:
        app_client.segments()
        assert b"X-Workspace-Id: 123" in server.heads[0]
