"""`tvault.toml` into a `Config`, or one line that says what is wrong and where."""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from tvault.config.kinds import BadSetting
from tvault.config.outline import Outline
from tvault.config.settings import SECTIONS, Section, settings_of
from tvault.config.shapes import (
    Address,
    Config,
    KeyReferences,
    Limits,
    LogConfig,
    MasterKeyConfig,
    NodeConfig,
    OwnerConfig,
    StoreConfig,
    Timing,
    Tls,
)
from tvault.errors import VaultError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # type: ignore[import-not-found,unused-ignore]

DEFAULT_NAME = "tvault.toml"
MOST_NODES = 9
MOST_MASTER_KEYS = 64
VALUE_BYTES = 64
"""What a value adds to the message in which it is written, at most, beside itself."""

MESSAGE_BYTES = 54 * 1024 * 1024
"""The longest message between nodes, 64 MiB, without what the rows of a write add that is in no body: 7
MiB for 10,000 secrets of an owner with the longest name, each with the longest id of a master key."""

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,39}", re.ASCII)
_KEY = re.compile(r"tvk_[A-Za-z0-9_-]+|[0-9A-Fa-f]{32,}", re.ASCII)
"""What may be a key, in words of the TOML parser, which quotes names."""


def config_path(given: str | Path | None, environ: Mapping[str, str]) -> Path:
    """Which file to read: the one given, else `TVAULT_CONFIG`, else `./tvault.toml`."""
    return Path(given or environ.get("TVAULT_CONFIG") or DEFAULT_NAME)


def load(path: str | Path | None, environ: Mapping[str, str]) -> Config:
    """The configuration of `config_path(path, environ)`.

    Raises `VaultError` (`configuration`) that names the file, the line, what is wrong there and what
    was expected.  No key is read: see `read_keys`.
    """
    chosen = config_path(path, environ)
    return _Loader(chosen, _read(chosen)).config()


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise VaultError("configuration", f"{path}: is not UTF-8 text") from error
    except FileNotFoundError as error:
        hint = "name another with --config or TVAULT_CONFIG, or make one with 'tvault init'"
        raise VaultError("configuration", f"{path}: no such file; {hint}") from error
    except OSError as error:
        raise VaultError("configuration", f"{path}: cannot be read: {error.strerror}") from error


