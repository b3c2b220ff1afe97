"""`tvault doctor` before service: configuration, keys, owners and data folders, each by real files."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.docs.pages import page_called, read, rows
from tests.unit.cli.running import CommandLine
from tvault.cli.doctor.findings import CHECKS, Finding
from tvault.cli.doctor.folders import folder_found
from tvault.cli.doctor.keys import keys_found
from tvault.config import Config, load, read_keys
from tvault.model.keys import KeyRing
from tvault.replication.promise import Standing
from tvault.replication.recovery import Identity
from tvault.server.folder import DOUBTFUL, PROMISE_FILE, UNFINISHED, DataFolder

CONFIG = Path("c/tvault.toml")
TOKEN_KEY = Path("c/keys/token.key")
FOLDER = Path("c/data/n1")
ME = os.geteuid()


@pytest.fixture(autouse=True)
def made(tvault: CommandLine, tmp_path: Path) -> None:  # noqa: ARG001 - the current folder
    """A new cluster of one node."""
    assert tvault("init", "c", "--nodes", 1, "--owner", "A", "--base-port", 14_310).code == 0


def changed(before: str, after: str) -> Config:
    text = CONFIG.read_text()
    assert text.count(before) == 1
    CONFIG.write_text(text.replace(before, after))
    return load(CONFIG, {})


def examined(tvault: CommandLine) -> tuple[int, list[dict[str, Any]]]:
    ran = tvault("doctor", "--config", CONFIG, "--json")
    document = ran.document
    results = [check["result"] for check in document["checks"]]
    assert document["summary"] == {name: results.count(name) for name in ("ok", "warning", "failed")}
    assert ran.code == (1 if "failed" in results else 0)
    return ran.code, document["checks"]


def amiss(checks: list[dict[str, Any]], result: str = "failed") -> list[tuple[str, str]]:
    return [(check["check"], check["about"]) for check in checks if check["result"] == result]


def identity(**other: Any) -> Identity:
    config = load(CONFIG, {})
    keys = KeyRing(read_keys(config, {}).token).fingerprint()
    known = {"cluster": config.cluster_id, "ensemble": ("n1",), "node": "n1", "keys": keys}
    return Identity(**{**known, **other})


def filled(standing: Standing = Standing.VOTER) -> None:
    """Let the node have run in its folder."""
    folder = DataFolder(FOLDER)
    opened = folder.open(identity(), 2)
    opened.promise_file.write(msgspec.structs.replace(opened.promise, standing=standing), sync=True)
    opened.promise_file.close()
    opened.store.close()
    folder.close()


def of_folder(identity: Identity | None = None, user: int = ME) -> list[Finding]:
    return list(folder_found(load(CONFIG, {}).node("n1"), identity, user))


def of_keys(config: Config | None = None, user: int = ME, **environ: str) -> Iterator[Finding]:
    return keys_found(config or load(CONFIG, {}), environ, user)


def bad(findings: Iterator[Finding] | list[Finding]) -> list[tuple[str, str]]:
    """What is not ok: the result, and what was found."""
    return [(each.result, each.found) for each in findings if each.result != "ok"]


def test_a_new_cluster_has_no_fault_before_its_first_start(tvault: CommandLine) -> None:
    code, checks = examined(tvault)
    assert (code, amiss(checks)) == (0, [])
    names = {check["check"] for check in checks}
    before = {
        "configuration",
        "timing",
        "owners",
        "keys",
        "exposure",
        "folder",
        "disk",
        "ports",
        "limits",
    }
    assert names == before | {"software", "service"}
    assert not FOLDER.exists(), "nothing was made"


def test_people_get_a_line_for_each_check_and_a_summary(tvault: CommandLine) -> None:
    TOKEN_KEY.chmod(0o644)
    ran = tvault("doctor", "--config", CONFIG)
    assert ran.code == 1
    *lines, empty, summary = ran.out.decode().splitlines()
    (failed,) = [line for line in lines if line.startswith("failed")]
    assert "[keys] token" in failed
    assert f"open to other users (mode 0644); run: chmod 600 {TOKEN_KEY.absolute()}" in failed
    counted = [sum(line.split()[0] == name for line in lines) for name in ("ok", "warning", "failed")]
    assert (empty, summary) == ("", "ok {}, warning {}, failed {}".format(*counted))


def test_a_configuration_that_cannot_be_read_is_told_with_its_line(tvault: CommandLine) -> None:
    CONFIG.write_text(CONFIG.read_text().replace("[keys]\n", "[keys]\nunknown = 1\n"))
    ran = tvault("doctor", "--config", CONFIG, "--json")
    assert (ran.code, ran.out) == (2, b"")
    assert "tvault.toml line" in ran.err
    assert "unknown setting 'unknown'" in ran.err


def test_a_node_that_is_not_configured_is_refused(tvault: CommandLine) -> None:
    ran = tvault("doctor", "--config", CONFIG, "--node", "n7")
    assert (ran.code, "no node 'n7'" in ran.err) == (2, True)


def test_no_secret_stands_in_any_line(tvault: CommandLine) -> None:
    secrets = [file.read_text().strip() for file in Path("c/keys").iterdir()]
    secrets += [line.split('"')[1] for line in CONFIG.read_text().splitlines() if "sha256:" in line]
    shutil.copy(TOKEN_KEY, "c/keys/cluster.key")
    for arguments in ([], ["--json"]):
        ran = tvault("doctor", "--config", CONFIG, *arguments)
        assert ran.code == 1
        said = ran.out.decode() + ran.err
        assert [secret for secret in secrets if secret.removeprefix("sha256:") in said] == []


@pytest.mark.parametrize(
    ("before", "after", "check"),
    [
        ("# suspect_ms = 1500", "suspect_ms = 300", "timing"),
        ("# request_timeout_ms = 5000", "request_timeout_ms = 2000", "timing"),
    ],
)
def test_intervals_that_do_not_fit_are_warned_of(
    tvault: CommandLine, before: str, after: str, check: str
) -> None:
    changed(before, after)
    assert (check, "") in amiss(examined(tvault)[1], "warning")


def test_an_owner_without_a_key_is_warned_of_by_name(tvault: CommandLine) -> None:
    text = CONFIG.read_text()
    CONFIG.write_text(text + '\n[[owner]]\nid = "without"\napi_keys = []\n')
    found = [check["found"] for check in examined(tvault)[1] if check["check"] == "owners"]
    assert found == ["no API key acts for without"]


def test_ports_that_all_can_reach_without_tls_are_warned_of(tvault: CommandLine) -> None:
    CONFIG.write_text(CONFIG.read_text().replace("127.0.0.1:14311", "192.0.2.1:14311"))
    changed("# insecure = false", "insecure = true")
    found = [check["found"] for check in examined(tvault)[1] if check["check"] == "exposure"]
    assert found == ["no TLS on 192.0.2.1:14311: values and API keys can be read on the way"]


def test_a_key_that_is_not_there_or_no_key_fails_by_its_setting(tvault: CommandLine) -> None:
    TOKEN_KEY.write_text("no key")
    Path("c/keys/cluster.key").unlink()
    checks = examined(tvault)[1]
    assert amiss(checks) == [("keys", "[keys] token"), ("keys", "[keys] cluster")]
    assert ("service", "") in amiss(checks, "warning"), "no node can be asked"


def test_a_key_in_two_places_fails(tvault: CommandLine) -> None:
    shutil.copy(TOKEN_KEY, "c/keys/master-m1.key")
    assert amiss(examined(tvault)[1]) == [("keys", "[[master_key]] 'm1' key")]


def test_an_old_master_key_that_is_missing_is_a_warning(tvault: CommandLine) -> None:
    CONFIG.write_text(CONFIG.read_text() + '\n[[master_key]]\nid = "m0"\nkey = "keys/old.key"\n')
    code, checks = examined(tvault)
    assert (code, amiss(checks, "warning")) == (0, [("keys", "[[master_key]] 'm0' key")])


def test_a_key_in_the_environment_is_taken_from_there() -> None:
    config = changed('token = "keys/token.key"', 'token = "env:TOKEN"')
    assert bad(of_keys(config, TOKEN="ab" * 32)) == []
    assert [result for result, _ in bad(of_keys(config))] == ["failed"]


def test_a_key_of_another_user_is_warned_of() -> None:
    told = bad(of_keys(user=ME + 1))
    assert [result for result, _ in told] == ["warning"] * 3
    assert all(f"belongs to user {ME}" in found for _, found in told)


def test_a_key_that_others_can_replace_is_warned_of() -> None:
    Path("c/keys").chmod(0o777)
    assert all("can put another file in the place of" in found for _, found in bad(of_keys()))
    assert len(bad(of_keys())) == 3


def test_a_key_that_git_would_keep_is_warned_of_until_it_is_ignored() -> None:
    assert bad(of_keys()) == []
    subprocess.run(["git", "init", "--quiet", "."], check=True, capture_output=True)
    told = bad(of_keys())
    assert len(told) == 3
    assert all("in a git working tree, which does not ignore it" in found for _, found in told)
    Path(".gitignore").write_text("*.key\n")
    assert bad(of_keys()) == []


def test_a_folder_that_a_node_has_used_is_known_to_be_its_own() -> None:
    filled()
    before = {file: file.read_bytes() for file in FOLDER.rglob("*") if file.is_file()}
    (found,) = of_folder(identity())
    assert (found.result, found.found) == ("ok", f"{FOLDER.absolute()} is this node's")
    assert {file: file.read_bytes() for file in FOLDER.rglob("*") if file.is_file()} == before


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({"cluster": "another"}, "it belongs to cluster"),
        ({"node": "n2"}, "it belongs to node n1"),
        ({"ensemble": ("n1", "n2")}, "its ensemble is n1"),
        ({"keys": "0" * 16}, "under another token key"),
    ],
)
def test_a_folder_of_another_node_cluster_or_key_fails(other: dict[str, Any], why: str) -> None:
    filled()
    ((result, found),) = bad(of_folder(identity(**other)))
    assert (result, why in found) == ("failed", True)


def test_a_folder_in_use_is_left_to_who_uses_it() -> None:
    folder = DataFolder(FOLDER)
    try:
        (found,) = of_folder(identity())
        assert (found.result, "is in use" in found.found) == ("ok", True)
    finally:
        folder.close()
    DataFolder(FOLDER).close()


def test_a_folder_that_others_can_read_or_of_another_user_is_warned_of() -> None:
    filled()
    FOLDER.chmod(0o755)
    assert bad(of_folder()) == [("warning", f"{FOLDER.absolute()} is open to other users (mode 0755)")]
    FOLDER.chmod(0o700)
    ((result, found),) = bad(of_folder(user=ME + 1))
    assert (result, "belongs to user" in found) == ("warning", True)


@pytest.mark.parametrize("place", ["data", "data/n1"])
def test_a_file_where_the_folder_should_be_fails(place: str) -> None:
    path = Path("c") / place
    path.parent.mkdir(exist_ok=True)
    path.touch()
    assert [result for result, _ in bad(of_folder())] == ["failed"]


def test_files_that_will_be_set_aside_at_the_next_start_are_warned_of() -> None:
    filled()
    (FOLDER / DOUBTFUL).touch()
    assert bad(of_folder(identity())) == [("warning", "the node has found its files damaged")]
    (FOLDER / DOUBTFUL).unlink()
    (FOLDER / PROMISE_FILE).write_bytes(b"damaged")
    assert bad(of_folder(identity())) == [("warning", "the promise file is damaged")]
    (FOLDER / PROMISE_FILE).unlink()
    assert bad(of_folder(identity())) == [("warning", "there is a journal, but no promise file")]


def test_a_folder_that_is_half_restored_fails_as_a_node_does_in_it() -> None:
    (FOLDER / UNFINISHED).mkdir(parents=True, mode=0o700)
    FOLDER.chmod(0o700)
    ((result, found),) = bad(of_folder(identity()))
    assert (result, found.endswith("is half restored: no node starts in it")) == ("failed", True)


@pytest.mark.parametrize("name", ["lock", "promise", "journal.sqlite-wal"])
def test_a_file_that_the_node_could_not_open_fails(name: str) -> None:
    filled()
    (FOLDER / name).unlink(missing_ok=True)
    (FOLDER / name).symlink_to("/nowhere/at/all")  # not even root opens it
    ((result, found),) = bad(of_folder(identity()))
    assert (result, f"{name} cannot be read and written" in found) == ("failed", True)


def test_a_folder_that_the_system_tells_nothing_of_fails_and_ends_nothing(tvault: CommandLine) -> None:
    """As another user's does, which no test that root runs can show: its name is too long."""
    changed('data = "data/n1"', f'data = "{"d" * 300}"')
    _, checks = examined(tvault)
    assert ("folder", "n1") in amiss(checks)
    assert checks[-1]["check"] == "service"


def test_a_blank_node_is_warned_of() -> None:
    filled(Standing.BLANK)
    assert bad(of_folder(identity())) == [("warning", "the node is blank: it may not vote yet")]


def test_what_was_set_aside_is_told_with_its_size() -> None:
    filled()
    aside = FOLDER / "set-aside-20260101T000000.000000Z"
    aside.mkdir()
    (aside / "journal.db").write_bytes(bytes(3 * 2**20))
    ((result, found),) = bad(of_folder(identity()))
    assert (result, found) == ("warning", "what was set aside lies here: 1 x, 3.0 MiB")


def test_a_vault_that_was_in_use_and_does_not_answer_is_warned_of(tvault: CommandLine) -> None:
    filled()
    code, checks = examined(tvault)
    assert (code, amiss(checks, "warning")) == (0, [("service", "")])


def test_every_check_stands_on_its_page_and_no_other() -> None:
    told = {
        row[0].strip("`"): row[1] for row in rows(read(page_called("doctor"))) if row[0].startswith("`")
    }
    assert told == CHECKS
