"""What a `tvault.toml` may say, and how it is told what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.configured import (
    HASH_A,
    HASH_B,
    MINIMAL,
    SECOND_MASTER,
    SECOND_NODE,
    SECOND_OWNER,
    TLS,
    load_text,
    refusal,
)
from tvault.config import SETTINGS, config_path, load, render
from tvault.config.writing import sample
from tvault.errors import VaultError

ROOT = Path(__file__).parents[2]


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
            "keys": {"token": "env:TOKEN_KEY", "cluster": "c.key", "master": "2026.11-a_B"},
        },
        {
            "master_key": [
                {"id": "2026.11-a_B", "key": "env:MASTER"},
                {"id": "m1", "key": "m1.key"},
            ],
            "node": [{"id": "n1", "api": "[::1]:1", "peer": "localhost:65535", "data": "d"}],
            "owner": [{"id": owner, "api_keys": []}],
        },
    )
    config = load_text(tmp_path, text)
    assert config.owners[0].id == owner
    assert config.nodes[0].api.url == "http://[::1]:1"
    assert config.keys.token.variable == "TOKEN_KEY"
    assert config.keys.master == "2026.11-a_B"
    assert [(each.id, each.key.variable, each.key.file) for each in config.master_keys] == [
        ("2026.11-a_B", "MASTER", None),
        ("m1", None, tmp_path / "m1.key"),
    ]


@pytest.mark.parametrize(
    ("change", "line", "said"),
    [
        (lambda t: t + "\n[limits]\nvaluess = 3\n", 25, "did you mean 'value_bytes'?"),
        (
            lambda t: t + "\n[limit]\nvalue_bytes = 3\n",
            24,
            "unknown section [limit], did you mean 'limits'?",
        ),
        (lambda t: 'nodes = "n1"\n' + t, 1, "unknown section [nodes]"),
        (lambda t: t + "\n[limits]\nvalue_bytes = 0\n", 25, "an integer from 1 to"),
        (lambda t: t + "\n[limits]\nvalue_bytes = true\n", 25, "not a boolean"),
        (lambda t: t + "\n[limits]\nvalue_bytes = 1.5\n", 25, "not a float"),
        (lambda t: t + '\n[limits]\nbody_bytes = "16 MiB"\n', 25, "not a text"),
        (
            lambda t: t + "\n[limits]\nbody_bytes = 2048\n",
            24,
            "value_bytes: a value cannot be longer than a body",
        ),
        (
            lambda t: t + "\n[limits]\nbody_bytes = 70000000\n",
            25,
            "must fit a message between nodes",
        ),
        (lambda t: t + "\n[timing]\nsuspect_ms = 200\n", 25, "at least three times heartbeat_ms"),
        (lambda t: t.replace('"ssn"', '"ssn", 3'), 3, "item 1 is an integer"),
        (lambda t: t.replace('["ssn"]', '"ssn"'), 3, "fields: expected an array of field paths"),
        (lambda t: t.replace('["ssn"]', '[\n"ssn",\n"a..b",\n]'), 5, "field path 'a..b'"),
        (lambda t: t.replace('"ssn"', '"a", "a"'), 3, "a"),
        (lambda t: t.replace("0a6f3c1e-", ""), 2, "id: expected a UUID"),
        (lambda t: t.replace("0a6f3c1e", "0A6F3C1E"), 2, "in lower case"),
        (lambda t: t.replace('"127.0.0.1:7101"', '"127.0.0.1"'), 12, "expected 'host:port'"),
        (lambda t: t.replace(":7101", ":0"), 12, "expected 'host:port'"),
        (lambda t: t.replace("127.0.0.1:7101", "a..b:7101"), 12, "expected 'host:port'"),
        (lambda t: t.replace("127.0.0.1:7101", f"{'a' * 64}.b:7101"), 12, "expected 'host:port'"),
        (lambda t: t.replace(":7101", ":65536"), 12, "from 1 to 65535"),
        (lambda t: t.replace("127.0.0.1:7101", "0.0.0.0:7101"), 12, "no address that others can reach"),
        (lambda t: t.replace('api = "127.0.0.1:7101"\n', ""), 10, "needs 'api': 'host:port'"),
        (lambda t: t.replace('"n1"', '"n/1"', 1), 11, "id: expected a name"),
        (lambda t: t.replace('"A"', '" A"'), 17, "id: expected a name"),
        (lambda t: t + SECOND_NODE.replace("n2", "n1", 1), 25, "id: 'n1' stands at line 11 already"),
        (
            lambda t: t + SECOND_NODE.replace("7102", "7101"),
            26,
            "127.0.0.1:7101 of node n2 is taken by api of node n1",
        ),
        (
            lambda t: t + SECOND_NODE.replace("127.0.0.1:7202", "localhost:7101"),
            27,
            "is taken by api of node n1",
        ),
        (
            lambda t: t + SECOND_NODE.replace("data/n2", "data/../data/n1"),
            28,
            "n2 and n1 need folders apart",
        ),
        (lambda t: t + SECOND_NODE.replace("data/n2", "data/n1/x"), 28, "n2 and n1 need folders apart"),
        (lambda t: t + SECOND_OWNER.replace('"B"', '"A"'), 25, "id: 'A' stands at line 17 already"),
        (lambda t: t + SECOND_OWNER.replace(HASH_B, HASH_A), 28, "stands at line 18 already"),
        (lambda t: t.replace(HASH_A, "md5:00"), 18, "each 'sha256:' and 64 lower-case hex digits"),
        (lambda t: t.replace(HASH_A, HASH_A.upper()), 18, "each 'sha256:' and 64 lower-case hex digits"),
        (lambda t: t.replace('"keys/token.key"', '"env:9"'), 6, "the name of an environment variable"),
        (lambda t: t.replace('"keys/token.key"', f'"{"ab" * 32}"'), 6, "never the key itself"),
        (
            lambda t: t.replace("keys/token.key", "data/n1/token.key"),
            6,
            "must not lie in the data folder of node n1",
        ),
        (lambda t: t.replace("[[node]]", "[node]"), 10, "expected [[node]]"),
        (lambda t: t.replace('master = "m1"\n', ""), 5, "[keys] needs 'master': a name of 1 to 64"),
        (lambda t: t.replace('master = "m1"', "master = 1"), 8, "master: expected a name of 1 to 64"),
        (lambda t: t.replace('master = "m1"', 'master = ""'), 8, "master: expected a name of 1 to 64"),
        (
            lambda t: t.replace('master = "m1"', 'master = "m3"') + SECOND_MASTER,
            8,
            "[keys] master: no [[master_key]] has the id 'm3'; there are m1, m2",
        ),
        (lambda t: t.replace('id = "m1"', 'id = "m 1"'), 21, "[[master_key]] id: expected a name of 1"),
        (lambda t: t.replace('id = "m1"', f'id = "{"m" * 65}"'), 21, "id: expected a name of 1 to 64"),
        (lambda t: t.replace('id = "m1"', f'id = "{"ab" * 32}"'), 21, "id: expected a name of 1 to 64"),
        (lambda t: t.replace("keys/master-m1.key", "ab" * 32), 22, "key: expected the name of a key"),
        (lambda t: t.replace('key = "keys/master-m1.key"', ""), 20, "[[master_key]] needs 'key'"),
        (lambda t: t + SECOND_MASTER.replace("m2", "m1"), 25, "id: 'm1' stands at line 21 already"),
        (
            lambda t: t + SECOND_MASTER.replace("keys/", "data/n1/"),
            26,
            "[[master_key]] 'm2' key: a key file must not lie in the data folder of node n1",
        ),
        (lambda t: t.replace("[[master_key]]", "[master_key]"), 20, "expected [[master_key]]"),
        (lambda t: t + "\n[limits]\nsecret_bytes = 0\n", 25, "an integer from 1 to"),
        (
            lambda t: t + "\n[limits]\nbody_bytes = 65536\n",
            24,
            "[limits] secret_bytes: a value cannot be longer than a body",
        ),
        (lambda t: t + TLS.replace('key = "tls/n.key"\n', ""), 25, "the setting 'key' is missing"),
        (lambda t: t + TLS.replace('"tls/n.pem"', '""'), 26, "the setting 'certificate' is missing"),
        (lambda t: t + '\n[tls]\nca = "ca.pem"\n', 25, "there is no TLS, and nothing to verify"),
        (lambda t: t + TLS.replace('"tls/n.pem"', "3"), 25, "the name of a PEM file, or '' for none"),
        (
            lambda t: t + TLS.replace('"tls/n.key"', '"-----BEGIN PRIVATE KEY-----"'),
            26,
            "never what is in it",
        ),
        (lambda t: t + '\n[tls]\ninsecure = "yes"\n', 25, "expected true or false, not a text"),
        (lambda t: t + "\n[tls]\ninsecure = 1\n", 25, "expected true or false, not an integer"),
        (lambda t: t + "\n[tls]\ncertificat = 1\n", 25, "did you mean 'certificate'?"),
        (lambda t: t + '\n[log]\nformat = "xml"\n', 25, "[log] format: expected 'text' or 'json'"),
        (lambda t: t + "\n[log]\nlevel = 1\n", 25, "'info', 'warning' or 'error', not an integer"),
        (lambda t: t + "\n[log]\nevents_files = 0\n", 25, "an integer from 1 to 100000"),
        (
            lambda t: t + TLS.replace("tls/n.key", "data/n1/n.key"),
            26,
            "[tls] key: a key file must not lie in the data folder of node n1",
        ),
        (
            lambda t: t.replace("127.0.0.1:7101", "192.0.2.7:7101"),
            12,
            "[[node]] api: 192.0.2.7:7101 is not",
        ),
        (
            lambda t: t.replace("127.0.0.1:7201", "n1.example:7201"),
            13,
            "[[node]] peer: n1.example:7201 is",
        ),
        (lambda t: t.replace("127.0.0.1:7201", "[2001:db8::1]:7201"), 13, "or 'insecure = true' there"),
        (lambda t: t.replace("127.0.0.1:7201", "localhost.example:7201"), 13, "is not loopback"),
    ],
)
def test_a_mistake_is_named_with_its_line_and_what_was_expected(
    tmp_path: Path, change: Callable[[str], str], line: int, said: str
) -> None:
    text = refusal(tmp_path, change(MINIMAL))
    assert text.startswith(f"tvault.toml line {line}: ")
    assert said in text


@pytest.mark.parametrize("section", ["cluster", "keys", "master_key", "node", "owner"])
def test_a_missing_section_is_named(tmp_path: Path, section: str) -> None:
    parts = MINIMAL.split("\n\n")
    text = "\n\n".join(part for part in parts if not part.strip("[").startswith(section))
    assert refusal(tmp_path, text) == f"tvault.toml: the section {'[' * 1}" + (
        f"[{section}]] is missing"
        if section in {"master_key", "node", "owner"}
        else f"{section}] is missing"
    )


def test_an_ensemble_has_one_to_nine_nodes(tmp_path: Path) -> None:
    def more(count: int) -> str:
        return "".join(
            SECOND_NODE.replace("n2", f"n{n}").replace("02", f"{n:02}") for n in range(2, count + 1)
        )

    assert len(load_text(tmp_path, MINIMAL + more(9)).nodes) == 9
    assert "at most 9 nodes" in refusal(tmp_path, MINIMAL + more(10))


def test_a_cluster_has_at_most_64_master_keys(tmp_path: Path) -> None:
    def more(count: int) -> str:
        return "".join(SECOND_MASTER.replace("m2", f"m{number}") for number in range(2, count + 1))

    assert len(load_text(tmp_path, MINIMAL + more(64)).master_keys) == 64
    assert "at most 64 master keys" in refusal(tmp_path, MINIMAL + more(65))


def test_what_a_request_writes_fits_a_message_between_nodes(tmp_path: Path) -> None:
    def limited(body_bytes: int) -> str:
        return MINIMAL + f"\n[limits]\nvalues_per_request = 1000\nbody_bytes = {body_bytes}\n"

    most = 54 * 1024 * 1024 - 64 * 1000
    assert load_text(tmp_path, limited(most)).limits.body_bytes == most
    assert "must fit a message between nodes" in refusal(tmp_path, limited(most + 1))


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


@pytest.mark.parametrize("key", ["tvk_" + "very-secret" * 4, "0123456789abcdef" * 4])
@pytest.mark.parametrize("place", ['master = "m1"', 'id = "m1"', 'key = "keys/master-m1.key"'])
def test_a_key_pasted_where_a_master_keys_id_or_file_belongs_is_not_repeated(
    tmp_path: Path, place: str, key: str
) -> None:
    said = refusal(tmp_path, MINIMAL.replace(place, f'{place.split(maxsplit=1)[0]} = "{key}"'))
    assert "never the key itself" in said
    assert key not in said


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
