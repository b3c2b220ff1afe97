"""Faults in what keeps the promises: the node's steps, the store, the promise file, the data folder."""

from __future__ import annotations

from tests.mutants.mutant import Edit, mutant

_NODE = "tvault/server/node.py"
_DISK = "tvault/server/disk.py"
_FOLDER = "tvault/server/folder.py"
_SQLITE = "tvault/store/sqlite.py"
_DATABASE = "tvault/store/database.py"
_JOURNAL = "tvault/store/journal.py"
_PROMISE = "tvault/store/promise.py"

_RESTORING = "tvault/server/restoring.py"
_BACKUP = "tvault/store/backup.py"
_ELECTION = "tvault/replication/election.py"

_STEPS = "tests/scenarios/test_node_steps.py"
_CONFORMANCE = "tests/conformance/test_store.py"
_PROMISE_TESTS = "tests/unit/store/test_promise.py"
_SQLITE_TESTS = "tests/unit/store/test_sqlite.py"
_CUT_TESTS = "tests/scenarios/test_cut_on_disk.py"
_FOLDER_TESTS = "tests/unit/server/test_folder.py"
_RESTORING_TESTS = "tests/unit/server/test_restoring.py"
_RESTORED_TESTS = "tests/unit/replication/test_restored.py"
_GOES_ON = "test_restored_nodes_and_empty_ones_found_a_cluster_that_goes_on_from_the_backup"
_BACKUP_TESTS = "tests/unit/store/test_backup.py"

STEPS = (
    mutant(
        "node-speaks-before-it-writes",
        "1.4 [bites] a reply leaves after its own write",
        _NODE,
        "        self._send_all(ready.early)\n        try:\n",
        "        self._send_all(ready.early)\n        self._send_all(ready.late)\n        try:\n",
        tests=(f"{_STEPS}::test_a_promise_is_synced_before_it_is_given",),
    ),
    mutant(
        "node-does-not-sync-its-promise",
        "1.4 [bites] a promise is synced before the answer",
        _DISK,
        "            self._write_promise(ready.promise, sync=True)",
        "            self._write_promise(ready.promise, sync=False)",
        tests=(f"{_STEPS}::test_a_promise_is_synced_before_it_is_given",),
    ),
    mutant(
        "node-writes-no-mark",
        "1.2 the mark is written before an acknowledgement leaves",
        _DISK,
        "        if ready.mark is not None:\n",
        "        if ready.mark is not None and ready.sync_mark:\n",
        tests=(f"{_STEPS}::test_an_acknowledgement_follows_the_journal_and_the_mark",),
    ),
)