class _Loader:
    """Judges one file.  Every refusal is raised at the first thing that is wrong."""

    def __init__(self, path: Path, text: str) -> None:
        self._path = path
        self._folder = path.absolute().parent
        self._outline = Outline(text)
        try:
            self._raw: dict[str, Any] = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            why = _KEY.sub("…", str(error))
            raise VaultError("configuration", f"{path}: is not TOML: {why}") from None

    def config(self) -> Config:
        self._refuse_unknown_sections()
        tables = {section.name: self._tables(section) for section in SECTIONS}
        cluster, keys = tables["cluster"][0], tables["keys"][0]
        tls = self._tls(tables["tls"][0])
        config = Config(
            path=self._path.absolute(),
            cluster_id=cluster["id"],
            fields=cluster["fields"],
            keys=KeyReferences(**keys),
            master_keys=tuple(map(_master_key, tables["master_key"])),
            tls=tls,
            nodes=tuple(_node(table, secure=tls.is_on) for table in tables["node"]),
            owners=tuple(OwnerConfig(**table) for table in tables["owner"]),
            limits=Limits(**tables["limits"][0]),
            timing=Timing(**tables["timing"][0]),
            store=StoreConfig(**tables["store"][0]),
            log=LogConfig(**tables["log"][0]),
        )
        self._judge_master_keys(config)
        self._judge_nodes(config.nodes)
        self._judge_exposure(config)
        self._judge_owners(config.owners)
        self._judge_sums(config)
        self._judge_key_places(config)
        return config

    def _fail(
        self, section: str, why: str, index: int = 0, key: str | None = None, needle: str | None = None
    ) -> VaultError:
        line = self._outline.line_of(section, index, key, needle)
        place = str(self._path) if line is None else f"{self._path} line {line}"
        return VaultError("configuration", f"{place}: {why}")

    def _refuse_unknown_sections(self) -> None:
        names = [section.name for section in SECTIONS]
        for name in self._raw:
            if name not in names:
                raise self._fail(name, f"unknown section [{_shown(name)}]{_suggestion(name, names)}")
        for section in SECTIONS:
            if section.required and not self._raw.get(section.name):
                raise self._fail("", f"the section {section.header} is missing")

    def _tables(self, section: Section) -> list[dict[str, Any]]:
        """The section's tables, read; one of defaults when an optional section is absent."""
        raw = self._raw.get(section.name, [{}] if section.repeated else {})
        tables = raw if section.repeated else [raw]
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            why = f"{section.name}: expected {section.header} with settings below it"
            raise self._fail(section.name, why)
        return [self._table(section, index, table) for index, table in enumerate(tables)]

    def _table(self, section: Section, index: int, raw: Mapping[str, object]) -> dict[str, Any]:
        settings = settings_of(section.name)
        names = [setting.name for setting in settings]
        for name in raw:
            if name not in names:
                why = f"{section.header} unknown setting '{_shown(name)}'{_suggestion(name, names)}"
                raise self._fail(section.name, why, index, name)
        found: dict[str, Any] = {}
        for setting in settings:
            given = raw.get(setting.name, setting.default)
            if given is None:
                why = f"{section.header} needs '{setting.name}': {setting.kind.expected}"
                raise self._fail(section.name, why, index)
            full_name = f"{section.header} {setting.name}"
            try:
                found[setting.name] = setting.kind.read(given, full_name, self._folder)
            except BadSetting as error:
                raise self._fail(
                    section.name, f"{full_name}: {error}", index, setting.name, error.needle
                ) from error
        return found

    def _tls(self, table: dict[str, Any]) -> Tls:
        for name, other in (("certificate", "key"), ("key", "certificate")):
            if table[name] is not None and table[other] is None:
                why = f"[tls] {name}: the setting '{other}' is missing; they go together"
                raise self._fail("tls", why, 0, name)
        tls = Tls(**table)
        if tls.ca is not None and not tls.is_on:
            why = "[tls] ca: without 'certificate' and 'key' there is no TLS, and nothing to verify"
            raise self._fail("tls", why, 0, "ca")
        return tls

    def _judge_master_keys(self, config: Config) -> None:
        ids = [master.id for master in config.master_keys]
        if len(ids) > MOST_MASTER_KEYS:
            why = f"[[master_key]] a cluster has at most {MOST_MASTER_KEYS} master keys"
            raise self._fail("master_key", why, MOST_MASTER_KEYS)
        self._refuse_twice("master_key", "id", [[key_id] for key_id in ids], repr)
        if config.keys.master not in ids:
            known = ", ".join(ids)
            why = (
                f"[keys] master: no [[master_key]] has the id {config.keys.master!r}; there are {known}"
            )
            raise self._fail("keys", why, 0, "master")

    def _judge_exposure(self, config: Config) -> None:
        for index, node in enumerate(config.nodes):
            for name, address in (("api", node.api), ("peer", node.peer)):
                if (why := exposure(config, address)) is not None:
                    raise self._fail("node", f"[[node]] {name}: {why}", index, name)

    def _judge_nodes(self, nodes: tuple[NodeConfig, ...]) -> None:
        if len(nodes) > MOST_NODES:
            raise self._fail("node", f"[[node]] an ensemble has at most {MOST_NODES} nodes", MOST_NODES)
        self._refuse_twice("node", "id", [[node.id] for node in nodes], repr)
        ports: dict[tuple[str, int], str] = {}
        for index, node in enumerate(nodes):
            for name, address in (("api", node.api), ("peer", node.peer)):
                place = _place(address)
                if place in ports:
                    why = f"[[node]] {name}: {address} of node {node.id} is taken by {ports[place]}"
                    raise self._fail("node", why, index, name)
                ports[place] = f"{name} of node {node.id}"
        self._refuse_shared_folders(nodes)

    def _refuse_shared_folders(self, nodes: tuple[NodeConfig, ...]) -> None:
        folders = [node.data.resolve() for node in nodes]
        for index, folder in enumerate(folders):
            for other in range(index):
                if folder == folders[other] or _one_in_other(folder, folders[other]):
                    one, two = nodes[index].id, nodes[other].id
                    why = f"[[node]] data: nodes {one} and {two} need folders apart from each other"
                    raise self._fail("node", why, index, "data")

    def _judge_owners(self, owners: tuple[OwnerConfig, ...]) -> None:
        self._refuse_twice("owner", "id", [[owner.id] for owner in owners], repr)
        hashes = [owner.api_keys for owner in owners]
        self._refuse_twice("owner", "api_keys", hashes, lambda _hash: "the hash of this API key")

    def _refuse_twice(
        self, section: str, key: str, values: Iterable[Iterable[str]], shown: Callable[[str], str]
    ) -> None:
        """Each value may stand once in all sections of this name."""
        first: dict[str, int] = {}
        for index, items in enumerate(values):
            for item in items:
                if item in first:
                    line = self._outline.line_of(section, first[item], key, item)
                    why = f"[[{section}]] {key}: {shown(item)} stands at line {line} already"
                    raise self._fail(section, why, index, key, item)
                first[item] = index

    def _judge_sums(self, config: Config) -> None:
        limits, timing = config.limits, config.timing
        for name, most in (("value_bytes", limits.value_bytes), ("secret_bytes", limits.secret_bytes)):
            if most > limits.body_bytes:
                why = f"[limits] {name}: a value cannot be longer than a body (body_bytes)"
                raise self._fail("limits", why, 0, name)
        if limits.body_bytes + VALUE_BYTES * limits.values_per_request > MESSAGE_BYTES:
            why = (
                "[limits] body_bytes: what a request writes must fit a message between nodes: "
                f"body_bytes + {VALUE_BYTES} * values_per_request may be {MESSAGE_BYTES} at most"
            )
            raise self._fail("limits", why, 0, "body_bytes")
        if timing.suspect_ms < 3 * timing.heartbeat_ms:
            why = "[timing] suspect_ms: expected at least three times heartbeat_ms"
            raise self._fail("timing", why, 0, "suspect_ms")

    def _judge_key_places(self, config: Config) -> None:
        """A copy of a node's folder must never be a copy of a key."""
        masters = enumerate(config.master_keys)
        files = (
            ("keys", 0, "token", "[keys] token", config.keys.token.file),
            ("keys", 0, "cluster", "[keys] cluster", config.keys.cluster.file),
            *(("master_key", at, "key", each.key.setting, each.key.file) for at, each in masters),
            ("tls", 0, "key", "[tls] key", config.tls.key),
        )
        for section, index, name, full_name, file in files:
            for node in config.nodes:
                if file is not None and node.data.resolve() in file.resolve().parents:
                    why = f"a key file must not lie in the data folder of node {node.id}"
                    raise self._fail(section, f"{full_name}: {why}", index, name)


