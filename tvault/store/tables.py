"""The tables of a node's database, and the migrations that lead to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from peewee import AutoField, BlobField, IntegerField, Model, SqliteDatabase, TextField

Migration: TypeAlias = Callable[[SqliteDatabase], None]


def tables(bound_to: SqliteDatabase) -> tuple[type[Model], ...]:
    """The models, bound to one database and to nothing else: a process may hold several stores.

    Rows are only ever inserted, in the order of the journal, so `id` rises with `seq`.
    """

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


def _create(database: SqliteDatabase) -> None:
    database.create_tables(tables(database))


MIGRATIONS: tuple[Migration, ...] = (_create,)
"""What leads from an empty file to the tables above, in order.  `PRAGMA user_version` counts the steps
done.  A step that was released is never changed; what follows it is appended."""
