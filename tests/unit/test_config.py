"""What a `tvault.toml` may say, and how it is told what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tvault.config import SETTINGS, Config, config_path, judge_private, load, read_keys, render
from tvault.config.writing import sample
from tvault.errors import VaultError

ROOT = Path(__file__).parents[2]
HASH_A, HASH_B = "sha256:" + "a" * 64, "sha256:" + "b" * 64

MINIMAL = f"""\
[cluster]
id = "0a6f3c1e-5b7d-4e0f-9c2a-1d2e3f405162"
fields = ["ssn"]

[keys]
token = "keys/token.key"
cluster = "keys/cluster.key"

[[node]]
id = "n1"
api = "127.0.0.1:7101"
peer = "127.0.0.1:7201"
data = "data/n1"

[[owner]]
id = "A"
api_keys = ["{HASH_A}"]
"""

SECOND_NODE = """
[[node]]
id = "n2"
api = "127.0.0.1:7102"
peer = "127.0.0.1:7202"
data = "data/n2"
"""

SECOND_OWNER = f"""
[[owner]]
id = "B"
api_keys = [
  # the old one
  "{HASH_B}",
]
"""

TLS = """
[tls]
certificate = "tls/n.pem"
key = "tls/n.key"
"""


def load_text(folder: Path, text: str) -> Config:
    file = folder / "tvault.toml"
    file.write_text(text, encoding="utf-8")
    return load(file, {})


def refusal(folder: Path, text: str) -> str:
    """What is said of the text, from the file's name on."""
    with pytest.raises(VaultError) as caught:
        load_text(folder, text)
    assert caught.value.code == "configuration"
    assert "\n" not in caught.value.detail
    return caught.value.detail.removeprefix(f"{folder}/")


def test_the_sample_file_is_what_the_table_of_settings_makes() -> None:
    assert (ROOT / "tvault.toml").read_text(encoding="utf-8") == sample()


def test_the_sample_file_loads_and_holds_every_setting() -> None:
    config = load(ROOT / "tvault.toml", {})
    held = set(re.findall(r"^(\w+) = ", sample(), re.MULTILINE))
    assert held == {setting.name for setting in SETTINGS}
    assert [node.id for node in config.nodes] == ["n1", "n2", "n3"]


def test_the_sample_file_says_the_defaults(tmp_path: Path) -> None:
    given, left_out = load(ROOT / "tvault.toml", {}), load_text(tmp_path, MINIMAL)
    assert (given.limits, given.timing, given.store, given.tls) == (
        left_out.limits,
        left_out.timing,
        left_out.store,
        left_out.tls,
    )


def test_paths_in_the_file_are_relative_to_the_file(tmp_path: Path) -> None:
    config = load_text(tmp_path, MINIMAL)
    assert config.nodes[0].data == tmp_path / "data" / "n1"
    assert config.keys.token.file == tmp_path / "keys" / "token.key"


def test_the_file_is_the_one_given_else_of_the_environment_else_in_the_current_folder() -> None:
    environ = {"TVAULT_CONFIG": "there.toml"}
    assert config_path("here.toml", environ) == Path("here.toml")
    assert config_path(None, environ) == Path("there.toml")
    assert config_path(None, {}) == Path("tvault.toml")


def test_what_render_writes_is_read_back_whatever_the_names_hold(tmp_path: Path) -> None:
    owner = 'a "quoted" \\ name, ünïcode'
    field = '["odd key.x"].y'
    text = render(
        {
            "cluster": {"id": "0a6f3c1e-5b7d-4e0f-9c2a-1d2e3f405162", "fields": [field]},
            "keys": {"token": "env:TOKEN_KEY", "cluster": "c.key"},
        },
        {
            "node": [{"id": "n1", "api": "[::1]:1", "peer": "localhost:65535", "data": "d"}],
            "owner": [{"id": owner, "api_keys": []}],
        },
    )
    config = load_text(tmp_path, text)
    assert config.owners[0].id == owner
    assert config.nodes[0].api.url == "http://[::1]:1"
    assert config.keys.token.variable == "TOKEN_KEY"