def exposure(config: Config, address: Address) -> str | None:
    """Why nobody may listen at `address`: others could read what is sent to it.  None when it may be."""
    if address.is_loopback or config.tls.is_on or config.tls.insecure:
        return None
    return (
        f"{address} is not loopback, and values and keys sent to it could be read on the way: set "
        "'certificate' and 'key' in [tls], or 'insecure = true' there"
    )


def _node(table: Mapping[str, Any], *, secure: bool) -> NodeConfig:
    ports = {name: replace(table[name], secure=secure) for name in ("api", "peer")}
    return NodeConfig(**{**table, **ports})


def _master_key(table: Mapping[str, Any]) -> MasterKeyConfig:
    key_id, reference = table["id"], table["key"]
    return MasterKeyConfig(key_id, replace(reference, setting=f"[[master_key]] {key_id!r} key"))


def _shown(name: str) -> str:
    """A name for a message, unless it may be a key pasted into the wrong place."""
    is_name = _NAME.fullmatch(name) is not None and not name.startswith("tvk_")
    return name if is_name else "…"


def _suggestion(name: str, known: Iterable[str]) -> str:
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1)
    return f", did you mean '{close[0]}'?" if close else f"; known are {', '.join(names)}"


def _place(address: Address) -> tuple[str, int]:
    host = address.host.lower()
    return ("localhost" if host in _LOOPBACK else host, address.port)


def _one_in_other(one: Path, other: Path) -> bool:
    return one in other.parents or other in one.parents
