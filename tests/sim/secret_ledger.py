"""Every secret as the committed journal has it, and whether each write and each answer fits it.

The ledger is kept from the entries themselves, in their order, by rules written here anew.  An answer
is held against what the journal was at each moment between the arrival of its request and itself: it
must be the whole truth of one of them.  So nothing acknowledged before is missed, nothing is told that
is not committed, and what was written at once is seen at once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace

from tests.sim.secret_calls import Refusal, SecretCall, SecretRead, SecretWrite
from tests.sim.secret_states import Kept, Moment, Vault
from tests.sim.secret_truths import (
    names_in,
    read_at,
    refused_at,
    unwritten_at,
    was_due,
    written_result,
)
from tvault.model.commands import SecretEnd, SecretRequest, SecretVersion, decode_rows
from tvault.model.keys import KeyRing
from tvault.model.secrets import MasterKeys
from tvault.server.secret_vault import Request
from tvault.store.ports import Store


class SecretLedger:
    """`latest` tells the latest moment that any node's clock has shown, in microseconds since 1970."""

    def __init__(self, random: Callable[[int], bytes], latest: Callable[[], int]) -> None:
        self.ring = KeyRing(bytes(32))
        self.masters = MasterKeys("m1", {"m1": bytes(32)}, random)
        self.last = 0
        self._latest = latest
        self._vaults: defaultdict[str, Vault] = defaultdict(Vault)
        self._expected: dict[tuple[str, bytes, bytes], SecretCall] = {}

    # The journal.

    def expect(self, asked: SecretWrite, request: Request) -> None:
        """A node is about to carry a write out: only what was expected may stand in the journal."""
        self._expected[asked.owner, request.name, request.fingerprint] = asked

    def commit(self, seq: int, body: bytes) -> None:
        """Entry `seq` is committed: all that it brings must have been due."""
        self.last = seq
        rows = decode_rows(body)
        if not rows.brings_secrets:
            return
        begun = {(row.owner, row.name, row.version): row for row in rows.versions}
        ended = {(row.owner, row.name, row.version): row for row in rows.ends}
        brought = len(rows.versions) + len(rows.ends)
        assert brought == len(begun) + len(ended), f"entry {seq} brings a change of secrets twice"
        for row in rows.requests:
            self._carry_out(seq, row, begun, ended)
        left = [*begun, *ended]
        assert not left, f"entry {seq} brings changes of secrets that nobody asked for: {left}"

    def _carry_out(
        self,
        seq: int,
        row: SecretRequest,
        begun: dict[tuple[str, str, int], SecretVersion],
        ended: dict[tuple[str, str, int], SecretEnd],
    ) -> None:
        vault = self._vaults[row.owner]
        told = f"entry {seq}: a request of {row.owner}"
        asked = self._expected.get((row.owner, row.request, row.fingerprint))
        assert asked is not None, f"{told} that nobody made"
        assert row.request not in vault.requests, f"{told} is carried out twice: {asked}"
        names = tuple(done.name for done in row.done)
        assert names == names_in(asked), f"{told} is carried out in part: {asked}"
        stamps: set[int] = set()
        for done in row.done:
            key = row.owner, done.name, done.version
            before = Moment(vault, seq).newest(done.name)
            version = begun.pop(key, None) if done.is_changed else None
            end = ended.pop(key) if done.is_changed and version is None else None
            if version is not None:
                self._begin(seq, version, before)
                stamps.add(version.valid_from)
            elif end is not None:
                self._end(seq, end, before)
                stamps.add(end.valid_to)
            value = vault.versions[done.name][-1].value if version is not None else None
            assert was_due(asked, done, before, value), f"{told} comes to {done} after {before}: {asked}"
        self._take_stamp(vault, stamps, told)
        vault.requests[row.request] = seq, row
        if not vault.changes or vault.changes[-1] != seq:
            vault.changes.append(seq)

    def _begin(self, seq: int, row: SecretVersion, before: Kept | None) -> None:
        newest = before.version if before is not None else 0
        assert row.version == newest + 1, f"version {row.version} of {row.name} follows {newest}"
        versions = self._vaults[row.owner].versions.setdefault(row.name, [])
        if before is not None and before.valid_to is None:
            versions[-1] = replace(before, valid_to=row.valid_from, ended=seq)
        value = self.masters.open(row.owner, row.name, row.version, row.sealed).decode()
        versions.append(Kept(row.version, value, row.sealed.key_id, row.valid_from, seq))

    def _end(self, seq: int, row: SecretEnd, before: Kept | None) -> None:
        told = f"version {row.version} of {row.name} ends after {before}"
        assert before is not None, told
        assert (before.version, before.valid_to) == (row.version, None), told
        versions = self._vaults[row.owner].versions[row.name]
        versions[-1] = replace(before, valid_to=row.valid_to, ended=seq)

    def _take_stamp(self, vault: Vault, stamps: set[int], told: str) -> None:
        if not stamps:
            return
        assert len(stamps) == 1, f"{told} changes secrets at several moments"
        (stamp,) = stamps
        assert stamp > vault.stamp, f"{told} has a moment that is not after the one before it"
        is_time = stamp <= self._latest() or stamp == vault.stamp + 1
        assert is_time, f"{told} has a moment that no clock has shown"
        vault.stamp = stamp

    # Answers.

    def judge(self, answered: SecretCall, request: Request | None, since: int) -> None:
        """A request that came when entry `since` was the last one committed is about to be told this."""
        vault = self._vaults[answered.owner]
        moments = vault.between(since, self.last)
        if isinstance(answered, SecretRead):
            is_true = any(read_at(answered, moment) == answered.result for moment in moments)
            assert is_true, f"no moment since entry {since} was so: {answered}"
            return
        assert request is not None, "every write has a name"
        known = vault.requests.get(request.name)
        if isinstance(answered.result, Refusal):
            self._judge_refusal(answered, answered.result, request, since)
        elif known is not None:
            seq, row = known
            assert row.fingerprint == request.fingerprint, f"told of another request: {answered}"
            due = written_result(answered, row, Moment(vault, self.last))
            assert answered.result == due, f"carried out at {seq} as {due}: {answered}"
        else:
            assert not request.is_kept, f"acknowledged, and not in the journal: {answered}"
            is_true = any(unwritten_at(answered, moment) == answered.result for moment in moments)
            assert is_true, f"not written, and not so since entry {since}: {answered}"

    def _judge_refusal(
        self, answered: SecretWrite, refusal: Refusal, request: Request, since: int
    ) -> None:
        vault = self._vaults[answered.owner]
        if refusal.code == "invalid_value":
            known = vault.requests.get(request.name)
            is_other = known is not None and known[1].fingerprint != request.fingerprint
            assert is_other, f"its key was not used for another request: {answered}"
            return
        is_true = any(
            not moment.knows(request.name) and refused_at(answered, refusal, moment)
            for moment in vault.between(since, self.last)
        )
        assert is_true, f"no moment since entry {since} was a reason: {answered}"

    # At the end.

    def compare(self, node: str, store: Store) -> None:
        """A node whose journal is all that was committed has the same secrets, and no other requests."""
        for owner, vault in self._vaults.items():
            now = Moment(vault, self.last)
            assert store.newest_stamp(owner) == vault.stamp, f"{node} has another newest moment"
            assert store.names(owner).names == now.names(), f"{node} has other names of {owner}"
            newest = store.newest_secrets(owner, list(vault.versions))
            for (name, versions), last in zip(vault.versions.items(), newest, strict=True):
                marks = tuple(kept.mark for kept in versions)
                assert store.history(owner, name).versions == marks, f"{node} has other versions"
                is_live = marks[-1].valid_to is None
                assert (last.version, last.is_live) == (len(marks), is_live), (
                    f"{node} has another newest"
                )
        for owner, request, _ in self._expected:
            seq, _ = self._vaults[owner].requests.get(request, (0, None))
            assert store.request_seq(owner, request) == seq, (
                f"{node} has a request elsewhere than at {seq}"
            )

    def names_of(self, owner: str) -> tuple[str, ...]:
        """All secrets that the owner ever had, sorted."""
        return tuple(sorted(self._vaults[owner].versions))
