"""`tvault inspect` and the command line as a whole."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import click
import pytest

from tests.unit.cli.running import CommandLine
from tests.unit.client.canned import Canned, CannedNode, canned
from tvault.cli.main import COMMANDS, EXIT_CODES
from tvault.cli.main import tvault as whole
from tvault.config import load, read_keys
from tvault.model.keys import derive

DIGEST = "0123456789abcdef" * 4


def answer(node: str, last: int, health: str = "ok", trouble: str | None = None) -> Canned:
    document = {
        "node": node,
        "role": "head",
        "view": 4,
        "chain": ["n1", "n2"],
        "ensemble": ["n1", "n2", "n3"],
        "journal": {"last": last, "committed": last - 1, "digest": DIGEST},
        "health": health,
        "trouble": trouble,
        "incarnation": "x",
        "standing": "voter",
        "promised": 4,
    }
    return Canned(200, json.dumps(document).encode())


def cluster(stack: ExitStack, tvault: CommandLine, answers: Sequence[Canned | None]) -> list[CannedNode]:
    """A configuration whose peer addresses are these servers; None is a node that is down."""
    tvault("init", "c", "--owner", "A", "--base-port", 1)
    file = Path("c/tvault.toml")
    nodes = []
    for number, given in enumerate(answers, 1):
        if given is not None:
            nodes.append(stack.enter_context(canned([given])))
            address = nodes[-1].url.removeprefix("http://")
            file.write_text(file.read_text().replace(f"127.0.0.1:{101 + number}", address))
    return nodes


def test_the_nodes_are_shown_in_one_table(tvault: CommandLine) -> None:
    with ExitStack() as stack:
        cluster(stack, tvault, [answer("n1", 12), answer("n2", 9, "degraded", "disk full"), None])
        ran = tvault("inspect", "--config", "c/tvault.toml")
    assert ran.code == 0
    assert [line.split(maxsplit=8) for line in ran.out.decode().splitlines()] == [
        ["node", "role", "view", "last", "committed", "digest", "lag", "health", "trouble"],
        ["n1", "head", "4", "12", "11", DIGEST[:12], "0", "ok", "-"],
        ["n2", "head", "4", "9", "8", DIGEST[:12], "3", "degraded", "disk full"],
        ["n3", "-", "-", "-", "-", "-", "-", "down", "-"],
    ]


def test_nodes_are_asked_with_a_credential_that_does_not_tell_the_secret(tvault: CommandLine) -> None:
    with ExitStack() as stack:
        nodes = cluster(stack, tvault, [answer("n1", 1)] * 3)
        tvault("inspect", "--config", "c/tvault.toml")
    secret = read_keys(load("c/tvault.toml", {}), {}).cluster
    for node in nodes:
        assert node.seen[0].headers["Authorization"] == f"Bearer {derive(secret, 'peer').hex()}"


def test_json_holds_all_that_nodes_say(tvault: CommandLine) -> None:
    with ExitStack() as stack:
        cluster(stack, tvault, [answer("n1", 12, "degraded", "the chain lacks n3"), None, None])
        document = tvault("inspect", "--config", "c/tvault.toml", "--json").document
    first, second, _ = document["nodes"]
    assert (first["digest"], first["standing"], first["chain"]) == (DIGEST, "voter", ["n1", "n2"])
    assert (first["health"], first["trouble"]) == ("degraded", "the chain lacks n3")
    assert (second["node"], second["health"], second["last"]) == ("n2", "down", None)


def test_a_cluster_of_which_no_node_answers_makes_exit_code_4(tvault: CommandLine) -> None:
    with ExitStack() as stack:
        cluster(stack, tvault, [None, None, None])
        ran = tvault("inspect", "--config", "c/tvault.toml")
    assert (ran.code, ran.err) == (4, "tvault: no node answered\n")
    assert ran.out.count(b"down") == 3


def test_every_command_has_help_takes_a_configuration_and_is_listed_with_its_first_line(
    tvault: CommandLine,
) -> None:
    listed = tvault("-h").out.decode()
    context = click.Context(whole)
    for name, (_, text) in COMMANDS.items():
        command = whole.get_command(context, name)
        assert command is not None
        assert command.get_short_help_str(200) == text
        assert name in listed
        leaves = command.commands.values() if isinstance(command, click.Group) else [command]
        for leaf in leaves:
            assert "--config" in [option for parameter in leaf.params for option in parameter.opts]
        assert tvault(name, "-h").code == 0


def test_the_version_is_told(tvault: CommandLine) -> None:
    assert tvault("--version").out.startswith(b"tvault 0.")


def test_a_configuration_that_is_wrong_makes_exit_code_2_and_one_line(tvault: CommandLine) -> None:
    tvault("init", ".", "--owner", "A")
    file = Path("tvault.toml")
    file.write_text(file.read_text().replace("fields = ", "feilds = "))
    ran = tvault("inspect")
    assert ran.code == 2
    assert (
        ran.err
        == "tvault: tvault.toml line 8: [cluster] unknown setting 'feilds', did you mean 'fields'?\n"
    )


def test_exit_codes_are_those_of_the_table() -> None:
    assert EXIT_CODES["usage"] == EXIT_CODES["configuration"] == 2
    assert EXIT_CODES["unreachable"] == EXIT_CODES["unavailable"] == 4


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_can_complete(tvault: CommandLine, shell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_TVAULT_COMPLETE", f"{shell}_source")
    ran = tvault()
    assert (ran.code, b"tvault" in ran.out) == (0, True)
    assert "_TVAULT_COMPLETE" in os.environ
