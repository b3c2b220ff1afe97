"""Faults within a chain: barriers, acknowledgements, commits, cuts, marks, sessions, incarnations.

Not in the list, because nothing is lost without them while the other rules hold:

- That only the predecessor's messages are taken: a view has one chain (2.1), so nobody else sends any in
  it; and that its incarnation is compared, since only the node that a view names enters it.
- That what is held is counted from `durable` and not from `end`, and that a middle takes the smaller of
  its own and its successor's: an acknowledgement is sent behind the write of all that was known when it
  was made, and a successor has nothing that was not written here in the same step.
"""

from __future__ import annotations

from tests.mutants.mutant import Edit, mutant

_CHAIN = "tvault/replication/chain.py"
_COPYING = "tvault/replication/copying.py"
_INBOX = "tvault/replication/inbox.py"
_LOG = "tvault/replication/log.py"
_PARTICIPANT = "tvault/replication/participant.py"
_PRESENCE = "tvault/replication/presence.py"
_LIVES = "tests/unit/replication/test_lives.py"
_RECOVERY = "tvault/replication/recovery.py"
_REPLICA = "tvault/replication/replica.py"

CHAINS = (
    mutant(
        "forwards-before-the-barrier",
        "2.4 [bites] a member forwards nothing until its own journal holds the barrier",
        _CHAIN,
        "return self.held >= self.view.barrier",
        "return True",
        scenarios="barrier_before_forwarding",
    ),
    mutant(
        "commits-before-the-barrier",
        "2.5 [bites] nothing commits in a view before its barrier does",
        _CHAIN,
        "if acked >= self.view.barrier and self._log.commit(acked):",
        "if self._log.commit(acked):",
        scenarios="barrier_before_commit",
    ),
    mutant(
        "commits-what-the-head-holds",
        "3.4 what every member has persisted is committed",
        _CHAIN,
        "        acked = self.held if self._successor is None else min(self.held, self._down.acked)\n"
        "        if self.is_head:",
        "        acked = self.held\n        if self.is_head:",
        scenarios="commit_needs_every_disk",
    ),
    mutant(
        "commits-with-the-next-disk",
        "3.3 a member acknowledges what its successor has acknowledged, too",
        _CHAIN,
        "self.acked = max(self.acked, acked)",
        "self.acked = max(self.acked, held)",
        scenarios="commit_needs_every_disk",
    ),
    mutant(
        "acknowledges-what-is-not-written",
        "1.4 [bites] a reply leaves after its own write",
        _CHAIN,
        "            self._memory.say(self._predecessor.node, self.view.number, ack)",
        "            self._memory.say_early(self._predecessor.node, self.view.number, ack)",
        scenarios="commit_needs_every_disk",
        more=(
            Edit(
                _CHAIN,
                "        durable = self._log.durable.seq\n",
                "        durable = self._log.end.seq\n",
            ),
        ),
    ),
    mutant(
        "tail-commits-by-itself",
        "3.4 a member by itself knows nothing as committed",
        _CHAIN,
        "        if self.is_head:\n            self._commit(acked)",
        "        if self.is_head or self._successor is None:\n            self._commit(acked)",
        scenarios="commit_not_by_the_tail_alone",
    ),
    mutant(
        "commits-what-is-not-matched",
        "1.1 3.4 the commit hint never leads: what is committed is so in the head's journal",
        _CHAIN,
        "if self._log.commit(min(committed, self.matched)):",
        "if self._log.commit(min(committed, self._log.end.seq)):",
        scenarios="commit_only_of_what_is_matched",
    ),
    mutant(
        "hint-leads",
        "1.1 the commit hint may lag and never leads",
        _REPLICA,
        "            committed=self._log.committed,\n            mark=",
        "            committed=self._log.end.seq,\n            mark=",
        scenarios="commit_hint_never_leads",
    ),
    mutant(
        "commit-waits-for-the-next-entry",
        "3.4 the commit position travels down at once when no entry follows",
        _CHAIN,
        "        if down.told < self._log.committed and down.in_flight_bytes < WINDOW_BYTES:\n"
        "            self._send(())\n",
        "",
        scenarios="commit_travels_down",
    ),
    mutant(
        "takes-what-does-not-continue",
        "3.3 a successor checks the previous (view, digest)",
        _CHAIN,
        "        if self._log.position(message.previous.seq) != message.previous:\n"
        "            self._begin_session_again(now)\n"
        "            return\n",
        "",
        scenarios="append_lost_in_between",
        more=(
            Edit(
                _COPYING,
                "    if before is None or entry.view > view or not continues(before, entry):\n"
                "        return False\n",
                "",
            ),
        ),
    ),
    mutant(
        "cuts-too-much",
        "3.3 a member cuts only at the first entry that differs",
        _COPYING,
        "        _cut(memory, entry.seq - 1, view)",
        "        _cut(memory, max(log.committed, entry.seq - 2), view)",
        scenarios="cut_at_the_first_difference",
    ),
    mutant(
        "cuts-what-is-committed",
        "3.3 a member never cuts below its own commit: it stops and keeps the files",
        _COPYING,
        "        if entry.seq <= log.committed:\n"
        '            raise ProtocolViolation(f"view {view} would undo committed entry {entry.seq}")\n',
        "",
        scenarios="cut_never_below_commit",
        more=(Edit(_LOG, "        assert self.committed <= after < self.end.seq\n", ""),),
    ),
    mutant(
        "mark-stays-above-a-cut",
        "1.2 the mark is lowered before any cut",
        _COPYING,
        "    if memory.promise.mark.seq > after:\n        memory.remember(mark=log.end)\n",
        "",
        scenarios="cut_lowers_the_mark_first",
    ),
    mutant(
        "mark-lowered-unsynced",
        "1.2 the mark is lowered and synced before any cut",
        _COPYING,
        "        memory.remember(mark=log.end)\n",
        "        memory.remember(mark=log.end)\n"
        "        memory.promise_changed, memory.mark_changed = False, True\n",
        scenarios="cut_lowers_the_mark_first",
    ),
    mutant(
        "mark-not-raised",
        "1.2 the mark is written before an acknowledgement leaves",
        _CHAIN,
        "        self._memory.raise_mark(position)",
        "        assert position",
        scenarios="mark_is_written_before_the_acknowledgement",
    ),
    mutant(
        "mark-ignored",
        "1.2 a journal that ends below its mark is damaged",
        _RECOVERY,
        "    if journal.position(mark.seq) != mark:",
        "    if False:",
        scenarios="mark_shows_a_lost_tail",
    ),
    mutant(
        "journal-without-a-promise-is-trusted",
        "2.8 a node whose promise file is missing is blank, and sets its files aside",
        _RECOVERY,
        '        return "a journal without a promise file" if last != ORIGIN else None',
        "        return None",
        scenarios="promise_file_missing",
    ),
    mutant(
        "damage-keeps-the-vote",
        "2.8 a node whose memory is doubtful is blank",
        _RECOVERY,
        "        standing=Standing.BLANK,",
        "        standing=Standing.VOTER,",
        scenarios="blank_promise_counts_for_nothing",
    ),
    mutant(
        "setting-aside-forgotten",
        "2.8 a node that set files aside remembers that it did",
        _RECOVERY,
        "    return Recovered(_blank(identity, incarnation, set_aside=True), set_aside=why)",
        "    return Recovered(_blank(identity, incarnation, set_aside=False), set_aside=why)",
        scenarios="founding_never_after_set_aside",
    ),
    mutant(
        "window-unbounded",
        "3.6 the unacknowledged window is bounded",
        _REPLICA,
        "            and chain.unacknowledged < WINDOW_ENTRIES\n",
        "",
        scenarios="window_is_bounded",
    ),
)

