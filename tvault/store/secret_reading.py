"""The looks at secrets: statements of one read transaction, and what their rows tell.

Every row is checked by its guard, and that it is the one looked for: SQLite's indexes only lead to it.
Statements of several rows are closed even when one is damaged: an open one would go on showing the
connection that moment.
"""
# ruff: noqa: S608  the statements are put together from constants

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from functools import partial
from typing import Any, Final, NamedTuple

from tvault.model.commands import Sealed, SecretEnd, SecretRequest, SecretVersion
from tvault.model.records import NewestSecret, refuse_long_look
from tvault.model.secret_looks import (
    FoundHistory,
    FoundNames,
    FoundSecrets,
    FoundVersion,
    VersionMark,
    Wanted,
)
from tvault.store.failures import JournalDamaged
from tvault.store.records import KEYS_AT_ONCE
from tvault.store.secret_rows import LARGEST_INTEGER
from tvault.store.secrets import (
    END,
    MARK,
    MARK_COLUMNS,
    REQUEST,
    VERSION,
    Mark,
    end_of,
    mark_of,
    request_of,
    whole_version,
)

_UNTIL_END: Final = MARK_COLUMNS + 6
_NO_END: Final = (None,) * 6

_WITH_ENDS: Final = (
    "FROM secret_version v LEFT JOIN secret_end e"
    " ON e.owner = v.owner AND e.name = v.name AND e.version = v.version"
)
_PLACED: Final = f"SELECT {MARK}, {END}, v.id, length(v.ciphertext)"
_FIND: Final = f"{_PLACED} {_WITH_ENDS} WHERE v.owner = ? AND v.name = ?"
_FIND_NEWEST: Final = f"{_FIND} ORDER BY v.version DESC LIMIT 1"
_FIND_NUMBERED: Final = f"{_FIND} AND v.version = ?"
# `+`: a search by owner and moment would go through the versions of all other secrets.
_FIND_AT: Final = f"{_FIND} AND +v.valid_from <= ? ORDER BY v.version DESC LIMIT 1"

_MARKS: Final = f"SELECT {MARK}, {END} {_WITH_ENDS} WHERE v.owner = ? AND v.name = ?"
_NUMBERED_MARK: Final = f"{_MARKS} AND v.version = ?"
_HISTORY: Final = f"{_MARKS} ORDER BY v.version"

# A row that the index does not lead to is told as nothing but NULL.
_NEWEST_OF_EACH: Final = (
    f"{_PLACED}, n.newest FROM"
    " (SELECT id, max(version) AS newest FROM secret_version WHERE owner = ? GROUP BY name) n"
    " LEFT JOIN secret_version v ON v.id = n.id LEFT JOIN secret_end e"
    " ON e.owner = v.owner AND e.name = v.name AND e.version = v.version"
)
_CIPHERTEXTS: Final = "SELECT id, ciphertext FROM secret_version WHERE id IN"
_LAST_BEGUN: Final = (
    f"SELECT {MARK} FROM secret_version v WHERE v.owner = ? ORDER BY v.valid_from DESC LIMIT 1"
)
_LAST_ENDED: Final = f"SELECT {END} FROM secret_end e WHERE e.owner = ? ORDER BY e.valid_to DESC LIMIT 1"
_REQUEST: Final = f"SELECT {REQUEST} FROM secret_request r WHERE r.owner = ? AND r.request = ?"
_SAMPLES: Final = (
    f"SELECT {VERSION} FROM secret_version v"
    " WHERE v.id IN (SELECT max(id) FROM secret_version GROUP BY key_id)"
)


class _Located(NamedTuple):
    """A version where it stands: when it ceased to be valid, the highest entry that tells so, its row's
    id, the bytes of its ciphertext, and whether it was valid at the moment asked for."""

    mark: Mark
    valid_to: int | None
    seq: int
    id: int
    size: int
    is_valid: bool = True

    def found(self, ciphertexts: Mapping[int, bytes] | None) -> FoundVersion:
        """It with its ciphertext, or without when there are none."""
        mark = self.mark
        if ciphertexts is None:
            sealed = Sealed(b"", mark.nonce, mark.wrapped_key, mark.key_id)
        else:
            sealed = mark.with_value(ciphertexts[self.id]).sealed
        return FoundVersion(mark.version, mark.valid_from, self.valid_to, sealed)


