"""The commands of the page on TLS make files that nodes and clients take."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from tests.docs.pages import page_called, read, snippets
from tests.unit.configured import MINIMAL, load_text
from tests.unit.server.test_tls import handshake
from tvault.server.tls import accepting
from tvault.trust import distrust, verifying

HOSTS = ("n1.example", "n2.example", "n3.example")
OPENSSL = [place for place in [shutil.which("openssl")] if place]
"""Where it is, if the machine has it."""


def blocks(language: str) -> list[str]:
    """The blocks of the page in a language."""
    return snippets(read(page_called("tls")), language)


@pytest.mark.parametrize("openssl", OPENSSL)
def test_the_commands_make_a_ca_and_certificates_that_verify_for_their_hosts_only(
    tmp_path: Path, openssl: str
) -> None:
    commands = blocks("sh")
    assert len(commands) == 2
    ran = subprocess.run(
        ["sh", "-euc", "\n".join(commands)],
        cwd=tmp_path,
        env=os.environ | {"PATH": f"{Path(openssl).parent}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    client = verifying(tmp_path / "ca" / "ca.pem")
    for host in HOSTS:
        folder = tmp_path / "ca" / host
        assert stat.S_IMODE((folder / "node.key").stat().st_mode) == 0o600
        server = accepting(folder / "node.pem", folder / "node.key")
        assert handshake(server, client, host)[1] is None
        error = handshake(server, client, "n4.example")[1]
        assert error is not None
        assert "not valid for 'n4.example'" in (distrust(error) or "")


def test_the_section_that_the_page_shows_is_one_that_is_read(tmp_path: Path) -> None:
    (section,) = blocks("toml")
    tls = load_text(tmp_path, f"{MINIMAL}\n{section}").tls
    assert (tls.certificate, tls.key, tls.ca) == tuple(
        tmp_path / "tls" / name for name in ("node.pem", "node.key", "ca.pem")
    )
