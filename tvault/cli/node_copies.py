"""The copies that nodes hold: of a running one, asked by its peer port, and in the folder of a stopped
one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode

import msgspec

from tvault.cli.copies import Account, Tell
from tvault.cli.node_answers import Checking, Counting, Digest, Holdings, understood
from tvault.cli.nodes import Nodes
from tvault.config import NodeConfig
from tvault.errors import VaultError
from tvault.server.holdings import tell_holdings
from tvault.server.stopped_folder import StoppedFolder
from tvault.store.failures import JournalDamaged, StoreBroken, StoreFailure
from tvault.store.ports import Counted
from tvault.store.sqlite import FILE_NAME
from tvault.store.stopped import StoppedStore
from tvault.store.verification import Finding, Verification
from tvault.wire import PEER_STATE, PEER_VERIFY

_Told = TypeVar("_Told")

POLL_SECONDS = 0.2
"""How often a node is asked how far it has come."""


class NodeCopy:
    """Fills `copies.Copy` with what a running node says of itself."""

    def __init__(self, nodes: Nodes, node: NodeConfig) -> None:
        self.name = node.id
        self.folder: Path | None = None
        self.node: str | None = node.id
        self._nodes = nodes
        self._config = node

    def check(self, tell: Tell) -> Account:
        told = self._ask("begin=1", Checking)
        while not told.is_done:
            tell(told.checked / max(1, told.upto))
            time.sleep(POLL_SECONDS)
            told = self._ask(urlencode({"run": told.run}), Checking)
        if told.failure is not None:
            raise VaultError("unavailable", f"the check was broken off: {told.failure}")
        return Account(
            committed=told.upto,
            checked=told.checked,
            rows=told.rows,
            findings=[msgspec.structs.asdict(finding) for finding in told.findings],
            seconds=told.seconds,
        )

    def digest_at(self, seq: int) -> str | None:
        return self._ask(f"seq={seq}", Digest).digest

    def state(self, tell: Tell) -> dict[str, Any]:
        """What it holds.  Raises `VaultError`."""
        while "journal" not in (told := self._nodes.ask(self._config, PEER_STATE)):
            counting = understood(told, Counting)
            tell(counting.counted / max(1, counting.of))
        understood(told, Holdings)
        return told

    def close(self) -> None:
        """Nothing is open."""

    def _ask(self, query: str, kind: type[_Told]) -> _Told:
        """A node that has been started again neither knows its check any more, nor at once what is
        committed: that is no damage."""
        try:
            answer = self._nodes.ask(self._config, f"{PEER_VERIFY}?{query}")
        except VaultError as error:
            if error.code == "not_found":
                raise VaultError("unavailable", error.detail) from None
            raise
        return understood(answer, kind)


class FolderCopy:
    """Fills `copies.Copy` with the files of a stopped node.  Raises `VaultError` as `StoppedFolder`
    does."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self.folder: Path | None = path
        self._opened = StoppedFolder(path)
        self.node = self._opened.node
        self._store: StoppedStore | None = None

    def check(self, tell: Tell) -> Account:
        began = time.monotonic()
        try:
            with _refusing():
                store = self._open()
                findings = list(self._opened.findings(store))
                verification = Verification(store, store.last().seq)
                for _ in verification.slices():
                    tell(verification.last.seq / max(1, verification.upto))
        except (StoreBroken, JournalDamaged) as damage:
            return Account(0, 0, findings=[asdict(Finding(FILE_NAME, str(damage)))])
        return Account(
            committed=store.committed_hint(),
            checked=verification.last.seq,
            rows=verification.rows._asdict(),
            findings=[asdict(finding) for finding in (*findings, *verification.findings)],
            seconds=round(time.monotonic() - began, 1),
        )

    def digest_at(self, seq: int) -> str | None:
        try:
            with _refusing():
                position = self._open().position(seq)
        except (StoreBroken, JournalDamaged) as damage:
            raise VaultError("internal", f"{FILE_NAME} is damaged: {damage}") from None
        return None if position is None else position.digest.hex()

    def state(self, tell: Tell) -> dict[str, Any]:
        """What it holds.  Raises `VaultError`."""
        try:
            with _refusing():
                store = self._open()
                counted, upto = Counted(), store.committed_hint()
                while counted.upto < upto:
                    counted = store.count_slice(counted, upto, lambda: True)
                    tell(counted.rows.blocks / max(1, upto))
                return tell_holdings(store, counted, (), self._opened.path)
        except (StoreBroken, JournalDamaged) as damage:
            raise VaultError("internal", f"{FILE_NAME} is damaged: {damage}") from None

    def close(self) -> None:
        """Let a node use the folder."""
        if self._store is not None:
            self._store.close()
        self._opened.close()

    def _open(self) -> StoppedStore:
        if self._store is None:
            self._store = self._opened.open_store()
        return self._store


@contextmanager
def _refusing() -> Iterator[None]:
    """Turn what is no damage, such as a file that may not be read, into a refusal."""
    try:
        yield
    except StoreBroken:
        raise
    except StoreFailure as failure:
        raise VaultError("internal", str(failure)) from None
