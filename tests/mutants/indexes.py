"""Faults of the token index: tokens in files that a cut can touch, files that are believed (3.2, 5)."""

from __future__ import annotations

from tests.mutants.mutant import mutant

_INDEX = "tvault/store/index.py"
_MERGING = "tvault/store/merging.py"
_OPENING = "tvault/store/opening.py"

_UNIT = "tests/unit/store/test_index.py"
_MASKED = "tests/unit/store/test_masked.py"
_FILES = "tests/unit/store/test_index_files.py"
_MERGES = "tests/unit/store/test_index_merging.py"
_CONFORMANCE = "tests/conformance/test_store.py::test_a_store_answers_as_a_naive_journal_does"
_HANDED_OVER = "test_what_was_handed_over_is_added_to_no_more_though_a_cut_ends_where_it_does"
_STOPS = f"{_UNIT}::test_a_token_that_a_merge_finds_twice_stops_the_writer"
_OTHER_NODE = f"{_FILES}::test_files_of_another_node_are_not_taken_for_those_of_this_one"

INDEXES = (
    mutant(
        "masks-that-anybody-can-compute",
        "isolation: no owner can ask for what stands in the place of another one's token",
        "tvault/store/masked.py",
        "hashlib.blake2b(key=secret, digest_size=DIGEST_BYTES, person=_PERSON)",
        "hashlib.blake2b(digest_size=DIGEST_BYTES, person=_PERSON)",
        tests=(f"{_MASKED}::test_a_token_moved_to_another_scope_is_not_found_and_is_no_damage",),
    ),
    mutant(
        "keys-of-other-masks-are-believed",
        "3.2 the index finds every token, whatever files it begins with",
        _OPENING,
        "    if run.stretch.masks != masks.name:\n",
        "    if False:\n",
        tests=(f"{_FILES}::test_without_its_masks_the_index_is_made_again",),
    ),
    mutant(
        "uncommitted-tokens-in-runs",
        "5 runs hold committed blocks alone, so that a cut never touches them",
        _INDEX,
        "ready = [generation for generation in full if generation.last.seq <= committed]",
        "ready = list(full)",
        tests=(f"{_UNIT}::test_only_what_is_settled_becomes_a_run",),
    ),
    mutant(
        "a-cut-opens-what-was-handed-over",
        "5 what was handed over to become a run is added to no more",
        _INDEX,
        "            if generation.after.seq <= seq\n",
        "            if generation.after.seq < seq or generation is self.snapshot.generations[0]\n",
        tests=(f"{_UNIT}::{_HANDED_OVER}",),
    ),
    mutant(
        "a-cut-forgets-nothing",
        "2.7 what a new view has cut is gone, and may come again",
        _INDEX,
        "            if keep.cuts:\n                generations = self._cut(keep)\n",
        "",
        tests=(_CONFORMANCE,),
    ),
    mutant(
        "a-merge-overlooks-a-token-twice",
        "3.2 a unique index behind the judge stops the node if it is ever violated",
        "tvault/store/building.py",
        "        if ((in_order[1:] == in_order[:-1]) & (by_low[1:] == by_low[:-1])).any():\n",
        "        if False:\n",
        tests=(_STOPS,),
    ),
    mutant(
        "the-writer-never-learns-of-a-failure",
        "3.2 a unique index behind the judge stops the node if it is ever violated",
        _INDEX,
        "        if failure is not None:\n            raise failure\n",
        "",
        tests=(_STOPS,),
    ),
    mutant(
        "a-merge-launders-damage",
        "5 what is damaged gets no good checksum",
        _MERGING,
        "                run.check()  # what is damaged must not get a good checksum\n",
        "                pass\n",
        tests=(f"{_MERGES}::test_a_source_that_was_damaged_meanwhile_is_made_again_and_then_merged",),
    ),
    mutant(
        "damaged-files-are-believed",
        "5 a damaged file of the index is made again from the journal",
        _OPENING,
        "        run.check()\n",
        "",
        tests=(f"{_FILES}::test_a_damaged_or_torn_file_costs_no_token",),
    ),
    mutant(
        "files-of-another-node-are-believed",
        "5 nodes have one history, but each its own ids of blocks",
        _OPENING,
        "    return journal.top_block(stretch.last.seq) == stretch.top_block\n",
        "    return True\n",
        tests=(_OTHER_NODE,),
    ),
    mutant(
        "a-journal-that-lost-entries-is-believed",
        "5 a journal without an entry that the index vouches for is damaged",
        _OPENING,
        "        if journal.position(vouched.seq) != vouched:\n",
        "        if False:\n",
        tests=(f"{_FILES}::test_an_older_copy_of_the_journal_beside_the_index_is_damage",),
    ),
)
