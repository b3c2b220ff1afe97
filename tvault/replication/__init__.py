"""Chain replication of one journal in views that a majority agrees on: a pure state machine.

One door, `replica.Replica`: messages, ticks and proposals go in, `ready.Ready` comes out and says
what to persist, then send, then answer.  The server drives it over HTTP and SQLite, the simulator over a
heap of events; both run this code.

    entry        what is replicated: opaque bodies, chained by digests
    view         who replicates: a number that one node may use, an ordered chain
    promise      what a node must remember beside its journal; `recovery` judges what a disk still knows
    account      what a node says of itself; `presence` keeps what it hears of the others
    election     how a view comes about: founding, pre-vote, ballot; `arrangement` chooses the chain
    chain        what happens within one: append, forward, acknowledge, commit, heartbeats
    membership   what a head decides about its chain: whom to take in, whom to drop, when to hand over
    catchup      how an outsider copies what is committed; `copying` is how any node takes over entries
    reads        how a node makes sure that its view is still the newest
    log          the journal with its suffix that is not yet durable
    messages     what nodes say to each other; `codec` turns it into bytes
    participant  a node's part in all that; `inbox` hands it the messages

A view holds a majority of nodes that may vote, or more: what it acknowledges outlives any minority.
"""
