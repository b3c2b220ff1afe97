"""`tvault inspect` and the command line as a whole."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click
import pytest

from tests.unit.cli.running import CommandLine
from tests.unit.client.canned import Canned, CannedNode, canned
from tvault.cli.main import COMMANDS, EXIT_CODES
from tvault.cli.main import tvault as whole
from tvault.config import load, read_keys
from tvault.model.keys import derive

DIGEST = "0123456789abcdef" * 4


def answer(node: str, last: int, health: str = "ok", trouble: str | None = None, **more: Any) -> Canned:
    document: dict[str, object] = {
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
        **more,
    }
    return Canned(200, json.dumps(document).encode())


def cluster(stack: ExitStack, tvault: CommandLine, answers: Sequence[Canned | None]) -> list[CannedNode]:
    """A configuration whose peer addresses are these servers; None is a node that is down."""
    shutil.rmtree("c", ignore_errors=True)
    tvault("init", "c", "--owner", "A", "--base-port", 1)
    file = Path("c/tvault.toml")
    nodes = []
    for number, given in enumerate(answers, 1):
        if given is not None:
            nodes.append(stack.enter_context(canned([given])))
            address = nodes[-1].url.removeprefix("http://")
            file.write_text(file.read_text().replace(f"127.0.0.1:{101 + number}", address))
    return nodes


def test_the_nodes_are_shown_in_one_table_and_their_troubles_below(tvault: CommandLine) -> None:
    with ExitStack() as stack:
        cluster(stack, tvault, [answer("n1", 12), answer("n2", 9, "degraded", "disk full"), None])
        ran = tvault("inspect", "--config", "c/tvault.toml")
    assert ran.code == 0
    table, _, below = ran.out.decode().partition("\n\n")
    assert [line.split() for line in table.splitlines()] == [
        ["node", "role", "view", "last", "committed", "lag", "digest", "health"],
        ["n1", "head", "4", "12", "11", "0", DIGEST[:12], "ok"],
        ["n2", "head", "4", "9", "8", "3", DIGEST[:12], "degraded"],
        ["n3", "-", "-", "-", "-", "-", "-", "down"],
    ]
    assert below.splitlines() == [
        "degraded: writes go on in view 4, n1 -> n2, without n3",
        "n2: disk full",
        "n3: no answer from http://127.0.0.1:104",
    ]


def test_a_cluster_is_whole_when_all_nodes_are_well_in_one_view(tvault: CommandLine) -> None:
    """And it is said once, with the last change of the chain, why it was, and what was there before."""
    changed: dict[str, Any] = {
        "changed_at": "2026-11-25T17:29:15.208759Z",
        "changed_view": 4,
        "changed_why": "n2 has caught up",
        "changed_before": ["n1", "n3"],
        "events_lost": 0,
    }
    chain = ["n1", "n3", "n2"]
    with ExitStack() as stack:
        cluster(stack, tvault, [answer(name, 12, chain=chain, **changed) for name in ("n1", "n2", "n3")])
        ran = tvault("inspect", "--config", "c/tvault.toml")
        document = tvault("inspect", "--config", "c/tvault.toml", "--json").document
    whole, change = ran.out.decode().splitlines()[-2:]
    assert whole == "whole: all nodes are in the chain of view 4, n1 -> n3 -> n2"
    told = "view 4: n1 -> n3 became n1 -> n3 -> n2 (n2 has caught up)"
    assert change.startswith(f"last change: 2026-11-25T17:29:15.208759Z, {told}, ")
    assert change.endswith(" ago")
    assert document["state"] == "whole"
    assert document["last_change"] == {
        "at": changed["changed_at"],
        "view": 4,
        "why": "n2 has caught up",
        "before": ["n1", "n3"],
        "chain": chain,
    }


@pytest.mark.parametrize(
    ("healths", "views", "state"),
    [
        (["ok", "ok", "ok"], [4, 4, 4], "whole"),
        (["ok", "ok", "ok"], [4, 7, 7], "degraded"),
        (["degraded", "degraded", "unavailable"], [4, 4, 0], "degraded"),
        (["unavailable", "unavailable", "unavailable"], [4, 4, 4], "down"),
    ],
)
def test_the_state_of_the_cluster_follows_from_what_all_nodes_say(
    tvault: CommandLine, healths: list[str], views: list[int], state: str
) -> None:
    with ExitStack() as stack:
        told = zip(healths, views, strict=True)
        cluster(stack, tvault, [answer("n", 1, health, view=view) for health, view in told])
        ran = tvault("inspect", "--config", "c/tvault.toml")
        assert tvault("inspect", "--config", "c/tvault.toml", "--json").document["state"] == state
    assert (ran.code, ran.out.decode().splitlines()[5].partition(":")[0]) == (0, state)


def test_different_histories_and_lost_events_are_told_below_the_table(tvault: CommandLine) -> None:
    """Two nodes that have committed as much have committed the same, or something is very wrong."""
    other = {"last": 12, "committed": 11, "digest": "ff" * 32}
    with ExitStack() as stack:
        cluster(stack, tvault, [answer("n1", 12), answer("n2", 12, journal=other), answer("n3", 13)])
        ran = tvault("inspect", "--config", "c/tvault.toml")
    assert "n1 and n2 differ at entry 11: look with tvault inspect verify" in ran.out.decode()
    with ExitStack() as stack:
        cluster(stack, tvault, [answer("n1", 12, events_lost=3), None, None])
        ran = tvault("inspect", "--config", "c/tvault.toml")
    assert "n1: 3 events are lost" in ran.out.decode()


def test_what_nodes_say_moves_no_cursor(tvault: CommandLine) -> None:
    odd = {"role": "\x1b[2Jr", "chain": ["\x1b[2Jc"]}
    with ExitStack() as stack:
        cluster(stack, tvault, [answer("n1", 12, "degraded", "\x1b[2Jgone", **odd), None, None])
        ran = tvault("inspect", "--config", "c/tvault.toml")
    assert b"\x1b" not in ran.out
    for shown in (b"gone", b"r", b"c"):
        assert b"\\x1b[2J" + shown in ran.out


@pytest.mark.parametrize(
    "wrong",
    [
        {"view": "four"},
        {"journal": None},
        {"changed_at": "today"},
        {"changed_at": "2026-01-01T00:00:00"},
    ],
)
def test_a_node_whose_answer_makes_no_sense_is_taken_for_down(
    tvault: CommandLine, wrong: dict[str, Any]
) -> None:
    with ExitStack() as stack:
        cluster(stack, tvault, [answer("n1", 12), answer("n2", 12, **wrong), answer("n3", 12)])
        ran = tvault("inspect", "--config", "c/tvault.toml")
    assert ran.code == 0
    assert ran.out.decode().splitlines()[2].split() == ["n2", *"------", "down"]
    assert " answers is no status of a node" in ran.out.decode()


def test_options_of_a_subcommand_stand_behind_it(tvault: CommandLine) -> None:
    ran = tvault("inspect", "--json", "events")
    assert ran.code == 2
    assert "tvault inspect events" in ran.err


def test_nodes_are_asked_with_a_credential_that_does_not_tell_the_secret(tvault: CommandLine) -> None:
    with ExitStack() as stack:
        nodes = cluster(stack, tvault, [answer("n1", 1)] * 3)
        tvault("inspect", "--config", "c/tvault.toml")
    secret = read_keys(load("c/tvault.toml", {}), {}).cluster
    for node in nodes:
        assert node.seen[0].headers["Authorization"] == f"Bearer {derive(secret, 'peer').hex()}"


def test_who_looks_after_nodes_needs_none_of_the_keys_that_open_values(tvault: CommandLine) -> None:
    with ExitStack() as stack:
        cluster(stack, tvault, [answer("n1", 1)] * 3)
        for key in Path("c/keys").iterdir():
            if key.name != "cluster.key":
                key.unlink()
        ran = tvault("inspect", "--config", "c/tvault.toml")
    assert (ran.code, ran.err) == (0, "")


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
    assert ran.out.count(b" down\n") == 3


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
