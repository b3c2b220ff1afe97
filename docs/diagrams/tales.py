"""The sequences that the documentation shows, each in the order of a scenario that plays it."""

from __future__ import annotations

from sequence import Do, Kill, Part, Say, Tale, Who, does

NODES = (300, 570, 840)


def _who(*roles: str) -> tuple[Who, ...]:
    nodes = zip(("n1", "n2", "n3"), roles, NODES, strict=True)
    return (Who("client", "holds values", 80), *(Who(*each) for each in nodes))


WRITE = Tale(
    title="A write",
    text="A client asks the middle node for the token of a new value.",
    who=_who("head", "middle", "tail"),
    parts=(
        Part(
            "Any node takes it: here the middle",
            (
                Say("client", "n2", "POST /tokenize", "of a value"),
                does(
                    "n2",
                    "finds the owner by the API key",
                    "computes the token: it is not there",
                    "seals the value",
                ),
                Say("n2", "n1", "Proposal", "digest and sealed value, epoch 1"),
            ),
        ),
        Part(
            "The head orders it; each node sends it on while it writes it",
            (
                does(
                    "n1",
                    "judges it by the end of its journal",
                    "gathers what waits into one entry",
                    "writes entry 2",
                ),
                Say("n1", "n2", "Append", "entry 2"),
                does("n2", "writes entry 2"),
                Say("n2", "n3", "Append", "entry 2"),
                does("n3", "writes entry 2"),
            ),
        ),
        Part(
            "What all hold is committed",
            (
                Say("n2", "n1", "Ack", "I hold 2, and all below me 1"),
                Say("n3", "n2", "Ack", "I hold 2"),
                Say("n2", "n1", "Ack", "I hold 2, and all below me 2"),
                does("n1", "all have entry 2 on disk:", "it is committed"),
                Say("n1", "n2", "Append", "no entry; committed: 2"),
                Say("n1", "n2", "Outcome", "written, as entry 2"),
                Say("n2", "client", "200", '{"epoch":1,"tokens":["tv1_1_…"]}'),
                Say("n2", "n3", "Append", "no entry; committed: 2"),
            ),
        ),
    ),
    scenarios=("way_of_a_write",),
    below=("Not drawn: Presence and Heartbeat, which go on all the time.",),
)

FAILOVER = Tale(
    title="A failover: the head is killed in the middle of a write",
    text="The entry is on the disks of the others, and nobody has been told so.",
    who=_who("head of view 3", "middle, then head of view 4", "tail"),
    parts=(
        Part(
            "View 3: a write is under way",
            (
                Say("client", "n2", "POST /tokenize", "of a value"),
                Say("n2", "n1", "Proposal", "digest and sealed value, epoch 1"),
                does("n1", "writes entry 2"),
                Say("n1", "n2", "Append", "entry 2"),
                does("n2", "writes entry 2"),
                Say("n2", "n3", "Append", "entry 2"),
                does("n3", "writes entry 2"),
                Kill("n1", "kill -9"),
                (
                    Do("n2", ("its stream ended, its port refuses:", "the process is gone")),
                    Do("n3", ("its stream ended, its port refuses:", "the process is gone")),
                ),
                Say("n3", "n2", "Ack", "I hold 2"),
            ),
        ),
        Part(
            "A ballot of those that are there",
            (
                Say("n2", "n3", "PreVote", "do you miss the chain, too?"),
                Say("n3", "n2", "PreVoteAnswer", "yes"),
                does("n2", "promises view 4, on disk", "leaves view 3"),
                Say("n2", "n3", "Prepare", "view 4; I hold 2"),
                does("n3", "promises view 4, on disk", "leaves view 3"),
                Say("n3", "n2", "Promised", "view 4; I hold 2"),
            ),
        ),
        Part(
            "View 4: n2, n3. Nothing is committed in it before its barrier, entry 3",
            (
                does(
                    "n2",
                    "writes entry 3, the barrier",
                    "the Proposal's outcome is unknown:",
                    "its request waits for the chain",
                ),
                Say("n2", "n3", "NewView", "4: n2, n3"),
                Say("n3", "n2", "Sync", "my journal stands at 2"),
                Say("n2", "n3", "Append", "entry 3"),
                does("n3", "writes entry 3"),
                Say("n3", "n2", "Ack", "I hold 3"),
                does("n2", "entries 2 and 3 are committed"),
            ),
        ),
        Part(
            "The write is made again: tokens are deterministic, so this is safe",
            (
                does(
                    "n2", "proposes to itself: the token exists,", "of entry 2; opens it: the same value"
                ),
                Say("n2", "n3", "Append", "no entry; committed: 3"),
                Say("n2", "n3", "Confirm", "is view 4 the newest?"),
                Say("n3", "n2", "Confirmed"),
                Say("n2", "client", "200", '{"epoch":1,"tokens":["tv1_1_…"]}'),
            ),
        ),
    ),
    scenarios=("way_of_a_failover",),
    below=(
        "The client saw a pause. One that had asked n1 sees its connection end, knows no outcome, and",
        "asks another node the same; a gateway does that for its clients.",
        "A port that does not refuse, its machine being gone, is noticed after suspect_ms of silence.",
    ),
)

