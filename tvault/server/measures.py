"""What a node measures for Prometheus, in one table: the reference page says the same.

No measure names an owner, a secret, a value or a token.  Times are seconds, sizes bytes.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

Kind = Literal["counter", "gauge", "histogram"]

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_VALUES: Final = (1, 10, 100, 500, 1000, 2500, 5000, 10_000)
_FEW: Final = (1, 2, 5, 10, 20, 50, 100, 250)


class Measure(NamedTuple):
    """One of them.  `buckets` are the upper bounds of a histogram."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    help: str
    buckets: tuple[float, ...] = ()


REQUESTS: Final = Measure(
    "tvault_requests_total",
    "counter",
    ("call", "status"),
    "Requests of clients that were answered, by call and HTTP status",
)
REQUEST_SECONDS: Final = Measure(
    "tvault_request_seconds",
    "histogram",
    ("call",),
    "Time of a request of a client, from its head to its answer",
    _SECONDS,
)
REQUEST_VALUES: Final = Measure(
    "tvault_request_values",
    "histogram",
    ("call",),
    "Values or tokens in a request that was carried out",
    _VALUES,
)
VALUES: Final = Measure(
    "tvault_values_total",
    "counter",
    ("call", "outcome"),
    "Values by what came of them: new and known are different values that got tokens, found and "
    "not_found are places of a request",
)
BUILD: Final = Measure(
    "tvault_build_info",
    "gauge",
    ("version", "python"),
    "1, with the versions that run",
)

EVENTS: Final = Measure(
    "tvault_events_total",
    "counter",
    ("event",),
    "Events by name, also those that could not be written to the log",
)
CERTIFICATE_EXPIRY: Final = Measure(
    "tvault_certificate_expiry_timestamp_seconds",
    "gauge",
    (),
    "When the certificate that is shown here expires, since 1970; absent without TLS",
)

OF_REQUESTS: Final = (
    REQUESTS,
    REQUEST_SECONDS,
    REQUEST_VALUES,
    VALUES,
    EVENTS,
    BUILD,
    CERTIFICATE_EXPIRY,
)
"""What a gateway has, too."""

ENTRY_COMMANDS: Final = Measure(
    "tvault_entry_commands",
    "histogram",
    (),
    "Commands in an entry that this node, as head, has ordered",
    _FEW,
)
STORED_ENTRIES: Final = Measure(
    "tvault_stored_entries",
    "histogram",
    (),
    "Entries of the journal that one durable transaction has stored",
    _FEW,
)
STORE_SECONDS: Final = Measure(
    "tvault_store_seconds",
    "histogram",
    (),
    "Time of a durable transaction of the journal",
    _SECONDS,
)
STORED_BYTES: Final = Measure(
    "tvault_stored_bytes_total",
    "counter",
    (),
    "Bytes of entries that were stored",
)
CAUGHT_UP_ENTRIES: Final = Measure(
    "tvault_caught_up_entries_total",
    "counter",
    (),
    "Entries copied from another node, counted each time that nothing more was lacking",
)
CATCH_UP_SECONDS: Final = Measure(
    "tvault_catch_up_seconds_total",
    "counter",
    (),
    "Time that copying them took",
)

OF_JOURNAL: Final = (
    ENTRY_COMMANDS,
    STORED_ENTRIES,
    STORE_SECONDS,
    STORED_BYTES,
    CAUGHT_UP_ENTRIES,
    CATCH_UP_SECONDS,
)

