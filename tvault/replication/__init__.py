"""Chain replication of one journal in views that a majority agrees on: a pure state machine.

One door, `replica.Replica`: messages, ticks and proposals go in, `ready.Ready` comes out and says
what to persist, then send, then answer.  The server drives it over HTTP and SQLite, the simulator over a
heap of events; both run this code.

    entry      what is replicated: opaque bodies, chained by digests
    view       who replicates: a number that one node may use, an ordered chain
    promise    what a node must remember beside its journal; `recovery` judges what a disk still knows
    election   how a view comes about: founding, pre-vote, ballot
    chain      what happens within one: append, forward, acknowledge, commit, heartbeats
    reads      how a node makes sure that its view is still the newest
    log        the journal with its suffix that is not yet durable
    messages   what nodes say to each other; `codec` turns it into bytes

In this version every view holds every node of the ensemble: with one of them gone nothing is
acknowledged, and nothing acknowledged is lost.
"""
