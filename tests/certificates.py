"""Certificates made on the spot."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import trustme


class Files(NamedTuple):
    """PEM files: a certificate with its chain, its private key, and the CA that it comes from."""

    certificate: Path
    key: Path
    ca: Path


def issued(
    folder: Path,
    *hosts: str,
    ca: trustme.CA | None = None,
    name: str = "node",
    not_after: datetime | None = None,
) -> Files:
    """A certificate for `hosts` from `ca`, or from a new one, in files of `folder` that bear `name`."""
    ca = ca or trustme.CA()
    folder.mkdir(parents=True, exist_ok=True)
    files = Files(folder / f"{name}.pem", folder / f"{name}.key", folder / f"{name}-ca.pem")
    made = ca.issue_cert(*hosts, not_after=not_after)
    files.certificate.write_bytes(b"".join(each.bytes() for each in made.cert_chain_pems))
    files.key.touch(mode=0o600)
    files.key.chmod(0o600)
    files.key.write_bytes(made.private_key_pem.bytes())
    files.ca.write_bytes(ca.cert_pem.bytes())
    return files
