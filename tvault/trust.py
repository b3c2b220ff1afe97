"""Whom a connection over TLS trusts, for all who connect: clients, operators and nodes."""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Iterator
from pathlib import Path

from tvault.errors import VaultError

OLDEST = ssl.TLSVersion.TLSv1_2
"""Older versions of TLS are broken: neither side speaks them."""

NO_TLS = "it speaks no TLS"
UNTRUSTED = "its certificate is not trusted"
EXPIRED = "has expired"
"""How OpenSSL says that a certificate was one to trust, once."""

_NO_TLS_REASONS = {
    "WRONG_VERSION_NUMBER",
    "HTTP_REQUEST",
    "PACKET_LENGTH_TOO_LONG",
    "RECORD_LAYER_FAILURE",
}


def verifying(ca: str | Path | None, called: str = "ca") -> ssl.SSLContext:
    """A context that takes only a server whose certificate names its host and comes from a CA of the
    file `ca` (PEM), or of the system's store without one.

    Raises `VaultError` (`configuration`) when the file, `called` so by who named it, holds no CA.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = OLDEST
    if ca is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        return context
    try:
        context.load_verify_locations(cafile=ca)
    except ssl.SSLError:
        why = "holds no certificate in PEM form"
        raise VaultError("configuration", f"{called}: {ca} {why}") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "that is no name of a file"
        raise VaultError("configuration", f"{called}: {ca} cannot be read: {reason}") from None
    return context


def verifying_for(urls: Iterable[str], ca: str | Path | None) -> ssl.SSLContext | None:
    """As `verifying`, or None where nothing is to be verified: to read what the system trusts takes
    twenty milliseconds."""
    is_needed = ca is not None or any(url.lower().startswith("https:") for url in urls)
    return verifying(ca) if is_needed else None


def distrust(error: BaseException) -> str | None:
    """Why there is no TLS when that is because of what the other side shows of itself: no certificate
    that is trusted, or no TLS at all.  None for whatever else went wrong."""
    for each in causes(error):
        if isinstance(each, ssl.SSLCertVerificationError):
            return f"{UNTRUSTED}: {each.verify_message.rstrip('.')}"
        if isinstance(each, ssl.SSLError) and getattr(each, "reason", None) in _NO_TLS_REASONS:
            return NO_TLS
    return None


def causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what it was made of.  HTTP libraries hand on the first one in ways of their own."""
    waiting: list[object] = [error]
    seen: set[int] = set()
    while waiting:
        each = waiting.pop()
        if not isinstance(each, BaseException) or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        waiting += (each.__cause__, each.__context__, getattr(each, "reason", None), *each.args)
