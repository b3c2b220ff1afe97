"""A backup as a copy of the journal that is checked and compared."""

from __future__ import annotations

import time
from pathlib import Path

from tvault.cli.copies import Account, Tell
from tvault.errors import VaultError
from tvault.store.backup import ENTRIES, Backup


class BackupCopy:
    """Fills `copies.Copy`.  Raises `VaultError` (`usage`) when there is no backup in the folder."""

    def __init__(self, folder: Path) -> None:
        self.name = str(folder)
        self.folder: Path | None = folder
        self._backup = Backup(folder)
        self.node: str | None = self._backup.manifest.origin.node

    def check(self, tell: Tell) -> Account:
        began = time.monotonic()
        last = self._backup.manifest.last
        try:
            rows = self._backup.check(tell)
        except VaultError as damage:
            if damage.code != "internal":
                raise
            finding = {"where": ENTRIES, "what": damage.detail, "seq": None}
            return Account(last, 0, findings=[finding], seconds=round(time.monotonic() - began, 1))
        seconds = round(time.monotonic() - began, 1)
        return Account(last, last, rows=rows._asdict(), seconds=seconds)

    def digest_at(self, seq: int) -> str | None:
        return self._backup.digest_at(seq)