NODE: Final = Measure("tvault_node_info", "gauge", ("cluster", "node"), "1, with the node's names")
ROLE: Final = Measure(
    "tvault_role",
    "gauge",
    ("role",),
    "1 for the role that the node has now, 0 for the others",
)
VIEW: Final = Measure("tvault_view", "gauge", (), "Number of the view that it is in, or hears of")
CHAIN_NODES: Final = Measure("tvault_chain_nodes", "gauge", (), "Nodes in the chain of this view")
ENSEMBLE_NODES: Final = Measure("tvault_ensemble_nodes", "gauge", (), "Nodes that are configured")
CAN_WRITE: Final = Measure(
    "tvault_can_write",
    "gauge",
    (),
    "1 when the node takes writes, or can pass them on; else 0, as /health then says",
)
MAY_VOTE: Final = Measure(
    "tvault_may_vote",
    "gauge",
    (),
    "1 when the node may vote for a view; 0 while it is blank, or the vault is not founded",
)
LAST_ENTRY: Final = Measure("tvault_journal_last_entry", "gauge", (), "Last entry of its journal")
COMMITTED_ENTRY: Final = Measure(
    "tvault_journal_committed_entry",
    "gauge",
    (),
    "Last entry that it knows to be committed; what the largest of all nodes is ahead is its lag",
)
BUSY_SECONDS: Final = Measure(
    "tvault_node_thread_silent_seconds",
    "gauge",
    (),
    "Time since the thread that owns the journal has ended a step",
)
INBOX_ITEMS: Final = Measure(
    "tvault_inbox_items", "gauge", (), "Messages and commands that wait for that thread"
)
INBOX_BYTES: Final = Measure("tvault_inbox_bytes", "gauge", (), "Bytes of the messages among them")
REQUESTS_WORKING: Final = Measure(
    "tvault_requests_working", "gauge", (), "Places taken by requests that are worked on"
)
REQUESTS_WAITING: Final = Measure(
    "tvault_requests_waiting", "gauge", (), "Requests that wait for such a place"
)
BODIES_WAITING: Final = Measure(
    "tvault_bodies_waiting", "gauge", (), "Requests whose body is not taken in yet"
)
STREAMS: Final = Measure("tvault_peer_streams", "gauge", (), "Streams that come in from other nodes")
STRANGERS: Final = Measure(
    "tvault_peer_strangers_total",
    "counter",
    (),
    "Requests to the peer port without a credential that opens what they ask for",
)
TOKENS: Final = Measure("tvault_tokens_stored", "gauge", (), "Tokens in its journal, of all owners")
RUNS: Final = Measure("tvault_index_runs", "gauge", (), "Sorted files of the token index")
GENERATIONS: Final = Measure(
    "tvault_index_generations", "gauge", (), "Parts of the token index that are in memory"
)
MERGES: Final = Measure("tvault_index_merges_total", "counter", (), "Merges of files of the token index")
MERGE_SECONDS: Final = Measure(
    "tvault_index_merge_seconds_total", "counter", (), "Time that these merges took, rests included"
)
REPAIRS: Final = Measure(
    "tvault_index_repairs_total",
    "counter",
    (),
    "Files of the token index that were damaged, and made again from the journal",
)
FOLDER_BYTES: Final = Measure(
    "tvault_folder_bytes",
    "gauge",
    ("part",),
    "Size of what is in the data folder: journal, index, events, set_aside, other",
)
DISK_FREE: Final = Measure(
    "tvault_disk_free_bytes", "gauge", (), "Room that is left on the disk of the data folder"
)
DISK_SIZE: Final = Measure("tvault_disk_size_bytes", "gauge", (), "Size of that disk")
DISK_FULL: Final = Measure(
    "tvault_disk_full",
    "gauge",
    (),
    "1 while the node is outside because an entry found no room",
)
DAMAGED: Final = Measure("tvault_damaged", "gauge", (), "1 while files in use are known to be damaged")
EVENTS_LOST: Final = Measure(
    "tvault_events_lost_total", "counter", (), "Events that could not be written and are not in the log"
)

AT_A_LOOK: Final = (
    NODE,
    ROLE,
    VIEW,
    CHAIN_NODES,
    ENSEMBLE_NODES,
    CAN_WRITE,
    MAY_VOTE,
    LAST_ENTRY,
    COMMITTED_ENTRY,
    BUSY_SECONDS,
    INBOX_ITEMS,
    INBOX_BYTES,
    REQUESTS_WORKING,
    REQUESTS_WAITING,
    BODIES_WAITING,
    STREAMS,
    STRANGERS,
    TOKENS,
    RUNS,
    GENERATIONS,
    MERGES,
    MERGE_SECONDS,
    REPAIRS,
    FOLDER_BYTES,
    DISK_FREE,
    DISK_SIZE,
    DISK_FULL,
    DAMAGED,
    EVENTS_LOST,
)
"""What is read when it is asked for."""

MEASURES: Final = (*OF_REQUESTS, *OF_JOURNAL, *AT_A_LOOK)