LIVES = (
    mutant(
        "enters-a-view-of-another-life",
        "2.6 [bites] a node of another incarnation is not the one that a chain names",
        _INBOX,
        "is_named = view.member(memory.me.node) == memory.me and view.head != memory.me",
        "is_named = view.member(memory.me.node) is not None and view.head != memory.me",
        scenarios="incarnation_in_a_chain",
    ),
    mutant(
        "incarnations-count-for-nothing-in-a-chain",
        "2.6 [bites] a chain and an acknowledgement name (node, incarnation)",
        _INBOX,
        "is_named = view.member(memory.me.node) == memory.me and view.head != memory.me",
        "is_named = view.member(memory.me.node) is not None and view.head != memory.me",
        scenarios="incarnation_in_a_chain",
        more=(
            Edit(
                _CHAIN,
                "(below.node, below.incarnation) == (node, incarnation)",
                "below.node == node and bool(incarnation)",
            ),
            Edit(
                _PRESENCE, "        return member.node in self._gone or reborn", "        return False"
            ),
        ),
    ),
    mutant(
        "promises-of-earlier-lives-count",
        "2.6 [bites] what an earlier life promised counts for nothing",
        _PRESENCE,
        "            if not is_proof:\n"
        "                self._challenge(envelope, now)\n"
        "                return ()\n"
        "            if not self._succeed(known, envelope):\n"
        "                return ()\n",
        "            self._succeed(known, envelope)\n",
        scenarios="incarnation_in_a_promise",
    ),
    mutant(
        "older-copies-are-trusted",
        "1.2 7 a folder put back from a copy has forgotten promises and acknowledgements",
        _PRESENCE,
        "        if follows:\n            self._record(envelope, past)",
        "        if follows or known:\n            self._record(envelope, past)",
        scenarios="doubt_an_older_copy",
    ),
    mutant(
        "what-an-earlier-boot-knew-may-be-forgotten",
        "1.2 7 a journal never ends below what its node said to be committed before it started",
        _PRESENCE,
        "        forgotten = end < said.before and envelope.boot >= said.boot",
        "        forgotten = end < said.before and envelope.boot < 0",
        tests=(
            f"{_LIVES}::test_a_copy_of_the_present_boot_is_noticed_by_what_it_had_said_to_be_committed",
        ),
    ),
    mutant(
        "doubts-are-ignored",
        "1.2 7 a node that learns that its folder is an older copy stops",
        _INBOX,
        "== mine and self._part.doubt is None:",
        "== mine and self._part.doubt:",
        scenarios="doubt_an_older_copy",
    ),
    mutant(
        "forgetting-in-a-view-is-not-seen",
        "2.6 a successor whose journal ends before what it acknowledged in this view is an older copy",
        _INBOX,
        "            case Sync() if below and chain.has_forgotten(message):\n",
        "            case Sync() if below and False:\n",
        scenarios="doubt_a_shorter_journal_in_one_view",
    ),
    mutant(
        "old-sessions-doubt-a-sound-node",
        "2.6 a late question of an earlier session proves nothing",
        _CHAIN,
        "        return is_new and message.positions[0].seq < self._down.held",
        "        return message.positions[0].seq < self._down.held",
        scenarios="doubt_no_sound_node",
    ),
    mutant(
        "restarted-head-orders-on",
        "1.5 a restarted head never orders again in its old view",
        _INBOX,
        "is_named = view.member(memory.me.node) == memory.me and view.head != memory.me",
        "is_named = view.member(memory.me.node) == memory.me",
        scenarios="restarted_head_orders_no_more",
    ),
    mutant(
        "link-outlives-a-restart",
        "2.6 after a restart nothing flows on a link until both agree anew where they stand",
        _CHAIN,
        "        if message.session != self._session or message.end > self.matched:\n"
        "            self._begin_session_again(now)\n",
        "",
        scenarios="session_after_a_restart",
    ),
    mutant(
        "messages-of-other-views-count",
        "2.6 messages of other views are refused",
        _INBOX,
        "        if view < self._memory.promise.promised:\n"
        "            self._memory.say(sender.node, view, Superseded(self._memory.promise.promised))\n"
        "            return\n",
        "",
        scenarios="other_views_are_refused",
        more=(Edit(_INBOX, "if chain is None or chain.view.number != view:", "if chain is None:"),),
    ),
    mutant(
        "superseded-is-not-said",
        "2.6 who sends for a view that was left is told so",
        _INBOX,
        "            self._memory.say(sender.node, view, Superseded(self._memory.promise.promised))\n",
        "",
        scenarios="superseded_head_stops",
    ),
    mutant(
        "heartbeats-turn-at-the-middle",
        "2.7 heartbeats run along the chain and back, so that a dead link shows",
        _CHAIN,
        "        if self._successor is None:\n            self._return_heartbeat(message.number)\n"
        "        else:\n",
        "        self._return_heartbeat(message.number)\n        if self._successor is not None:\n",
        scenarios="heartbeats_run_along_the_chain",
        more=(
            Edit(
                _CHAIN,
                "        if self._predecessor is not None:\n"
                "            self._return_heartbeat(message.number)\n",
                "",
            ),
        ),
    ),
)
