"""The head is killed while a file is tokenized; later it comes back."""

from __future__ import annotations

import os
import re
import time
from contextlib import ExitStack
from dataclasses import dataclass
from select import select
from typing import BinaryIO

from tvault.cli.demo.patients import NUMBERS_LIKE
from tvault.cli.demo.show import Show
from tvault.cli.demo.stage import SHOWN_LINES
from tvault.cli.overview import Overview
from tvault.errors import VaultError

LOOK_SECONDS = 0.1
REQUESTS = 60
"""Into how many the records are divided, so that the kill meets some on their way."""

FEWEST_RECORDS, MOST_RECORDS = 10, 1_000
PIECE = 1 << 16


@dataclass(frozen=True)
class Bulk:
    """A bulk run that met a kill: how many bytes were out by then, and the longest time from then on in
    which nothing came out, in seconds."""

    early: int
    pause_s: float


def kill_the_head(show: Show) -> None:
    """A bulk run that goes on over the death of the head."""
    stage, cluster = show.stage, show.cluster
    stage.step("kill -9 of the head in the middle of a bulk run")
    head = cluster.chain()[0]
    batch = max(FEWEST_RECORDS, min(MOST_RECORDS, len(show.people) // REQUESTS))
    command = f"tvault tokenize patients.jsonl --batch {batch}"
    stage.tell(
        "All records go through one command. As soon as its first tokens come out, the head of the "
        "chain is killed. The command is told nothing."
    )
    stage.command(f"$ {command} > tokens.jsonl")
    bulk = _run_and_kill(show, command, head)
    made = show.content("tokens.jsonl")
    early = made[: bulk.early].count(b"\n")
    late = made.count(b"\n") - early
    stage.tell(f"{early:,} records had come out before the kill, {late:,} came after it.")
    stage.claim(
        f"the run went on to its end, by itself; the longest pause was {bulk.pause_s:.2f} s",
        made.count(b"\n") == len(show.people),
    )
    show.run("head -n 2 tokens.jsonl")
    show.check(
        "tvault detokenize tokens.jsonl | cmp - patients.jsonl",
        "nothing that was answered is lost: every byte of the input comes back",
    )
    numbers = sum(len(each.values) for each in show.people)
    stage.claim(
        f"the output holds {numbers:,} tokens where the numbers were, and no number",
        made.count(b'"tv1_1_') == numbers and re.search(NUMBERS_LIKE, made, re.ASCII) is None,
    )


def _run_and_kill(show: Show, command: str, head: str) -> Bulk:
    """Run it, pass on what comes out, and kill the head when the first piece has come.

    The run cannot be over by then: it has more to say than a pipe holds, and waits until it is read.
    """
    cluster, place = show.cluster, show.cluster.place
    reading, writing = os.pipe()
    early, pause, last = 0, 0.0, 0.0
    with ExitStack() as after:
        source = after.enter_context(os.fdopen(reading, "rb", 0))
        sink = after.enter_context(os.fdopen(writing, "wb", 0))
        said = after.enter_context((place / "bulk.log").open("wb"))
        output = after.enter_context((place / "tokens.jsonl").open("wb"))
        process = after.enter_context(cluster.begun(command, sink, said))
        sink.close()
        while piece := _next_piece(show, source):
            output.write(piece)
            now = time.monotonic()
            if early:
                pause = max(pause, now - last)
            else:
                early = len(piece)
                cluster.kill(head)
                show.killed = head
            last = now
        cluster.wait("the bulk run ends", lambda: process.poll() is not None)
    if process.returncode:
        why = (place / "bulk.log").read_text("utf-8", "replace").rstrip()
        raise VaultError("internal", f"exit code {process.returncode} of: {command}\n{why}")
    return Bulk(early, pause)


def _next_piece(show: Show, source: BinaryIO) -> bytes:
    """What comes out next; nothing at the end."""
    show.cluster.wait("more tokens come out", lambda: bool(select([source], [], [], LOOK_SECONDS)[0]), 0)
    return os.read(source.fileno(), PIECE)


def come_back(show: Show) -> None:
    """The node that was killed is started, and needs nothing else."""
    stage, cluster = show.stage, show.cluster
    stage.step("The killed node comes back")
    stage.tell(
        f"Since its death {show.killed} has missed the rest of the run, and the rotation. It is "
        "started, and that is all."
    )
    stage.command(f"$ tvault serve --node {show.killed} >> {show.killed}.log 2>&1 &")
    begin = time.monotonic()
    cluster.start(show.killed)
    told = cluster.settled("all nodes have the same journal", lambda told: len(_journals(told)) == 1)
    seconds = time.monotonic() - begin
    show.killed = ""
    show.run("tvault inspect")
    stage.claim(
        f"it has caught up by itself, {seconds:.1f} s after its start: all digests are equal",
        len(_journals(told)) == 1,
    )
    show.check(
        "tvault inspect verify",
        "every node has recomputed its whole journal, and all come to the same digest",
    )
    stage.tell("What happened to the chain, as the event logs tell it:")
    show.run("tvault inspect chain", lines=2 * SHOWN_LINES)


def _journals(told: Overview) -> set[tuple[int, str]]:
    """How far the nodes' journals go, and their digests."""
    return {(each["last"], each["digest"]) for each in told.nodes}
