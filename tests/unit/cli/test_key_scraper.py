"""`tvault key scraper`: the credential for Prometheus, and where it goes."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tests.unit.cli.running import CommandLine
from tvault.config import load, read_keys
from tvault.model.keys import peer_credential, scraper_credential

FILE = Path("scraper.credential")


@pytest.fixture(autouse=True)
def vault(tvault: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    tvault("init", "c", "--owner", "A")
    monkeypatch.setenv("TVAULT_CONFIG", "c/tvault.toml")


def credential() -> str:
    return scraper_credential(cluster_key())


def cluster_key() -> bytes:
    return read_keys(load("c/tvault.toml", {}), {}).cluster


def test_the_file_holds_the_credential_alone_for_its_owner_alone_and_nothing_is_printed(
    tvault: CommandLine,
) -> None:
    for _ in range(2):
        ran = tvault("key", "scraper", "-o", FILE)
        assert (ran.code, ran.out, credential() in ran.err) == (0, b"", False)
        assert FILE.read_text() == credential()
        assert stat.S_IMODE(FILE.stat().st_mode) == 0o600


def test_a_file_that_was_open_to_others_is_so_no_more(tvault: CommandLine) -> None:
    FILE.write_text(credential())
    FILE.chmod(0o644)
    assert tvault("key", "scraper", "-o", FILE).code == 0
    assert stat.S_IMODE(FILE.stat().st_mode) == 0o600


def test_only_who_asks_for_it_gets_it_on_stdout(tvault: CommandLine) -> None:
    assert tvault("key", "scraper").code == 2
    assert tvault("key", "scraper", "-o", "-").out.decode() == credential() + "\n"


def test_it_is_made_of_the_clusters_key_alone(tvault: CommandLine) -> None:
    made = credential()
    for key in Path("c/keys").iterdir():
        if key.name != "cluster.key":
            key.unlink()
    assert tvault("key", "scraper", "-o", "-").out.decode() == made + "\n"


def test_a_name_typed_wrongly_costs_no_key(tvault: CommandLine) -> None:
    before = Path("c/keys/cluster.key").read_bytes()
    ran = tvault("key", "scraper", "-o", "c/keys/cluster.key")
    assert (ran.code, "holds something else" in ran.err) == (2, True)
    assert Path("c/keys/cluster.key").read_bytes() == before


def test_where_it_cannot_be_written_the_command_says_so(tvault: CommandLine) -> None:
    ran = tvault("key", "scraper", "-o", "none/x")
    assert (ran.code, "cannot write none/x: No such file" in ran.err) == (2, True)


def test_the_credential_is_another_one_than_what_nodes_use_among_themselves() -> None:
    assert len({credential(), peer_credential(cluster_key()), cluster_key().hex()}) == 3
