"""The tables of a node's database, and the migrations that lead to them.

Models are bound to one database and to nothing else: a process may hold several stores.  Rows are only
ever inserted, in the order of the journal, so `id` rises with `seq`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from peewee import AutoField, BlobField, IntegerField, Model, SqliteDatabase, TextField

Migration: TypeAlias = Callable[[SqliteDatabase], None]


def _journal_tables(bound_to: SqliteDatabase) -> tuple[type[Model], ...]:
    class Base(Model):
        class Meta:
            database = bound_to
            strict_tables = True

    class Entry(Base):
        """One entry, without its body: that is rebuilt from the rows."""

        seq = AutoField()
        view = IntegerField()
        kind = IntegerField()
        rows = IntegerField()
        digest = BlobField()
        committed = IntegerField()
        guard = BlobField()  # over `committed`, which the digest does not cover

    class Block(Base):
        """Values of one owner and epoch, sealed together; digests first, so that they lie nearest."""

        id = AutoField()
        seq = IntegerField(index=True)
        owner = TextField()
        epoch = IntegerField()
        digests = BlobField()
        sealed = BlobField()

    class Epoch(Base):
        """The start of an owner's epoch."""

        id = AutoField()
        seq = IntegerField(index=True)
        owner = TextField()
        epoch = IntegerField()

    return Entry, Block, Epoch


def _secret_tables(bound_to: SqliteDatabase) -> tuple[type[Model], ...]:
    """Each row has a `guard`, a checksum over all its other columns but `id`, so that a look can trust
    it without the rest of its entry."""

    class Base(Model):
        class Meta:
            database = bound_to
            strict_tables = True

    class SecretVersion(Base):
        """Ciphertext last: it may go on in pages that a look at the other columns need not read.  The
        guard covers it by its `checksum`."""

        id = AutoField()
        seq = IntegerField(index=True)
        owner = TextField()
        name = TextField()
        version = IntegerField()
        valid_from = IntegerField()
        key_id = TextField()
        nonce = BlobField()
        wrapped_key = BlobField()
        checksum = BlobField()
        guard = BlobField()
        ciphertext = BlobField()

        class Meta:
            table_name = "secret_version"
            indexes = (
                (("owner", "name", "version", "valid_from"), False),
                (("owner", "valid_from"), False),
            )

    class SecretEnd(Base):
        id = AutoField()
        seq = IntegerField(index=True)
        owner = TextField()
        name = TextField()
        version = IntegerField()
        valid_to = IntegerField()
        guard = BlobField()

        class Meta:
            table_name = "secret_end"
            indexes = ((("owner", "name", "version"), True), (("owner", "valid_to"), False))

    class SecretRequest(Base):
        id = AutoField()
        seq = IntegerField(index=True)
        owner = TextField()
        request = BlobField()
        fingerprint = BlobField()
        done = BlobField()
        guard = BlobField()

        class Meta:
            table_name = "secret_request"
            indexes = ((("owner", "request"), True),)

    return SecretVersion, SecretEnd, SecretRequest


def _create_journal(database: SqliteDatabase) -> None:
    database.create_tables(_journal_tables(database))


def _create_secrets(database: SqliteDatabase) -> None:
    database.create_tables(_secret_tables(database))


MIGRATIONS: tuple[Migration, ...] = (_create_journal, _create_secrets)
"""What leads from an empty file to the tables above, in order.  `PRAGMA user_version` counts the steps
done.  A step that was released is never changed; what follows it is appended."""
