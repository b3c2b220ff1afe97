"""The one table of settings: it feeds the loader, the sample file, what `init` writes, and the docs."""

from __future__ import annotations

import json

import msgspec

from tvault.config.kinds import (
    Boolean,
    Choice,
    ClusterId,
    FieldPaths,
    Folder,
    HostAndPort,
    Integer,
    KeyHashes,
    KeyPlace,
    Kind,
    MasterKeyId,
    NodeId,
    OwnerId,
    PemFile,
)

MIB = 1 << 20


class Section(msgspec.Struct, frozen=True):
    """A section of the file.  A `repeated` one is written `[[name]]`, once for each thing."""

    name: str
    help: str
    repeated: bool = False
    required: bool = True

    @property
    def header(self) -> str:
        """The section as it is written in the file."""
        return f"[[{self.name}]]" if self.repeated else f"[{self.name}]"


class Setting(msgspec.Struct, frozen=True):
    """One setting.  Without a `default` it must be given; `unit` is empty where none applies."""

    section: str
    name: str
    kind: Kind
    help: str
    default: int | bool | str | None = None
    unit: str = ""

    @property
    def written_default(self) -> str:
        """The default as it is written in the file."""
        return json.dumps(self.default)


SECTIONS = (
    Section(
        "cluster",
        "What all nodes must agree on: peers refuse a node that says otherwise.",
    ),
    Section("keys", "Where key material is read from. A key never stands in this file."),
    Section("master_key", "One section for each key that secrets are sealed with.", repeated=True),
    Section("node", "One section for each node of the ensemble, 1 to 9 of them.", repeated=True),
    Section(
        "tls",
        "Encryption on both ports. Without it a node listens on loopback only.",
        required=False,
    ),
    Section("owner", "One section for each owner of data.", repeated=True),
    Section("limits", "What a node accepts; beyond it a request gets 413 or 503.", required=False),
    Section("timing", "When nodes suspect each other, and how long a request may take.", required=False),
    Section("store", "What a node's database may use.", required=False),
    Section(
        "log",
        "The event log in a node's data folder, and what nodes and gateways write to standard error.",
        required=False,
    ),
)

SETTINGS = (
    Setting("cluster", "id", ClusterId(), "The cluster's identity. No node opens a folder of another."),
    Setting(
        "cluster",
        "fields",
        FieldPaths(),
        "The fields of records whose values become tokens. Everything else passes through untouched.",
    ),
    Setting(
        "keys",
        "token",
        KeyPlace(),
        "The key that makes tokens and seals values: 64 or more hex digits in a file of mode 0600, "
        "relative to this file, or 'env:NAME'. Once it is lost, no token can ever be turned back.",
    ),
    Setting("keys", "cluster", KeyPlace(), "The secret that nodes prove to each other. Same forms."),
    Setting(
        "keys",
        "master",
        MasterKeyId(),
        "The id of the active master key, which seals new versions of secrets. It must be readable.",
    ),
    Setting(
        "master_key",
        "id",
        MasterKeyId(),
        "The key's name. Every version sealed with it keeps it: never give it to another key.",
    ),
    Setting(
        "master_key",
        "key",
        KeyPlace(),
        "Where the key is read from. Same forms as 'token'. Without it, what it sealed is not readable.",
    ),
    Setting("node", "id", NodeId(), "The node's name."),
    Setting("node", "api", HostAndPort(), "Where clients reach it, 'host:port'."),
    Setting("node", "peer", HostAndPort(), "Where the other nodes reach it, 'host:port'."),
    Setting("node", "data", Folder(), "The one folder that holds its state, relative to this file."),
    Setting(
        "tls",
        "certificate",
        PemFile(),
        "The node's certificate and those between it and its CA, in that order, relative to this file; "
        "it must name the hosts of 'api' and 'peer'. With it both ports speak TLS and nothing else.",
        "",
    ),
    Setting(
        "tls",
        "key",
        PemFile(),
        "The private key of the certificate, in a file of mode 0600, without a passphrase.",
        "",
    ),
    Setting(
        "tls",
        "ca",
        PemFile(),
        "The certificates of the CAs that nodes and the command line trust; without it, those that the "
        "system trusts.",
        "",
    ),
    Setting(
        "tls",
        "insecure",
        Boolean(),
        "Take addresses beyond loopback without a certificate: values and API keys can then be read on "
        "the way.",
        False,  # noqa: FBT003 - a setting
    ),
    Setting("owner", "id", OwnerId(), "The owner's name. It enters every token: never change it."),
    Setting(
        "owner",
        "api_keys",
        KeyHashes(),
        "Hashes of the API keys that act for it: 'tvault key new --owner NAME' makes a key.",
    ),
    Setting(
        "limits",
        "values_per_request",
        Integer(1, 1_000_000),
        "Most values or tokens in one request.",
        10_000,
        "values",
    ),
    Setting(
        "limits", "body_bytes", Integer(1024, 1 << 30), "Longest body of a request.", 16 * MIB, "bytes"
    ),
    Setting("limits", "value_bytes", Integer(1, 1 << 28), "Longest single value.", 64 * 1024, "bytes"),
    Setting(
        "limits",
        "secret_bytes",
        Integer(1, 1 << 28),
        "Longest value of a secret, in UTF-8.",
        MIB,
        "bytes",
    ),
    Setting(
        "limits",
        "lookups_per_request",
        Integer(1, 10_000_000),
        "Most values of one lookup times the owner's epochs.",
        100_000,
        "values",
    ),
    Setting(
        "limits",
        "requests_at_once",
        Integer(1, 1000),
        "Requests a node works on at the same time; further ones wait up to a second for their turn, a "
        "few dozen of them, and are then told to come back.",
        16,
        "requests",
    ),
    Setting(
        "timing",
        "heartbeat_ms",
        Integer(10, 60_000),
        "How often a node tells the others that it is there.",
        100,
        "milliseconds",
    ),
    Setting(
        "timing",
        "suspect_ms",
        Integer(30, 600_000),
        "A chain silent for so long is formed anew without whoever is silent; a node whose port refuses "
        "connections is noticed at once. At least three times heartbeat_ms.",
        1500,
        "milliseconds",
    ),
    Setting(
        "timing",
        "request_timeout_ms",
        Integer(100, 600_000),
        "How long a request may take before it is answered 503.",
        5000,
        "milliseconds",
    ),
    Setting(
        "store", "cache_mib", Integer(1, 1 << 20), "Memory for pages that are being written.", 16, "MiB"
    ),
    Setting(
        "log",
        "events_mib",
        Integer(1, 1 << 20),
        "When a file of the event log is full, and the next one begins.",
        16,
        "MiB",
    ),
    Setting(
        "log",
        "events_files",
        Integer(1, 100_000),
        "How many full files are kept; the oldest ones are removed.",
        8,
        "files",
    ),
    Setting(
        "log",
        "format",
        Choice(("text", "json")),
        "How lines on standard error are written: for people, or each as a JSON object for programs.",
        "text",
    ),
    Setting(
        "log",
        "level",
        Choice(("info", "warning", "error")),
        "The least important lines that are written there.",
        "info",
    ),
)


def settings_of(section: str) -> tuple[Setting, ...]:
    """The settings of one section, in the order they are shown."""
    return tuple(setting for setting in SETTINGS if setting.section == section)
