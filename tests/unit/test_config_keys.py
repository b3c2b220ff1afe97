"""The keys that a `tvault.toml` refers to: read whole, or refused by setting and file, never shown."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.configured import MINIMAL, SECOND_MASTER, load_text
from tvault.config import Config, judge_private, read_keys
from tvault.errors import VaultError


@pytest.fixture
def with_keys(tmp_path: Path) -> Config:
    (tmp_path / "keys").mkdir()
    for name, digits in (("token", "ab" * 32), ("cluster", "cd" * 32), ("master-m1", "ef" * 32)):
        file = tmp_path / "keys" / f"{name}.key"
        file.write_text(digits + "\n")
        file.chmod(0o600)
    return load_text(tmp_path, MINIMAL)


def key_file(config: Config) -> Path:
    file = config.keys.token.file
    assert file is not None
    return file


def key_refusal(config: Config) -> str:
    with pytest.raises(VaultError) as caught:
        read_keys(config, {})
    assert caught.value.code == "configuration"
    return caught.value.detail


def test_keys_are_read_and_never_shown(with_keys: Config) -> None:
    keys = read_keys(with_keys, {})
    assert keys.token == b"\xab" * 32
    assert keys.cluster == b"\xcd" * 32
    assert "ab" * 8 not in repr(keys)
    assert repr(keys.token)[2:20] not in repr(keys)


def test_a_key_may_come_from_the_environment(with_keys: Config, tmp_path: Path) -> None:
    key_file(with_keys).unlink()
    config = load_text(tmp_path, MINIMAL.replace("keys/token.key", "env:KEY"))
    assert read_keys(config, {"KEY": "12" * 32}).token == b"\x12" * 32
    assert "environment variable KEY is not set" in key_refusal(config)


def test_a_key_file_open_to_others_is_refused_with_what_to_do(with_keys: Config) -> None:
    key_file(with_keys).chmod(0o640)
    assert key_refusal(with_keys).endswith(f"(mode 0640); run: chmod 600 {key_file(with_keys)}")


def test_a_private_key_open_to_others_is_refused_with_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "n.key"
    file.touch(mode=0o600)
    judge_private(file, "[tls] key")
    file.chmod(0o604)
    with pytest.raises(VaultError) as caught:
        judge_private(file, "[tls] key")
    told = f"[tls] key: {file} is open to other users (mode 0604); run: chmod 600 {file}"
    assert (caught.value.code, caught.value.detail) == ("configuration", told)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "too short: 0 hex digits where 64 are needed"),
        ("ab" * 16, "too short: 32 hex digits where 64 are needed"),
        ("xyz" * 30, "does not hold hex digits"),
        ("é" * 64, "does not hold hex digits"),
        ("ab" * 4096, "too long"),
        ("cd" * 32, "are the same key"),
    ],
)
def test_a_key_that_is_none_is_refused_without_repeating_it(
    with_keys: Config, content: str, said: str
) -> None:
    key_file(with_keys).write_text(content, encoding="utf-8")
    refused = key_refusal(with_keys)
    assert said in refused
    assert "[keys] token" in refused
    assert not content or content not in refused


def test_a_missing_key_file_is_named_with_its_setting(with_keys: Config) -> None:
    key_file(with_keys).unlink()
    refused = key_refusal(with_keys)
    assert "[keys] token" in refused
    assert f"{key_file(with_keys)} cannot be read: No such file" in refused


def write_key(folder: Path, name: str, digits: str) -> Path:
    file = folder / "keys" / f"{name}.key"
    file.write_text(digits)
    file.chmod(0o600)
    return file


def test_master_keys_are_read_by_id_and_never_shown(with_keys: Config, tmp_path: Path) -> None:
    write_key(tmp_path, "master-m2", "12" * 40)
    config = load_text(tmp_path, MINIMAL + SECOND_MASTER)
    keys = read_keys(config, {})
    assert keys.masters == {**read_keys(with_keys, {}).masters, "m2": b"\x12" * 40}
    assert keys.masters["m1"] == b"\xef" * 32
    assert not keys.missing
    assert "xef" not in repr(keys)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (Path.unlink, "cannot be read: No such file"),
        (lambda file: file.chmod(0o644), "is open to other users (mode 0644); run: chmod 600"),
        (lambda file: file.write_text("ef" * 31), "is too short: 62 hex digits where 64 are needed"),
        (lambda file: file.write_text("no hex"), "does not hold hex digits"),
    ],
)
def test_a_master_key_that_cannot_be_read_is_missing_unless_it_is_the_active_one(
    with_keys: Config, tmp_path: Path, spoil: Callable[[Path], None], said: str
) -> None:
    active = read_keys(with_keys, {}).masters
    file = write_key(tmp_path, "master-m2", "12" * 32)
    spoil(file)
    keys = read_keys(load_text(tmp_path, MINIMAL + SECOND_MASTER), {})
    assert keys.masters == active
    assert list(keys.missing) == ["m2"]
    assert keys.missing["m2"].startswith(f"[[master_key]] 'm2' key: {file} {said}")
    changed = MINIMAL.replace('master = "m1"', 'master = "m2"') + SECOND_MASTER
    refused = key_refusal(load_text(tmp_path, changed))
    assert refused == keys.missing["m2"]


@pytest.mark.parametrize(
    ("digits", "other"),
    [("ab", "[keys] token"), ("cd", "[keys] cluster"), ("ef", "[[master_key]] 'm1' key")],
)
def test_no_key_serves_two_purposes(with_keys: Config, tmp_path: Path, digits: str, other: str) -> None:
    assert not read_keys(with_keys, {}).missing
    write_key(tmp_path, "master-m2", digits * 32)
    refused = key_refusal(load_text(tmp_path, MINIMAL + SECOND_MASTER))
    assert f"{other} and [[master_key]] 'm2' key are the same key" in refused
    assert digits * 8 not in refused
