"""Faults of secrets: how writes are judged and decided, and how looks find what was written."""

from __future__ import annotations

from tests.mutants.mutant import mutant

_RULES = "tvault/model/secret_rules.py"
_ENGINE = "tvault/server/chain_engine.py"
_VAULT = "tvault/server/secret_vault.py"
_READING = "tvault/store/secret_reading.py"
_ROWS = "tvault/store/secrets.py"

_JUDGED = "tests/unit/model/test_secret_rules.py"
_TOLD = "tests/unit/server/test_chain_engine.py"
_WRITES = "tests/unit/server/test_secret_writes.py"
_LOOKS = "tests/conformance/test_secrets.py"
_KEPT = "tests/conformance/test_secret_writes.py"
_AT = "test_a_moment_finds_the_version_valid_from_its_beginning_up_to_but_without_its_end"
_CHANGED = (
    "test_a_column_that_changes_while_the_node_runs_gives_no_wrong_answer_and_is_found_by_the_check"
)

JUDGED = (
    mutant(
        "secret-version-unchecked",
        "3.2 a write of a secret is about the newest version that there is",
        _RULES,
        "            if (newest.version, newest.is_live) != _expected(change):",
        "            if newest.is_live != _expected(change)[1]:",
        tests=(
            f"{_JUDGED}::test_of_two_writers_who_know_the_same_version_the_second_is_refused",
            f"{_JUDGED}::test_the_judge_agrees_with_a_naive_one",
        ),
    ),
    mutant(
        "secret-end-unchecked",
        "3.2 what has ended is neither kept nor ended again",
        _RULES,
        "            if (newest.version, newest.is_live) != _expected(change):",
        "            if newest.version != _expected(change)[0]:",
        tests=(f"{_JUDGED}::test_what_has_ended_is_neither_kept_nor_ended_again_and_counting_goes_on",),
    ),
    mutant(
        "secret-of-the-entry-in-the-making-unseen",
        "3.2 what the entry in the making does to a secret counts, too",
        _RULES,
        "            newest = here or written",
        "            newest = written",
        tests=(f"{_JUDGED}::test_of_two_writers_who_know_the_same_version_the_second_is_refused",),
    ),
    mutant(
        "request-carried-out-twice",
        "3.2 the same owner and key get the same answer",
        _RULES,
        "        seq = self._records.request_seq(owner, command.request)",
        "        seq = 0",
        tests=(f"{_JUDGED}::test_a_request_is_carried_out_once_however_secrets_are_by_then",),
    ),
    mutant(
        "request-of-the-entry-in-the-making-unseen",
        "3.2 a request that is sent twice at once is carried out once",
        _RULES,
        "        if (owner, command.request) in self._known:",
        "        if False:",
        tests=(f"{_JUDGED}::test_a_request_is_carried_out_once_however_secrets_are_by_then",),
    ),
    mutant(
        "moments-by-the-clock-alone",
        "6 validity rises strictly whatever the clock does",
        _RULES,
        "        stamp = max(self._clock(), newest + 1)",
        "        stamp = self._clock()",
        tests=(f"{_JUDGED}::test_moments_rise_strictly_whatever_the_clock_does",),
    ),
    mutant(
        "moments-within-an-entry-equal",
        "6 the moments of two writes differ, in one entry, too",
        _RULES,
        "        newest = self._stamps.get(owner) or self._records.newest_stamp(owner)",
        "        newest = self._records.newest_stamp(owner)",
        tests=(f"{_JUDGED}::test_moments_rise_strictly_whatever_the_clock_does",),
    ),
    mutant(
        "secret-changed-twice-by-one-write",
        "3.2 a write changes a secret once",
        _RULES,
        "    if len({change.name for change in command.changes}) != len(command.changes):",
        "    if False:",
        tests=(f"{_JUDGED}::test_what_no_correct_node_proposes_is_refused",),
    ),
)