@pytest.mark.parametrize(
    ("change", "line", "said"),
    [
        (lambda t: t + "\n[limits]\nvaluess = 3\n", 20, "did you mean 'value_bytes'?"),
        (
            lambda t: t + "\n[limit]\nvalue_bytes = 3\n",
            19,
            "unknown section [limit], did you mean 'limits'?",
        ),
        (lambda t: 'nodes = "n1"\n' + t, 1, "unknown section [nodes]"),
        (lambda t: t + "\n[limits]\nvalue_bytes = 0\n", 20, "an integer from 1 to"),
        (lambda t: t + "\n[limits]\nvalue_bytes = true\n", 20, "not a boolean"),
        (lambda t: t + "\n[limits]\nvalue_bytes = 1.5\n", 20, "not a float"),
        (lambda t: t + '\n[limits]\nbody_bytes = "16 MiB"\n', 20, "not a text"),
        (
            lambda t: t + "\n[limits]\nbody_bytes = 2048\n",
            19,
            "value_bytes: a value cannot be longer than a body",
        ),
        (
            lambda t: t + "\n[limits]\nbody_bytes = 70000000\n",
            20,
            "must fit a message between nodes",
        ),
        (lambda t: t + "\n[timing]\nsuspect_ms = 200\n", 20, "at least three times heartbeat_ms"),
        (lambda t: t.replace('"ssn"', '"ssn", 3'), 3, "item 1 is an integer"),
        (lambda t: t.replace('["ssn"]', '"ssn"'), 3, "fields: expected an array of field paths"),
        (lambda t: t.replace('["ssn"]', '[\n"ssn",\n"a..b",\n]'), 5, "field path 'a..b'"),
        (lambda t: t.replace('"ssn"', '"a", "a"'), 3, "a"),
        (lambda t: t.replace("0a6f3c1e-", ""), 2, "id: expected a UUID"),
        (lambda t: t.replace("0a6f3c1e", "0A6F3C1E"), 2, "in lower case"),
        (lambda t: t.replace('"127.0.0.1:7101"', '"127.0.0.1"'), 11, "expected 'host:port'"),
        (lambda t: t.replace(":7101", ":0"), 11, "expected 'host:port'"),
        (lambda t: t.replace(":7101", ":65536"), 11, "from 1 to 65535"),
        (lambda t: t.replace("127.0.0.1:7101", "0.0.0.0:7101"), 11, "no address that others can reach"),
        (lambda t: t.replace('api = "127.0.0.1:7101"\n', ""), 9, "needs 'api': 'host:port'"),
        (lambda t: t.replace('"n1"', '"n/1"', 1), 10, "id: expected a name"),
        (lambda t: t.replace('"A"', '" A"'), 16, "id: expected a name"),
        (lambda t: t + SECOND_NODE.replace("n2", "n1", 1), 20, "id: 'n1' stands at line 10 already"),
        (
            lambda t: t + SECOND_NODE.replace("7102", "7101"),
            21,
            "127.0.0.1:7101 of node n2 is taken by api of node n1",
        ),
        (
            lambda t: t + SECOND_NODE.replace("127.0.0.1:7202", "localhost:7101"),
            22,
            "is taken by api of node n1",
        ),
        (
            lambda t: t + SECOND_NODE.replace("data/n2", "data/../data/n1"),
            23,
            "n2 and n1 need folders apart",
        ),
        (lambda t: t + SECOND_NODE.replace("data/n2", "data/n1/x"), 23, "n2 and n1 need folders apart"),
        (lambda t: t + SECOND_OWNER.replace('"B"', '"A"'), 20, "id: 'A' stands at line 16 already"),
        (lambda t: t + SECOND_OWNER.replace(HASH_B, HASH_A), 23, "stands at line 17 already"),
        (lambda t: t.replace(HASH_A, "md5:00"), 17, "each 'sha256:' and 64 lower-case hex digits"),
        (lambda t: t.replace(HASH_A, HASH_A.upper()), 17, "each 'sha256:' and 64 lower-case hex digits"),
        (lambda t: t.replace('"keys/token.key"', '"env:9"'), 6, "the name of an environment variable"),
        (lambda t: t.replace('"keys/token.key"', f'"{"ab" * 32}"'), 6, "never the key itself"),
        (
            lambda t: t.replace("keys/token.key", "data/n1/token.key"),
            6,
            "must not lie in the data folder of node n1",
        ),
        (lambda t: t.replace("[[node]]", "[node]"), 9, "expected [[node]]"),
        (lambda t: t + TLS.replace('key = "tls/n.key"\n', ""), 20, "the setting 'key' is missing"),
        (lambda t: t + TLS.replace('"tls/n.pem"', '""'), 21, "the setting 'certificate' is missing"),
        (lambda t: t + '\n[tls]\nca = "ca.pem"\n', 20, "there is no TLS, and nothing to verify"),
        (lambda t: t + TLS.replace('"tls/n.pem"', "3"), 20, "the name of a PEM file, or '' for none"),
        (
            lambda t: t + TLS.replace('"tls/n.key"', '"-----BEGIN PRIVATE KEY-----"'),
            21,
            "never what is in it",
        ),
        (lambda t: t + '\n[tls]\ninsecure = "yes"\n', 20, "expected true or false, not a text"),
        (lambda t: t + "\n[tls]\ninsecure = 1\n", 20, "expected true or false, not an integer"),
        (lambda t: t + "\n[tls]\ncertificat = 1\n", 20, "did you mean 'certificate'?"),
        (
            lambda t: t + TLS.replace("tls/n.key", "data/n1/n.key"),
            21,
            "[tls] key: a key file must not lie in the data folder of node n1",
        ),
        (
            lambda t: t.replace("127.0.0.1:7101", "192.0.2.7:7101"),
            11,
            "[[node]] api: 192.0.2.7:7101 is not",
        ),
        (
            lambda t: t.replace("127.0.0.1:7201", "n1.example:7201"),
            12,
            "[[node]] peer: n1.example:7201 is",
        ),
        (lambda t: t.replace("127.0.0.1:7201", "[2001:db8::1]:7201"), 12, "or 'insecure = true' there"),
        (lambda t: t.replace("127.0.0.1:7201", "localhost.example:7201"), 12, "is not loopback"),
    ],
)
def test_a_mistake_is_named_with_its_line_and_what_was_expected(
    tmp_path: Path, change: Callable[[str], str], line: int, said: str
) -> None:
    text = refusal(tmp_path, change(MINIMAL))
    assert text.startswith(f"tvault.toml line {line}: ")
    assert said in text


