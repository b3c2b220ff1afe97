"""`tvault init` and `tvault key new`."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tests.unit.cli.running import CommandLine
from tvault.config import load, read_keys
from tvault.model.owners import OwnerTable, hash_api_key


def files(folder: Path) -> list[str]:
    return sorted(str(place.relative_to(folder)) for place in folder.rglob("*"))


def mode_of(place: Path) -> int:
    return stat.S_IMODE(place.stat().st_mode)


def test_init_makes_a_cluster_that_loads(tvault: CommandLine, tmp_path: Path) -> None:
    ran = tvault(
        "init",
        "c",
        "--nodes",
        2,
        "--base-port",
        9000,
        "--owner",
        "A",
        "--owner",
        'B "x"',
        "--field",
        "ssn",
        "--json",
    )
    assert ran.code == 0
    made = ran.document
    assert made["config"] == "c/tvault.toml"
    assert made["nodes"] == [
        {"id": "n1", "api": "http://127.0.0.1:9001", "peer": "http://127.0.0.1:9101"},
        {"id": "n2", "api": "http://127.0.0.1:9002", "peer": "http://127.0.0.1:9102"},
    ]
    assert [owner["id"] for owner in made["owners"]] == ["A", 'B "x"']
    config = load(made["config"], {})
    table = OwnerTable({owner.id: owner.api_keys for owner in config.owners})
    assert [table.owner_of(owner["api_key"]) for owner in made["owners"]] == ["A", 'B "x"']
    assert [node.data for node in config.nodes] == [
        tmp_path / "c" / "data" / "n1",
        tmp_path / "c" / "data" / "n2",
    ]
    keys = read_keys(config, {})
    assert len(keys.token) == 32
    assert {key_id: len(key) for key_id, key in keys.masters.items()} == {config.keys.master: 32}


def test_only_the_user_can_read_what_init_makes_and_no_key_stands_in_the_configuration(
    tvault: CommandLine, tmp_path: Path
) -> None:
    key = tvault("init", "c", "--owner", "A", "--json").document["owners"][0]["api_key"]
    folder = tmp_path / "c"
    assert files(folder) == [
        "keys",
        "keys/cluster.key",
        "keys/master-m1.key",
        "keys/token.key",
        "tvault.toml",
    ]
    assert {mode_of(place) for place in (folder, folder / "keys")} == {0o700}
    assert {mode_of(place) for place in folder.rglob("*") if place.is_file()} == {0o600}
    text = (folder / "tvault.toml").read_text()
    assert key not in text
    assert all(file.read_text().strip() not in text for file in (folder / "keys").iterdir())


def test_two_clusters_share_no_key_and_no_identity(tvault: CommandLine) -> None:
    tvault("init", "c", "--owner", "A")
    tvault("init", "d", "--owner", "A")
    one, two = load("c/tvault.toml", {}), load("d/tvault.toml", {})
    assert one.cluster_id != two.cluster_id
    mine, others = read_keys(one, {}), read_keys(two, {})
    assert mine.token != others.token
    assert mine.cluster != others.cluster
    assert mine.masters["m1"] != others.masters["m1"]


def test_the_default_is_three_nodes_from_port_7101(tvault: CommandLine) -> None:
    nodes = tvault("init", "c", "--owner", "A", "--json").document["nodes"]
    assert [node["api"][-4:] for node in nodes] == ["7101", "7102", "7103"]


def test_init_takes_an_empty_folder_and_refuses_one_that_is_not(
    tvault: CommandLine, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    assert tvault("init", "empty", "--owner", "A").code == 0
    before = files(tmp_path)
    again = tvault("init", "empty", "--owner", "A")
    assert (again.code, again.err) == (2, "tvault: empty is not empty\n")
    assert files(tmp_path) == before


def test_init_tells_people_the_keys_on_stdout_and_what_to_do_on_stderr(tvault: CommandLine) -> None:
    ran = tvault("init", "c", "--owner", "A", "--field", "ssn")
    assert b"tvk_" in ran.out
    assert "tvk_" not in ran.err
    assert "tvault up --config c/tvault.toml" in ran.err


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--nodes", "0"], "--nodes"),
        (["--nodes", "10"], "--nodes"),
        (["--base-port", "65433"], "leaves no room"),
        (["--base-port", "-1"], "--base-port"),
        (["--owner", "A"], "'A' is given twice"),
        (["--owner", " x"], "no blanks at its ends"),
        (["--owner", ""], "1 to 128 printable"),
        (["--field", "a..b"], "--field a..b: "),
        (["--field", "a", "--field", "a"], "--field: "),
        (["--field", "a", "--field", "a.b"], "--field: "),
    ],
)
def test_init_judges_all_it_is_given_before_it_writes(
    tvault: CommandLine, tmp_path: Path, args: list[str], said: str
) -> None:
    ran = tvault("init", "new/c", "--owner", "A", *args)
    assert ran.code == 2
    assert said in ran.err
    assert files(tmp_path) == []


def test_init_needs_an_owner(tvault: CommandLine) -> None:
    assert tvault("init", "c").code == 2


def test_init_that_cannot_write_leaves_nothing(tvault: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ran = tvault("init", "file/c", "--owner", "A")
    assert ran.code == 2
    assert ran.err.startswith("tvault: cannot write ")
    assert files(tmp_path) == ["file"]


def test_a_new_api_key_fits_the_hash_it_is_printed_with(tvault: CommandLine) -> None:
    made = tvault("key", "new", "--owner", "A", "--json").document
    assert made["hash"] == hash_api_key(made["api_key"])
    lines = tvault("key", "new", "--owner", "A").out.decode().splitlines()
    assert lines[2:] == ["[[owner]]", 'id = "A"', f'api_keys = ["{hash_api_key(lines[0])}"]']
    assert tvault("key", "new", "--owner", " ").code == 2