TOLD = (
    mutant(
        "uncommitted-secrets-told",
        "5.2 a row that is found is told once it is committed",
        _ENGINE,
        "            if found.seq > committed:",
        "            if False:",
        tests=(
            f"{_TOLD}::test_the_newest_version_is_told_once_it_is_committed_and_the_look_confirmed",
            f"{_TOLD}::test_the_end_of_a_version_is_told_once_it_is_committed",
        ),
    ),
    mutant(
        "newest-version-unconfirmed",
        "5.3 the newest version of a secret is confirmed",
        _ENGINE,
        "            return may_settle and found.has_ended",
        "            return True",
        tests=(f"{_TOLD}::test_what_a_later_entry_may_change_is_confirmed",),
    ),
    mutant(
        "request-not-found-unconfirmed",
        "5.3 that a request was not carried out is confirmed",
        _ENGINE,
        "        may_settle = request is None and all(",
        "        may_settle = all(",
        tests=(f"{_TOLD}::test_what_a_later_entry_may_change_is_confirmed",),
    ),
    mutant(
        "newest-version-ended-for-ever",
        "5.3 that the newest version has ended is confirmed: another may have begun",
        _ENGINE,
        "request is None and all(each.is_numbered_or_dated for each in wanted)",
        "request is None",
        tests=(f"{_TOLD}::test_that_the_newest_version_has_ended_is_confirmed",),
    ),
    mutant(
        "live-version-taken-for-settled",
        "5.1 a numbered version is settled once it has ended",
        "tvault/model/secret_looks.py",
        "found is not None and not found.is_live for found",
        "found is not None for found",
        tests=(f"{_TOLD}::test_what_a_later_entry_may_change_is_confirmed",),
    ),
)

DECIDED = (
    mutant(
        "refused-on-a-glance",
        "5.3 a refusal of a write is decided on a confirmed read",
        _VAULT,
        "                    if is_confirmed:\n                        raise",
        "                    raise",
        tests=(f"{_WRITES}::test_nothing_is_told_by_what_a_node_that_is_behind_holds",),
    ),
    mutant(
        "no-change-told-on-a-glance",
        "5.3 that a secret has a value already is decided on a confirmed read",
        _VAULT,
        "            elif changes and is_confirmed:",
        "            elif changes:",
        tests=(f"{_WRITES}::test_nothing_is_told_by_what_a_node_that_is_behind_holds",),
    ),
    mutant(
        "no-change-not-kept",
        "3.2 the same key gets the same answer, also where nothing changed",
        _VAULT,
        "            if is_change or (changes and request.is_kept):",
        "            if is_change:",
        tests=(f"{_WRITES}::test_a_value_that_was_there_already_stays_so_for_the_same_key",),
    ),
    mutant(
        "key-of-another-request",
        "3.2 a key means one request",
        _VAULT,
        "    if kept.fingerprint != request.fingerprint:",
        "    if False:",
        tests=(f"{_WRITES}::test_a_key_that_was_used_for_another_request_is_refused",),
    ),
    mutant(
        "overtaken-decided-on-a-glance",
        "3.2 a write that was overtaken is decided again on a confirmed read",
        _VAULT,
        "            is_confirmed = True\n            number += 1",
        "            number += 1",
        tests=(f"{_WRITES}::test_a_write_that_is_overtaken_is_decided_again_on_a_confirmed_look",),
    ),
)

FOUND = (
    mutant(
        "ends-of-secrets-unseen",
        "6 a version is valid up to its deletion",
        _READING,
        "    if end is not None:\n        return end[1].valid_to, max(mark.seq, end[0])\n",
        "",
        tests=(f"{_LOOKS}::test_a_version_is_found_by_its_number_with_when_it_was_valid",),
    ),
    mutant(
        "end-of-a-secret-without-its-entry",
        "5.2 that a version has ended is told once the entry is committed",
        _READING,
        "        return end[1].valid_to, max(mark.seq, end[0])",
        "        return end[1].valid_to, mark.seq",
        tests=(f"{_LOOKS}::test_a_version_is_found_by_its_number_with_when_it_was_valid",),
    ),
    mutant(
        "validity-includes-its-end",
        "6 a version is valid up to but without its end",
        _READING,
        "is_valid=wanted.at < there.valid_to",
        "is_valid=wanted.at <= there.valid_to",
        tests=(f"{_LOOKS}::{_AT}",),
    ),
    mutant(
        "secrets-survive-a-cut",
        "3.3 what is cut is gone, with all it did to secrets",
        _ROWS,
        '    for table in TABLES:\n        connection.execute(f"DELETE FROM',
        '    for table in TABLES[1:]:\n        connection.execute(f"DELETE FROM',
        tests=(f"{_KEPT}::test_a_cut_takes_back_all_that_its_entries_did_to_secrets",),
    ),
    mutant(
        "rows-of-secrets-unguarded",
        "7 a flipped bit among secrets gives no wrong answer",
        _ROWS,
        "    if row[-1] != _guard(table, columns):",
        "    if False:",
        tests=(f"tests/unit/store/test_secret_damage.py::{_CHANGED}",),
    ),
)

SECRETS = (*JUDGED, *TOLD, *DECIDED, *FOUND)