class ConnectionRecords:
    """The newest rows of secrets, as one connection sees them."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def newest_version(self, owner: str, name: str) -> int:
        """As in `store.secret_rows.KeptSecrets`."""
        return read_newest(self._connection, owner, [name])[0].version

    def newest_stamp(self, owner: str) -> int:
        """As in `model.records.Records`."""
        begun = self._connection.execute(_LAST_BEGUN, (owner,)).fetchone()
        ended = self._connection.execute(_LAST_ENDED, (owner,)).fetchone()
        return max(mark_of(begun).valid_from if begun else 0, end_of(ended)[1].valid_to if ended else 0)

    def request(self, owner: str, request: bytes) -> tuple[int, SecretRequest | None]:
        """A request that was carried out, and the entry that says so; else 0 and None."""
        row = self._connection.execute(_REQUEST, (owner, request)).fetchone()
        if row is None:
            return 0, None
        seq, found = request_of(row)
        if (found.owner, found.request) != (owner, request):
            raise _misled(seq)
        return seq, found

    def is_ended(self, owner: str, name: str, version: int) -> bool:
        """As in `store.secret_rows.KeptSecrets`."""
        row = self._connection.execute(_NUMBERED_MARK, (owner, name, version)).fetchone()
        return row is not None and _marked(row, owner, name)[1] is not None

    def has_request(self, owner: str, request: bytes) -> bool:
        """As in `store.secret_rows.KeptSecrets`."""
        return bool(self.request(owner, request)[0])


def read_newest(connection: sqlite3.Connection, owner: str, names: Sequence[str]) -> list[NewestSecret]:
    """As `model.records.Records.newest_secrets`."""
    found = _newest_of(connection, owner, names)
    return [
        NewestSecret(there.mark.version, there.valid_to is None, there.seq) if there else NewestSecret()
        for there in map(found.get, names)
    ]


def find_secrets(
    connection: sqlite3.Connection, owner: str, wanted: Sequence[Wanted], request: bytes | None
) -> FoundSecrets:
    """As `store.ports.Store.secrets`."""
    seq, done = ConnectionRecords(connection).request(owner, request) if request else (0, None)
    names = [each.name for each in wanted if not each.is_numbered_or_dated]
    newest = _newest_of(connection, owner, names)
    located = [
        _find(connection, owner, each) if each.is_numbered_or_dated else newest.get(each.name)
        for each in wanted
    ]
    highest = max([seq, *(there.seq for there in located if there)])
    there = [None if each is None or not each.is_valid else each for each in located]
    pairs = list(zip(there, wanted, strict=True))
    # Whoever names sizes holds as many bytes already.
    unbounded = [each.size for each, one in pairs if each and one.size is None]
    refuse_long_look(len(unbounded), sum(unbounded))
    opened = {each.id for each, one in pairs if each and one.takes(each.size)}
    ciphertexts = _ciphertexts_of(connection, sorted(opened))
    versions = tuple(
        None if each is None else each.found(ciphertexts if one.takes(each.size) else None)
        for each, one in pairs
    )
    return FoundSecrets(versions, done, highest)


def read_history(connection: sqlite3.Connection, owner: str, name: str) -> FoundHistory:
    """As `store.ports.Store.history`."""
    marks: list[VersionMark] = []
    highest = 0
    with closing(connection.execute(_HISTORY, (owner, name))) as found:
        rows = [_marked(row, owner, name) for row in found]
    for number, (mark, end) in enumerate(rows, start=1):
        if mark.version != number:
            raise JournalDamaged(f"a version of a secret is gone, before that of entry {mark.seq}")
        following = rows[number][0] if number < len(rows) else None
        valid_to, seq = _validity(mark, end, following)
        marks.append(VersionMark(mark.version, mark.valid_from, valid_to, mark.key_id))
        highest = max(highest, seq)
    return FoundHistory(tuple(marks), highest)


def read_names(connection: sqlite3.Connection, owner: str) -> FoundNames:
    """As `store.ports.Store.names`."""
    with closing(connection.execute(_NEWEST_OF_EACH, (owner,))) as rows:
        found = [_newest_located(row, owner) for row in rows]
    live = sorted(there.mark.name for there in found if there.valid_to is None)
    return FoundNames(tuple(live), max((there.seq for there in found), default=0))


def read_samples(connection: sqlite3.Connection) -> list[SecretVersion]:
    """As `store.ports.Store.sample_secrets`."""
    with closing(connection.execute(_SAMPLES)) as found:
        return [whole_version(row) for row in found]


def _newest_of(connection: sqlite3.Connection, owner: str, names: Sequence[str]) -> dict[str, _Located]:
    """The newest version of each of these secrets that ever had one."""
    found: dict[str, _Located] = {}
    for name in names:
        row = connection.execute(_FIND_NEWEST, (owner, name)).fetchone()
        if row is not None:
            found[name] = _located(row, owner, name)
    return found


def _find(connection: sqlite3.Connection, owner: str, wanted: Wanted) -> _Located | None:
    """The version that is wanted by its number or a moment."""
    if wanted.version is not None:
        bound = min(wanted.version, LARGEST_INTEGER)
        row = connection.execute(_FIND_NUMBERED, (owner, wanted.name, bound)).fetchone()
    else:
        bound = max(-1, min(wanted.at or 0, LARGEST_INTEGER))
        row = connection.execute(_FIND_AT, (owner, wanted.name, bound)).fetchone()
    if row is None:
        return None
    there = _located(row, owner, wanted.name, partial(_following, connection))
    if wanted.version is None and wanted.at is not None and there.valid_to is not None:
        return there._replace(is_valid=wanted.at < there.valid_to)
    return there


def _located(
    row: Sequence[Any],
    owner: str,
    name: str | None,
    following: Callable[[Mark], Mark | None] | None = None,
) -> _Located:
    """The version in the first columns, its end in the next ones, its id and size in the last."""
    mark, end = _marked(row, owner, name)
    valid_to, seq = _validity(mark, end, None if following is None else following(mark))
    return _Located(mark, valid_to, seq, row[_UNTIL_END], row[_UNTIL_END + 1])


def _newest_located(row: Sequence[Any], owner: str) -> _Located:
    """As `_located`, of a row that the index says is the newest version of its secret."""
    there = _located(row, owner, None)
    if there.mark.version != row[-1]:
        raise _misled(there.mark.seq)
    return there


def _ciphertexts_of(connection: sqlite3.Connection, ids: Sequence[int]) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    for at in range(0, len(ids), KEYS_AT_ONCE):
        some = ids[at : at + KEYS_AT_ONCE]
        found.update(connection.execute(f"{_CIPHERTEXTS} ({','.join('?' * len(some))})", some))
    return found


def _following(connection: sqlite3.Connection, mark: Mark) -> Mark | None:
    key = (mark.owner, mark.name, mark.version + 1)
    row = connection.execute(_NUMBERED_MARK, key).fetchone()
    return None if row is None else _marked(row, mark.owner, mark.name)[0]


def _marked(
    row: Sequence[Any], owner: str, name: str | None
) -> tuple[Mark, tuple[int, SecretEnd] | None]:
    """The version in the first columns, which must be of this secret (of any of the owner's), and its
    end in the next ones."""
    if row[0] is None:
        raise JournalDamaged("the row of a secret is gone")
    mark = mark_of(row[:MARK_COLUMNS])
    if mark.owner != owner or name not in (None, mark.name):
        raise _misled(mark.seq)
    columns = row[MARK_COLUMNS:_UNTIL_END]
    if columns == _NO_END:
        return mark, None
    seq, end = end_of(columns)
    if (end.owner, end.name, end.version) != (mark.owner, mark.name, mark.version):
        raise _misled(seq)
    return mark, (seq, end)


def _validity(
    mark: Mark, end: tuple[int, SecretEnd] | None, following: Mark | None
) -> tuple[int | None, int]:
    """When a version ceased to be valid, None when it is still, and the highest entry that tells so."""
    if end is not None:
        return end[1].valid_to, max(mark.seq, end[0])
    if following is not None:
        return following.valid_from, max(mark.seq, following.seq)
    return None, mark.seq


def _misled(seq: int) -> JournalDamaged:
    return JournalDamaged(f"an index led to a row of entry {seq} that was not looked for")
