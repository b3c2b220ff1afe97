"""What a node shows over TLS, whom connections trust, and what is said of files that do not fit."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from tests.certificates import Files, issued
from tvault.errors import VaultError
from tvault.server.tls import accepting, expires_at
from tvault.trust import NO_TLS, distrust, verifying

HOST = "127.0.0.1"


def refusal(act: Callable[[], object]) -> str:
    with pytest.raises(VaultError) as caught:
        act()
    assert caught.value.code == "configuration"
    assert "\n" not in caught.value.detail
    return caught.value.detail


def handshake(
    server: ssl.SSLContext, client: ssl.SSLContext, host: str = HOST
) -> tuple[ssl.SSLObject, BaseException | None]:
    """Both sides in memory: the client's side, and what it raised."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    near = client.wrap_bio(to_client, to_server, server_hostname=host)
    far = server.wrap_bio(to_server, to_client, server_side=True)
    try:
        for side in (near, far) * 10:
            with suppress(ssl.SSLWantReadError):
                side.do_handshake()
    except ssl.SSLError as error:
        return near, error
    return near, None


def test_a_client_with_the_ca_takes_the_node_and_one_without_it_does_not(tmp_path: Path) -> None:
    files, other = issued(tmp_path, HOST), issued(tmp_path / "other", HOST)
    server = accepting(files.certificate, files.key)
    assert handshake(server, verifying(files.ca))[1] is None
    for strangers in (verifying(other.ca), verifying(None)):
        error = handshake(server, strangers)[1]
        assert error is not None
        assert (distrust(error) or "").startswith("its certificate is not trusted: ")


def test_while_a_ca_is_renewed_certificates_of_the_old_and_the_new_one_are_taken(tmp_path: Path) -> None:
    old, new = issued(tmp_path / "old", HOST), issued(tmp_path / "new", HOST)
    both = tmp_path / "ca.pem"
    both.write_bytes(old.ca.read_bytes() + new.ca.read_bytes())
    for files in (old, new):
        assert handshake(accepting(files.certificate, files.key), verifying(both))[1] is None


def test_a_certificate_of_another_host_is_not_taken(tmp_path: Path) -> None:
    files = issued(tmp_path, "127.0.0.9", "localhost")
    server, client = accepting(files.certificate, files.key), verifying(files.ca)
    error = handshake(server, client, HOST)[1]
    assert error is not None
    assert "not valid for '127.0.0.1'" in (distrust(error) or "")
    assert handshake(server, client, "localhost")[1] is None


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1")
def test_what_is_older_than_tls_1_2_is_spoken_by_neither_side(tmp_path: Path) -> None:
    files = issued(tmp_path, HOST)
    server, client = accepting(files.certificate, files.key), verifying(files.ca)
    assert {server.minimum_version, client.minimum_version} == {ssl.TLSVersion.TLSv1_2}
    client.minimum_version = client.maximum_version = ssl.TLSVersion.TLSv1_1
    client.set_ciphers("ALL:@SECLEVEL=0")
    assert handshake(server, client)[1] is not None
    client = verifying(files.ca)
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    near, error = handshake(server, client)
    assert (near.version(), error) == ("TLSv1.2", None)


def test_the_reason_is_found_below_what_an_http_library_makes_of_it() -> None:
    cause = ssl.SSLCertVerificationError()
    cause.verify_message = "certificate has expired"
    told = "its certificate is not trusted: certificate has expired"
    assert distrust(OSError("broke off", RuntimeError(cause))) == told
    wrapped = OSError("broke off")
    wrapped.__context__ = cause
    assert distrust(wrapped) == told
    assert distrust(ConnectionRefusedError(111, "Connection refused")) is None
    assert distrust(ConnectionError(ssl.SSLEOFError(8, "EOF"))) is None


def test_a_server_without_tls_is_told_as_that() -> None:
    near, far = socket.socketpair()
    with near, far:
        far.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        with pytest.raises(ssl.SSLError) as caught:
            verifying(None).wrap_socket(near, server_hostname=HOST)
    assert distrust(caught.value) == NO_TLS


Spoil = Callable[[Files], object]


def encrypted(files: Files) -> None:
    key = serialization.load_pem_private_key(files.key.read_bytes(), None)
    files.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"a passphrase"),
        )
    )


def issued_until(files: Files, moment: datetime) -> None:
    issued(files.key.parent, HOST, not_after=moment)


SPOILT: list[tuple[Spoil, str, str]] = [
    (lambda f: f.certificate.unlink(), "certificate", "cannot be read: No such file or directory"),
    (lambda f: f.key.unlink(), "key", "cannot be read: No such file or directory"),
    (lambda f: f.certificate.write_text(""), "certificate", "holds no certificate in PEM form"),
    (lambda f: f.key.write_text("junk"), "key", "holds no private key in PEM form"),
    (lambda f: f.key.write_bytes(f.certificate.read_bytes()), "key", "holds no private key"),
    (encrypted, "key", "is behind a passphrase"),
    (
        lambda f: f.key.write_bytes(trustme.CA().private_key_pem.bytes()),
        "key",
        "is not the key of the certificate in ",
    ),
    (
        lambda f: issued_until(f, datetime(2021, 1, 2, 3, 4, 5, tzinfo=timezone.utc)),
        "certificate",
        "has expired at 2021-01-02T03:04:05Z",
    ),
]


@pytest.mark.parametrize(("spoil", "setting", "said"), SPOILT, ids=[said for _, _, said in SPOILT])
def test_a_certificate_or_key_that_does_not_do_is_named_with_its_setting_and_file(
    tmp_path: Path, spoil: Spoil, setting: str, said: str
) -> None:
    files = issued(tmp_path, HOST)
    spoil(files)
    told = refusal(lambda: accepting(files.certificate, files.key))
    assert told.startswith(f"[tls] {setting}: {getattr(files, setting)} {said}")


def test_a_certificate_of_tomorrow_is_refused_today(tmp_path: Path) -> None:
    files = issued(tmp_path, HOST)
    before = datetime(1999, 12, 31, tzinfo=timezone.utc)
    told = refusal(lambda: accepting(files.certificate, files.key, lambda: before))
    assert told.startswith(f"[tls] certificate: {files.certificate} is not valid before 2")


def test_it_is_told_when_a_certificate_expires(tmp_path: Path) -> None:
    moment = datetime(2031, 2, 3, 4, 5, 6, tzinfo=timezone.utc)
    assert expires_at(issued(tmp_path, HOST, not_after=moment).certificate) == moment


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "cannot be read: No such file or directory"), ("", "holds no"), ("junk", "holds no")],
)
def test_a_file_of_cas_without_one_is_named_with_its_setting(
    tmp_path: Path, content: str | None, said: str
) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    told = refusal(lambda: verifying(file, "[tls] ca"))
    assert told.startswith(f"[tls] ca: {file} {said}")
