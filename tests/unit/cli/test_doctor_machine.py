"""`tvault doctor` and the machine: disks, ports, certificates, limits."""

from __future__ import annotations

import os
import resource
import socket
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import trustme
from msgspec.structs import replace

from tests.certificates import issued
from tests.unit.configured import MINIMAL, load_text
from tests.unit.server.ports import listening
from tvault.cli.doctor.certificates import certificate_found, shown_found
from tvault.cli.doctor.disks import SLOW_SYNC_MS, disk_found
from tvault.cli.doctor.findings import Finding
from tvault.cli.doctor.machine import FILES_NEEDED, limit_found, machine_found
from tvault.cli.doctor.ports import elsewhere_found, is_here, ports_found
from tvault.config import Address, Config, NodeConfig
from tvault.server.framing import make_server
from tvault.server.tls import accepting
from tvault.store.library import has_wal_race
from tvault.store.sqlite import FILE_NAME

NOWHERE = Path("nowhere")


def of_disk(folder: Path, mounts: Path = NOWHERE, pause_s: float = 0.0) -> dict[str, str]:
    """The findings of the room, the file system and the syncs: each result with what was found."""

    def sync(_: int) -> None:
        threading.Event().wait(pause_s)

    findings = list(disk_found("n1", folder, sync, mounts))
    assert {each.about for each in findings} == {"n1"}
    return dict(zip(("room", "kind", "sync"), (f"{e.result}: {e.found}" for e in findings), strict=True))


def test_a_disk_with_room_that_syncs_quickly_is_ok(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(bytes(2**20))
    told = of_disk(tmp_path)
    assert told["room"].startswith("ok: ")
    assert told["sync"].startswith("ok: a sync takes 0.")
    assert sorted(file.name for file in tmp_path.iterdir()) == [FILE_NAME]


def test_a_disk_without_as_much_room_as_the_journal_has_is_warned_of(tmp_path: Path) -> None:
    with (tmp_path / FILE_NAME).open("wb") as sparse:
        sparse.truncate(2**43)
    assert of_disk(tmp_path)["room"].startswith("warning: ")


def test_a_disk_that_syncs_slowly_is_warned_of(tmp_path: Path) -> None:
    assert of_disk(tmp_path, pause_s=SLOW_SYNC_MS / 1000 * 1.1)["sync"].startswith("warning: ")


def test_a_disk_that_does_not_sync_fails(tmp_path: Path) -> None:
    def fail(_: int) -> None:
        raise OSError(5, "Input/output error")

    *_, sync = disk_found("n1", tmp_path, fail, NOWHERE)
    assert (sync.result, "Input/output error" in sync.found) == ("failed", True)


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "9p", "overlay", "tmpfs"])
def test_a_file_system_that_does_not_keep_a_journal_well_is_warned_of(tmp_path: Path, kind: str) -> None:
    """It is that of the deepest mount above the folder, and of two at one place the later."""
    folder = tmp_path / "with blank" / "data"
    folder.mkdir(parents=True)
    place = str(folder.parent).replace(" ", "\\040")
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/a / ext4 rw 0 0\nx {place} xfs rw 0 0\nx {place} {kind} rw 0 0\n")
    assert of_disk(folder, mounts)["kind"].startswith(f"warning: the file system is {kind}: ")
    assert of_disk(tmp_path, mounts)["kind"] == "ok: the file system is ext4"