@pytest.mark.parametrize("section", ["cluster", "keys", "node", "owner"])
def test_a_missing_section_is_named(tmp_path: Path, section: str) -> None:
    parts = MINIMAL.split("\n\n")
    text = "\n\n".join(part for part in parts if not part.strip("[").startswith(section))
    assert refusal(tmp_path, text) == f"tvault.toml: the section {'[' * 1}" + (
        f"[{section}]] is missing" if section in {"node", "owner"} else f"{section}] is missing"
    )


def test_an_ensemble_has_one_to_nine_nodes(tmp_path: Path) -> None:
    def more(count: int) -> str:
        return "".join(
            SECOND_NODE.replace("n2", f"n{n}").replace("02", f"{n:02}") for n in range(2, count + 1)
        )

    assert len(load_text(tmp_path, MINIMAL + more(9)).nodes) == 9
    assert "at most 9 nodes" in refusal(tmp_path, MINIMAL + more(10))


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "127.0.0.1", "127.9.8.7", "[::1]"])
def test_on_loopback_nobody_needs_a_certificate(tmp_path: Path, host: str) -> None:
    config = load_text(tmp_path, MINIMAL.replace("127.0.0.1:7101", f"{host}:7101"))
    assert config.nodes[0].api.url == f"http://{host}:7101"


@pytest.mark.parametrize("allowed", [TLS, "\n[tls]\ninsecure = true\n"])
def test_beyond_loopback_a_node_needs_a_certificate_or_to_be_told_that_it_is_insecure(
    tmp_path: Path, allowed: str
) -> None:
    beyond = MINIMAL.replace("127.0.0.1", "192.0.2.7")
    assert "is not loopback" in refusal(tmp_path, beyond)
    assert load_text(tmp_path, beyond + allowed).nodes[0].api.host == "192.0.2.7"


def test_with_a_certificate_both_addresses_are_reached_over_tls(tmp_path: Path) -> None:
    config = load_text(tmp_path, MINIMAL + TLS)
    assert (config.tls.certificate, config.tls.key) == (tmp_path / "tls/n.pem", tmp_path / "tls/n.key")
    node = config.nodes[0]
    assert (node.api.url, node.peer.url) == ("https://127.0.0.1:7101", "https://127.0.0.1:7201")


def test_who_only_reads_the_configuration_needs_no_file_that_it_names(tmp_path: Path) -> None:
    config = load_text(tmp_path, MINIMAL + TLS + 'ca = "tls/ca.pem"\n')
    assert config.tls.ca == tmp_path / "tls/ca.pem"
    assert not (tmp_path / "tls").exists()


def test_two_machines_may_use_the_same_port(tmp_path: Path) -> None:
    other = SECOND_NODE.replace("127.0.0.1:7102", "127.0.0.2:7101")
    assert len(load_text(tmp_path, MINIMAL + other).nodes) == 2


def test_a_key_pasted_where_its_hash_belongs_is_not_repeated(tmp_path: Path) -> None:
    said = refusal(tmp_path, MINIMAL.replace(HASH_A, "tvk_very-secret"))
    assert "is an API key itself" in said
    assert "very-secret" not in said


def test_a_file_that_is_not_toml_is_told_the_line(tmp_path: Path) -> None:
    assert "line 2" in refusal(tmp_path, "[cluster]\nid =\n")


def test_a_missing_file_says_how_to_name_or_make_one(tmp_path: Path) -> None:
    with pytest.raises(VaultError, match=r"no such file.*--config.*tvault init"):
        load(tmp_path / "none.toml", {})


def test_an_unknown_node_is_told_the_known_ones(tmp_path: Path) -> None:
    config = load_text(tmp_path, MINIMAL + SECOND_NODE)
    assert config.node("n2").api.port == 7102
    with pytest.raises(VaultError, match="no node 'n3'; its nodes are n1, n2"):
        config.node("n3")


@pytest.fixture
def with_keys(tmp_path: Path) -> Config:
    (tmp_path / "keys").mkdir()
    for name, digits in (("token", "ab" * 32), ("cluster", "cd" * 32)):
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
    assert read_keys(config, {"KEY": "ef" * 32}).token == b"\xef" * 32
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
