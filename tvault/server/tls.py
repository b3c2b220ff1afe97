"""What a node shows of itself over TLS."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes

from tvault.errors import VaultError
from tvault.trust import OLDEST

MOST_BYTES = 1 << 20
CERTIFICATE, KEY = "[tls] certificate", "[tls] key"


def _now() -> datetime:
    return datetime.now(timezone.utc)


def accepting(certificate: Path, key: Path, now: Callable[[], datetime] = _now) -> ssl.SSLContext:
    """A context for a port that speaks TLS 1.2 or newer.  `certificate` holds the node's certificate and
    those that lead to its CA, `key` its private key, both in PEM form.

    Raises `VaultError` (`configuration`) that names the setting and the file, and shows nothing of the
    key: unreadable, none of its kind, behind a passphrase, not of each other, not valid now.
    """
    leaf = _leaf(certificate)
    _judge_time(leaf, certificate, now())
    if _public(_private_key(key).public_key()) != _public(leaf.public_key()):
        raise _refusal(KEY, key, f"is not the key of the certificate in {certificate}")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = OLDEST
    try:
        context.load_cert_chain(certificate, key)
    except (ssl.SSLError, OSError) as error:
        why = getattr(error, "reason", None) or "it cannot be read"
        raise _refusal(CERTIFICATE, certificate, f"is not taken by OpenSSL: {why}") from None
    return context


def expires_at(certificate: Path) -> datetime:
    """When the certificate that a node shows expires.  Raises `VaultError` as `accepting` does."""
    return _leaf(certificate).not_valid_after_utc


def _leaf(file: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificates(_content(CERTIFICATE, file))[0]
    except ValueError:
        raise _refusal(CERTIFICATE, file, "holds no certificate in PEM form") from None


def _judge_time(leaf: x509.Certificate, file: Path, now: datetime) -> None:
    """Nobody would take it: better told here than by everyone else."""
    if leaf.not_valid_after_utc < now:
        raise _refusal(CERTIFICATE, file, f"has expired at {_shown(leaf.not_valid_after_utc)}")
    if leaf.not_valid_before_utc > now:
        raise _refusal(CERTIFICATE, file, f"is not valid before {_shown(leaf.not_valid_before_utc)}")


def _private_key(file: Path) -> PrivateKeyTypes:
    try:
        return serialization.load_pem_private_key(_content(KEY, file), password=None)
    except TypeError:
        raise _refusal(KEY, file, "is behind a passphrase, which nobody is there to type") from None
    except (ValueError, UnsupportedAlgorithm):
        raise _refusal(KEY, file, "holds no private key in PEM form") from None


def _public(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _content(setting: str, file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(MOST_BYTES)
    except OSError as error:
        raise _refusal(setting, file, f"cannot be read: {error.strerror}") from None


def _shown(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _refusal(setting: str, file: Path, why: str) -> VaultError:
    return VaultError("configuration", f"{setting}: {file} {why}")