@pytest.fixture
def taken() -> Iterator[int]:
    """A port at which this process listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def node(folder: Path, api: str, peer: str = "127.0.0.1:14399") -> NodeConfig:
    text = MINIMAL.replace("127.0.0.1:7101", api).replace("127.0.0.1:7201", peer)
    return load_text(folder, text).node("n1")


def of_ports(
    folder: Path, api: str, *, is_running: bool = False, bounds: str = "50000 60000"
) -> Finding:
    """What is found at the port for clients."""
    file = folder / "bounds"
    file.write_text(bounds)
    return next(ports_found(node(folder, api), is_running=is_running, ephemeral=file))


def test_a_port_that_something_else_has_fails_with_who_it_is(tmp_path: Path, taken: int) -> None:
    found = of_ports(tmp_path, f"127.0.0.1:{taken}")
    who = f"process {os.getpid()} ({Path('/proc/self/comm').read_text().strip()})"
    assert (found.result, found.found) == ("failed", f"api 127.0.0.1:{taken} is taken by {who}")


def test_a_port_that_the_running_node_has_is_ok_and_one_that_it_should_have_is_not(
    tmp_path: Path, taken: int
) -> None:
    assert of_ports(tmp_path, f"127.0.0.1:{taken}", is_running=True).result == "ok"
    assert of_ports(tmp_path, "127.0.0.1:14398", is_running=True).result == "warning"


def test_a_free_port_is_ok_unless_connections_may_be_given_it(tmp_path: Path) -> None:
    assert of_ports(tmp_path, "127.0.0.1:14398").result == "ok"
    assert of_ports(tmp_path, "127.0.0.1:14398", bounds="10000\t20000\n").result == "warning"


def test_a_port_that_was_just_closed_is_free(tmp_path: Path) -> None:
    """A connection that lingers there does not keep a node from listening."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        place = listener.getsockname()
        with socket.create_connection(place):
            listener.accept()[0].close()
    assert of_ports(tmp_path, f"127.0.0.1:{place[1]}", bounds="1 2").result == "ok"


def test_an_address_of_another_machine_is_not_here(tmp_path: Path) -> None:
    text = MINIMAL.replace("127.0.0.1", "192.0.2.1") + "\n[tls]\ninsecure = true\n"
    other = load_text(tmp_path, text).node("n1")
    assert not is_here(other)
    assert elsewhere_found(other).result == "ok"
    unknown = replace(other, peer=Address("n1.invalid", 1))
    assert (is_here(unknown), elsewhere_found(unknown).result) == (False, "warning")
    assert is_here(node(tmp_path, "127.0.0.1:14398"))


def with_tls(folder: Path, host: str = "127.0.0.1", ends: datetime | None = None) -> Config:
    issued(folder / "tls", host, not_after=ends)
    files = 'certificate = "tls/node.pem"\nkey = "tls/node.key"\nca = "tls/node-ca.pem"\n'
    return load_text(folder, f"{MINIMAL}\n[tls]\n{files}")


def of_certificate(config: Config) -> list[tuple[str, str]]:
    return [(each.result, each.found) for each in certificate_found(config, config.nodes)]


def test_a_certificate_that_others_take_is_ok(tmp_path: Path) -> None:
    ends = datetime.now(timezone.utc) + timedelta(days=60)
    (expiry, host) = of_certificate(with_tls(tmp_path, ends=ends))
    until = f"{ends:%Y-%m-%dT%H:%M:%S}.000000Z"
    assert expiry == ("ok", f"the certificate, with those above it, is valid for 60 d, until {until}")
    assert host == ("ok", "the certificate is trusted by the CA and names this host")


def test_a_certificate_that_expires_soon_is_warned_of_and_an_expired_one_fails(tmp_path: Path) -> None:
    now = datetime.now(timezone.utc)
    soon = of_certificate(with_tls(tmp_path / "a", ends=now + timedelta(days=29)))
    assert [result for result, _ in soon] == ["warning", "ok"]
    ((result, found),) = of_certificate(with_tls(tmp_path / "b", ends=now - timedelta(days=1)))
    assert (result, "has expired at" in found) == ("failed", True)


def test_a_certificate_that_does_not_name_the_host_fails(tmp_path: Path) -> None:
    _, (result, found) = of_certificate(with_tls(tmp_path, "n1.example"))
    assert (result, "IP address mismatch" in found) == ("failed", True)


def test_a_certificate_must_name_each_host_of_the_node(tmp_path: Path) -> None:
    with_tls(tmp_path, "localhost")
    file = tmp_path / "tvault.toml"
    config = load_text(tmp_path, file.read_text().replace("127.0.0.1:7101", "localhost:7101"))
    _, *hosts = certificate_found(config, config.nodes)
    assert [(each.about, each.result) for each in hosts] == [
        ("localhost", "ok"),
        ("127.0.0.1", "failed"),
    ]


