"""`tvault recover`: what an operator must say before a node that has forgotten may vote again."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from tests.unit.cli.running import CommandLine
from tvault.config import load, read_keys
from tvault.events import FILE_NAME as EVENTS
from tvault.model.keys import KeyRing
from tvault.replication.promise import Promise, Standing
from tvault.replication.recovery import Identity
from tvault.server.folder import PROMISE_FILE, DataFolder

FOLDER = Path("c/data/n2")


@pytest.fixture
def identity(tvault: CommandLine) -> Identity:
    """Node n2 of a new cluster, whose folder holds a voter."""
    tvault("init", "c", "--owner", "A")
    config = load("c/tvault.toml", {})
    keys = KeyRing(read_keys(config, {}).token).fingerprint()
    identity = Identity(config.cluster_id, ("n1", "n2", "n3"), "n2", keys)
    started(identity, Standing.VOTER)
    return identity


def started(identity: Identity, standing: Standing | None = None) -> Promise:
    """Start the node and stop it again; its promise."""
    folder = DataFolder(FOLDER)
    opened = folder.open(identity, 2)
    promise = opened.promise
    if standing is not None:
        promise = msgspec.structs.replace(promise, standing=standing)
        opened.promise_file.write(promise, sync=True)
    opened.promise_file.close()
    opened.store.close()
    folder.close()
    return promise


def damaged(identity: Identity) -> Promise:
    """Have the node forget what it promised, and start it once."""
    (FOLDER / PROMISE_FILE).write_bytes(b"damaged")
    return started(identity)


def content() -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in FOLDER.rglob("*") if file.is_file()}


def recover(tvault: CommandLine, *more: str) -> tuple[int, str, str]:
    ran = tvault("recover", "--config", "c/tvault.toml", "--node", "n2", *more)
    return ran.code, ran.out.decode(), ran.err


def test_without_the_word_it_is_explained_and_nothing_is_changed(
    tvault: CommandLine, identity: Identity
) -> None:
    damaged(identity)
    before = content()
    code, out, err = recover(tvault)
    assert (code, out) == (2, "")
    for part in ("n2 is blank", "the promise file is damaged", "lost", "--accept-loss"):
        assert part in err
    assert content() == before


def test_a_blank_node_votes_again_with_its_own_journal_and_the_events_tell(
    tvault: CommandLine, identity: Identity
) -> None:
    blank = damaged(identity)
    assert blank.standing is Standing.BLANK
    code, out, err = recover(tvault, "--accept-loss")
    assert (code, err) == (0, "")
    assert "n2 will vote again" in out
    after = started(identity)
    assert (after.standing, after.incarnation) == (Standing.VOTER, blank.incarnation)
    assert after.set_aside, "it takes part in no founding"
    events = [json.loads(line) for line in (FOLDER / EVENTS).read_text().splitlines()]
    assert (events[-1]["event"], events[-1]["node"], events[-1]["last"]) == ("loss-accepted", "n2", 0)


@pytest.mark.parametrize("word", [[], ["--accept-loss"]])
def test_a_node_that_may_vote_has_nothing_to_recover(
    tvault: CommandLine, identity: Identity, word: list[str]
) -> None:
    code, out, _ = recover(tvault, *word)
    assert (code, out) == (0, "node n2 may vote: there is nothing to recover\n")
    assert started(identity).standing is Standing.VOTER
    assert not (FOLDER / EVENTS).exists()


def test_damage_that_no_start_has_seen_yet_is_judged_first(
    tvault: CommandLine, identity: Identity
) -> None:
    before = started(identity)
    (FOLDER / PROMISE_FILE).write_bytes(b"damaged")
    code, out, _ = recover(tvault, "--accept-loss")
    assert (code, "will vote again" in out) == (0, True)
    assert started(identity).incarnation != before.incarnation


def test_a_node_that_runs_is_refused(tvault: CommandLine, identity: Identity) -> None:
    damaged(identity)
    folder = DataFolder(FOLDER)
    before = content()
    code, _, err = recover(tvault, "--accept-loss")
    folder.close()
    assert (code, "in use by another process" in err) == (2, True)
    assert content() == before


def test_a_node_without_a_folder_is_refused_and_gets_none(tvault: CommandLine) -> None:
    tvault("init", "c", "--owner", "A")
    code, _, err = recover(tvault, "--accept-loss")
    assert (code, "has no folder here" in err) == (2, True)
    assert not FOLDER.exists()


def test_the_folder_of_another_node_is_refused(tvault: CommandLine, identity: Identity) -> None:
    damaged(identity)
    FOLDER.rename("c/data/n3")
    ran = tvault("recover", "--config", "c/tvault.toml", "--node", "n3", "--accept-loss")
    assert (ran.code, "belongs to node n2" in ran.err) == (2, True)
