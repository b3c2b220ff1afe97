"""The certificate that a node shows, judged as those judge it who connect."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from cryptography import x509

from tvault.cli.doctor.findings import Finding
from tvault.cli.moments import duration_text, now, text_of
from tvault.cli.nodes import ANSWER_SECONDS
from tvault.config import Config, NodeConfig, judge_private
from tvault.errors import VaultError
from tvault.server.tls import KEY, accepting
from tvault.trust import verifying

SOON_DAYS = 30

_FLIGHTS = 4
"""A handshake takes two."""


def certificate_found(config: Config, here: Sequence[NodeConfig]) -> Iterator[Finding]:
    """The certificate for the nodes on this machine; nothing without TLS.  A machine with neither a node
    nor a certificate, from which nodes are looked after, needs to know the CA and nothing else."""
    tls = config.tls
    if tls.certificate is None or tls.key is None:
        return
    if not here and not tls.certificate.exists() and not tls.key.exists():
        yield _ca_found(tls.ca)
        return
    try:
        judge_private(tls.key, KEY)
        shown = accepting(tls.certificate, tls.key)
        trusted = verifying(tls.ca, "[tls] ca")
        ends = _ends(tls.certificate, tls.ca)
    except VaultError as error:
        yield Finding("certificate", "", "failed", error.detail, "no node starts with it")
        return
    except (OSError, ValueError):
        yield Finding("certificate", "", "failed", "the files of [tls] cannot be read")
        return
    yield _expiry("", "the certificate, with those above it,", min(ends))
    hosts = dict.fromkeys(address.host for node in here for address in (node.api, node.peer))
    for host in hosts:
        why = distrust_at(host, shown, trusted)
        if why is None:
            found = "the certificate is trusted by the CA and names this host"
            yield Finding("certificate", host, "ok", found)
        else:
            advice = "issue one that names this host, from a CA of [tls] ca, with those in between"
            yield Finding("certificate", host, "failed", f"others refuse the certificate: {why}", advice)


def _ca_found(ca: Path | None) -> Finding:
    try:
        verifying(ca, "[tls] ca")
    except VaultError as error:
        return Finding("certificate", "", "failed", error.detail, "no command reaches a node with it")
    found = "there is none here, and no node: commands need the CA alone, and can read it"
    return Finding("certificate", "", "ok", found)


def distrust_at(host: str, shown: ssl.SSLContext, trusted: ssl.SSLContext) -> str | None:
    """Why who connects to `host` would refuse what is shown there, or None: a handshake in memory."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trusted.wrap_bio(to_client, to_server, server_hostname=host)
    server = shown.wrap_bio(to_server, to_client, server_side=True)
    try:
        for side in (client, server) * _FLIGHTS:
            with suppress(ssl.SSLWantReadError):
                side.do_handshake()
    except ssl.SSLCertVerificationError as error:
        return error.verify_message.rstrip(".")
    except ssl.SSLError as error:
        return error.reason or "there is no handshake"
    return None


def _ends(certificate: Path, ca: Path | None) -> list[datetime]:
    """When each certificate that is shown expires, and the last of those trusted."""
    ends = [each.not_valid_after_utc for each in _certificates(certificate)]
    if ca is not None:
        ends.append(max(each.not_valid_after_utc for each in _certificates(ca)))
    return ends


def _certificates(file: Path) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(file.read_bytes())


def shown_found(config: Config, node: NodeConfig, *, is_here: bool) -> Iterator[Finding]:
    """What a running node shows on its peer port, which is what it has read at its start."""
    own = config.tls.certificate
    if own is None:
        return
    try:
        place = (node.peer.host, node.peer.port)
        shown = x509.load_pem_x509_certificate(
            ssl.get_server_certificate(place, timeout=ANSWER_SECONDS).encode()
        )
        is_old = is_here and shown != _certificates(own)[0]
    except (OSError, ValueError):
        yield Finding("certificate", node.id, "failed", f"{node.peer} shows no certificate")
        return
    if is_old:
        found = f"it shows another certificate than that in {own}"
        yield Finding("certificate", node.id, "warning", found, "restart the node to show the new one")
    yield _expiry(node.id, "the certificate that it shows", shown.not_valid_after_utc)


def _expiry(about: str, what: str, end: datetime) -> Finding:
    left = (end - now()).total_seconds()
    when = text_of(end.replace(microsecond=0))
    renew = "renew it, and restart the nodes one by one"
    if left <= 0:
        return Finding("certificate", about, "failed", f"{what} has expired at {when}", renew)
    found = f"{what} is valid for {duration_text(left)}, until {when}"
    if left < SOON_DAYS * 86_400:
        return Finding("certificate", about, "warning", found, renew)
    return Finding("certificate", about, "ok", found)