def test_a_certificate_of_another_ca_fails(tmp_path: Path) -> None:
    config = with_tls(tmp_path)
    (tmp_path / "tls" / "node-ca.pem").write_bytes(trustme.CA().cert_pem.bytes())
    _, (result, found) = of_certificate(config)
    assert (result, "others refuse the certificate" in found) == ("failed", True)


def test_a_private_key_that_others_can_read_or_of_another_certificate_fails(tmp_path: Path) -> None:
    config = with_tls(tmp_path)
    key = tmp_path / "tls" / "node.key"
    key.chmod(0o640)
    ((result, found),) = of_certificate(config)
    assert (result, "is open to other users" in found) == ("failed", True)
    key.chmod(0o600)
    key.write_bytes(issued(tmp_path / "other", "127.0.0.1").key.read_bytes())
    ((result, found),) = of_certificate(config)
    assert (result, "is not the key of the certificate" in found) == ("failed", True)


def of_shown(config: Config, port: int) -> list[tuple[str, str]]:
    """What is found of a node that runs at this port."""
    running = replace(config.node("n1"), peer=Address("127.0.0.1", port, secure=True))
    return [(each.result, each.found) for each in shown_found(config, running, is_here=True)]


def test_a_running_node_that_shows_an_old_certificate_is_told_to_be_restarted(tmp_path: Path) -> None:
    config = with_tls(tmp_path)
    tls = accepting(tmp_path / "tls" / "node.pem", tmp_path / "tls" / "node.key")
    with listening(make_server(lambda *_: [], "127.0.0.1", 0, 2, tls)) as server:
        assert [result for result, _ in of_shown(config, server.port)] == ["ok"]
        issued(tmp_path / "tls", "127.0.0.1")
        (old, _) = of_shown(config, server.port)
    assert (old[0], "another certificate than that in" in old[1]) == ("warning", True)
    ((result, _),) = of_shown(config, server.port)
    assert result == "failed", "it does not run any more"


def test_a_machine_without_a_node_and_a_certificate_needs_the_ca_alone(tmp_path: Path) -> None:
    config = with_tls(tmp_path)
    (tmp_path / "tls" / "node.key").unlink()
    assert [each.result for each in certificate_found(config, ())] == ["failed"], "half of it is there"
    (tmp_path / "tls" / "node.pem").unlink()
    assert [each.result for each in certificate_found(config, config.nodes)] == ["failed"]
    assert [each.result for each in certificate_found(config, ())] == ["ok"]
    (tmp_path / "tls" / "node-ca.pem").unlink()
    assert [each.result for each in certificate_found(config, ())] == ["failed"]


def test_a_vault_without_tls_has_no_certificate(tmp_path: Path) -> None:
    assert of_certificate(load_text(tmp_path, MINIMAL)) == []


def test_too_few_files_are_warned_of_with_the_way_to_more() -> None:
    assert limit_found("", FILES_NEEDED, FILES_NEEDED).result == "ok"
    assert limit_found("", resource.RLIM_INFINITY, resource.RLIM_INFINITY).result == "ok"
    few = limit_found("", FILES_NEEDED - 1, FILES_NEEDED)
    assert (few.result, f"ulimit -n {FILES_NEEDED}" in few.advice) == ("warning", True)
    assert "LimitNOFILE=" in limit_found("", 100, 100).advice


def test_the_limit_of_a_running_node_is_its_own() -> None:
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    findings = [each for each in machine_found([("n1", os.getpid())]) if each.about == "n1"]
    assert [str(soft) in each.found for each in findings] == [True]


def test_the_versions_that_the_race_of_wal_files_was_in_are_known() -> None:
    versions = [(3, 6, 23), (3, 7, 0), (3, 51, 2), (3, 51, 3)]
    assert [has_wal_race(version) for version in versions] == [False, True, True, False]