REJOIN = Tale(
    title="A node comes back, with an empty disk",
    text="n1 and n2 are the chain of view 6; n3 starts.",
    who=(
        Who("n1", "head of view 6", 160),
        Who("n2", "tail of view 6", 490),
        Who("n3", "outside", 820),
    ),
    parts=(
        Part(
            "Outside: n3 copies what is committed, and asks for no view",
            (
                does("n3", "hears of view 6", "remembers nothing: it is blank"),
                Say("n3", "n2", "Learn", "what follows? I hold nothing"),
                Say("n2", "n3", "Learned", "entries 1 to 3; committed: 3"),
                does(
                    "n3",
                    "promises view 6, which counts for nothing",
                    "writes entries 1, 2 and 3",
                    "lacks nothing, and says so by Presence",
                ),
            ),
        ),
        Part(
            "The head forms its chain anew, to take it in",
            (
                does("n1", "promises view 9, on disk"),
                Say("n1", "n2", "Prepare", "view 9; I hold 3"),
                does("n2", "promises view 9, on disk"),
                Say("n1", "n3", "Prepare", "view 9; I hold 3"),
                does("n3", "promises view 9, on disk"),
                Say("n2", "n1", "Promised", "view 9; I hold 3"),
                Say("n3", "n1", "Promised", "view 9; I hold 3; blank"),
                does("n1", "n1 and n2 are the majority that votes", "writes entry 4, the barrier"),
                Say("n1", "n2", "NewView", "9: n1, n2, n3"),
                Say("n1", "n3", "NewView", "9: n1, n2, n3"),
            ),
        ),
        Part(
            "In the chain, as its tail",
            (
                Say("n2", "n1", "Sync", "my journal stands at 3"),
                Say("n3", "n2", "Sync", "my journal stands at 3"),
                Say("n1", "n2", "Append", "entry 4"),
                does("n2", "writes entry 4"),
                Say("n2", "n3", "Append", "entry 4"),
                does("n3", "writes entry 4"),
                Say("n3", "n2", "Ack", "I hold 4"),
                Say("n2", "n1", "Ack", "I hold 4, and all below me 4"),
                Say("n1", "n2", "Append", "no entry; committed: 4"),
                Say("n2", "n3", "Append", "no entry; committed: 4"),
                does("n3", "the barrier is committed with it in:", "it votes again"),
            ),
        ),
    ),
    scenarios=("way_of_a_rejoin",),
    below=(
        "A node that kept its disk does the same, is never blank, and asks only for what it missed.",
        "Clients wait for the ballot, which is short: what was ordered before it is kept.",
        "Not drawn: Presence and Heartbeat.",
    ),
    deed_width=270,
)

READ = Tale(
    title="Reads: at once, confirmed by a member, and from outside of the chain",
    text="A client asks n3 for the value of a token, three times.",
    who=_who("head", "middle; later tail", "tail; later outside"),
    parts=(
        Part(
            "What is known to be committed never changes: any node answers at once",
            (
                Say("client", "n3", "POST /detokenize", "of a token"),
                does("n3", "looks: there, and committed"),
                Say("n3", "client", "200", '{"value":…}'),
            ),
        ),
        Part(
            "What could be out of date, here not found: a member looks first, then asks a majority",
            (
                Say("client", "n3", "POST /detokenize", "of a token"),
                does("n3", "looks: not there"),
                Say("n3", "n1", "Confirm", "view 3: is it the newest?"),
                Say("n3", "n2", "Confirm", "view 3: is it the newest?"),
                Say("n1", "n3", "Confirmed"),
                Say("n2", "n3", "Confirmed"),
                does("n3", "with itself a majority: it missed", "nothing that was acknowledged"),
                Say("n3", "client", "404", "not_found"),
            ),
        ),
        Part(
            "n3 was away, and is outside of view 6 (n1, n2): it asks how far it must know the journal",
            (
                Say("client", "n3", "POST /detokenize", "of a token"),
                does("n3", "looks: not there"),
                Say("n3", "n2", "IndexAsk", "up to where?"),
                Say("n2", "n1", "Confirm", "view 6: is it the newest?"),
                Say("n2", "n3", "Confirm", "view 6?"),
                Say("n1", "n2", "Confirmed"),
                Say("n3", "n2", "Confirmed"),
                Say("n2", "n3", "Index", "up to entry 3"),
                Say("n2", "n3", "Learned", "entries 2 and 3; committed: 3"),
                does("n3", "writes entries 2 and 3", "looks again: there, and committed"),
                Say("n3", "client", "200", '{"value":…}'),
            ),
        ),
    ),
    scenarios=("positive_reads_go_on", "way_of_a_read"),
    below=(
        "No clock and no lease is involved.",
        "Not drawn: Presence, Heartbeat, and the Learn that was under way.",
    ),
)

TALES = {
    "sequence-write.svg": WRITE,
    "sequence-failover.svg": FAILOVER,
    "sequence-rejoin.svg": REJOIN,
    "sequence-read.svg": READ,
}
"""The files of the sequences."""
