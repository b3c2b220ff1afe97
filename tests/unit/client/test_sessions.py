"""Whom a client's connections trust."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.certificates import Files, issued
from tests.unit.server.ports import listening
from tvault.client.sessions import open_session
from tvault.errors import VaultError
from tvault.server.framing import make_server
from tvault.server.tls import accepting
from tvault.trust import distrust

HOST = "127.0.0.1"


@contextmanager
def secure_server(files: Files) -> Iterator[tuple[str, list[str]]]:
    """The URL of a server with these files, and the keys that it was told."""
    told: list[str] = []

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        told.append(environ.get("HTTP_AUTHORIZATION", ""))
        start_response("200 OK", [("Content-Length", "2")])
        return [b"ok"]

    tls = accepting(files.certificate, files.key)
    with listening(make_server(app, HOST, 0, 2, tls)) as server:
        yield f"https://{HOST}:{server.port}", told


def refused(session: requests.Session, url: str) -> str:
    with session, pytest.raises(requests.exceptions.ConnectionError) as caught:
        session.get(url, headers={"Authorization": "Bearer tvk_secret"}, timeout=10)
    return distrust(caught.value) or ""


def test_a_session_talks_to_whom_its_ca_vouches_for_and_sends_nobody_else_anything(
    tmp_path: Path,
) -> None:
    files, other = issued(tmp_path, HOST), issued(tmp_path / "other", HOST)
    with secure_server(files) as (url, told):
        for ca in (None, other.ca):
            assert refused(open_session([url], 1, ca), url).startswith("its certificate is not trusted")
        assert told == []
        with open_session([url], 1, files.ca) as session:
            assert session.get(url, timeout=10).text == "ok"


def test_a_certificate_for_another_host_is_not_taken_though_its_ca_is_trusted(tmp_path: Path) -> None:
    files = issued(tmp_path, "localhost")
    with secure_server(files) as (url, told):
        assert "not valid for '127.0.0.1'" in refused(open_session([url], 1, files.ca), url)
        assert told == []
        with open_session([url], 1, files.ca) as session:
            assert session.get(url.replace(HOST, "localhost"), timeout=10).text == "ok"


def test_a_session_that_is_told_not_to_verify_verifies_all_the_same(tmp_path: Path) -> None:
    files = issued(tmp_path, HOST)
    with secure_server(files) as (url, told):
        session = open_session([url], 1, None)
        session.verify = False
        assert "not trusted" in refused(session, url)
        assert told == []


def test_without_a_ca_the_store_of_the_system_holds_and_no_list_of_a_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = issued(tmp_path, HOST)
    with secure_server(files) as (url, _):
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(files.ca))
        assert "not trusted" in refused(open_session([url], 1, None), url)
        monkeypatch.setenv("SSL_CERT_FILE", str(files.ca))
        with open_session([url], 1, None) as session:
            assert session.get(url, timeout=10).text == "ok"


def test_a_file_that_holds_no_ca_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    with pytest.raises(VaultError, match=r"ca: .*none\.pem cannot be read: No such file"):
        open_session(["https://127.0.0.1:1"], 1, tmp_path / "none.pem")