STORES = (
    mutant(
        "commits-unsynced",
        "1.1 the journal is synced with every transaction",
        _DATABASE,
        '        "synchronous": "full",',
        '        "synchronous": "off",',
        more=(Edit(_DATABASE, 'if (mode, synchronous) != ("wal", _FULL):', 'if mode != "wal":'),),
        tests=(f"{_SQLITE_TESTS}::test_the_writer_syncs_every_commit_and_readers_cannot_write",),
    ),
    mutant(
        "store-hint-leads",
        "1.1 the commit hint never leads the journal",
        _JOURNAL,
        "    return max(known, committed) if committed <= last else known",
        "    return max(known, committed)",
        tests=(f"{_CONFORMANCE}::test_the_commit_hint_never_falls_and_never_passes_the_end",),
    ),
    mutant(
        "store-cuts-what-is-committed",
        "3.3 nothing that is committed is ever cut",
        _JOURNAL,
        "    if keep < floor:\n",
        "    if keep < 0:\n",
        tests=(f"{_CONFORMANCE}::test_what_is_committed_is_not_cut",),
    ),
    mutant(
        "cut-leaves-rows",
        "1.1 a cut takes back every row that its entries brought",
        "tvault/store/records.py",
        '    connection.execute("DELETE FROM block WHERE seq > ?", (keep,))\n',
        "",
        tests=(f"{_CUT_TESTS}::test_a_cut_leaves_no_row_behind",),
    ),
    mutant(
        "cut-apart-from-what-follows",
        "1.1 a cut and what takes its place are one transaction",
        _SQLITE,
        "        with self._database.transaction() as connection:\n"
        "            if keep.cuts:\n"
        "                removed = read_counts_after(connection, seq)\n"
        "                delete_after(connection, seq)\n",
        "        with self._database.transaction() as connection:\n"
        "            if keep.cuts:\n"
        "                removed = read_counts_after(connection, seq)\n"
        "                delete_after(connection, seq)\n"
        "        with self._database.transaction() as connection:\n",
        tests=(f"{_CUT_TESTS}::test_a_full_disk_takes_back_a_cut_with_what_should_follow",),
    ),
    mutant(
        "digests-unchecked",
        "1.3 equal digests prove equal history",
        _JOURNAL,
        "        if digest != entry.digest:\n",
        "        if len(digest) != len(entry.digest):\n",
        tests=(f"{_CONFORMANCE}::test_an_entry_that_breaks_a_rule_is_refused_and_nothing_is_written",),
    ),
    mutant(
        "promise-overwritten-in-place",
        "1.2 the promise file has two slots, written in turn",
        _PROMISE,
        "        slot = _other(self._synced_slot)\n        content",
        "        slot = self._synced_slot\n        content",
        tests=(f"{_PROMISE_TESTS}::test_a_power_cut_never_costs_more_than_what_was_not_synced",),
    ),
    mutant(
        "promise-checksum-ignored",
        "1.2 the promise file is checksummed",
        _PROMISE,
        "    if len(raw) != SLOT_BYTES or checksum != _checksum(content):",
        "    if len(raw) != SLOT_BYTES or len(checksum) != len(_checksum(content)):",
        tests=(f"{_PROMISE_TESTS}::test_any_flipped_bit_spoils_its_slot",),
    ),
    mutant(
        "failed-sync-tried-again",
        "2.8 after a failed sync the file is not trusted again",
        _PROMISE,
        "        if self._has_failed:\n",
        "        if self._has_failed and self._handle is None:\n",
        tests=(f"{_PROMISE_TESTS}::test_after_a_failed_sync_the_file_is_not_trusted_again",),
    ),
    mutant(
        "foreign-folder-used",
        "1.2 a node whose configuration names another cluster or ensemble refuses to start",
        "tvault/replication/recovery.py",
        "    if found.ensemble != identity.ensemble:\n",
        "    if len(found.ensemble) != len(identity.ensemble):\n",
        tests=(f"{_FOLDER_TESTS}::test_a_folder_of_another_node_is_refused_and_left_as_it_is",),
    ),
)

RESTORES = (
    mutant(
        "restored-nodes-may-not-found",
        "2.2 nodes that hold just what they were restored with found the cluster",
        _ELECTION,
        "        empty = self._memory.is_empty\n",
        "        empty = self._memory.log.end.seq == 0\n",
        tests=(f"{_RESTORED_TESTS}::{_GOES_ON}",),
    ),
    mutant(
        "restored-nodes-vote",
        "2.2 a restored node has forgotten its votes: it counts for nothing",
        _RESTORING,
        "        promised=backup.manifest.view,\n",
        "        promised=backup.manifest.view,\n        standing=2,\n",
        tests=(f"{_RESTORING_TESTS}::test_a_restored_folder_holds_the_journal_and_no_vote",),
    ),
    mutant(
        "half-restored-folders-are-used",
        "4 what is half restored is never believed",
        _FOLDER,
        "        if (self._path / UNFINISHED).exists():\n",
        "        if False:\n",
        tests=(f"{_RESTORING_TESTS}::test_no_node_starts_on_a_folder_that_is_half_restored",),
    ),
    mutant(
        "backups-are-believed",
        "4 every entry of a backup follows the one before it",
        _BACKUP,
        "                if not continues(previous, entry):\n",
        "                if False:\n",
        tests=(f"{_BACKUP_TESTS}::test_an_entry_that_changed_is_named_and_not_shown",),
    ),
)
