"""Faults in what is read, and in what clients are told: 3.2, 3.4, 5, and the API over it.

Not in the list: that an index is taken when the question comes and not when the round ends.  Later it is
the same or higher, and the outsider waits for it in either case: it would see more, never less.
"""

from __future__ import annotations

from tests.mutants.mutant import Edit, mutant

_COPIES = "tests/scenarios/test_copies.py"
_MEMORY = "tvault/replication/memory.py"
_READS = "tvault/replication/reads.py"
_INBOX = "tvault/replication/inbox.py"
_PARTICIPANT = "tvault/replication/participant.py"
_CATCHUP = "tvault/replication/catchup.py"
_ENGINE = "tvault/server/chain_engine.py"
_TOKENIZE = "tvault/server/tokenize.py"
_READING = "tvault/server/reading.py"
_ORDERING = "tvault/ordering.py"
_RULES = "tvault/model/rules.py"
_ORDERING_TESTS = "tests/unit/test_ordering.py"
_EARLIER_LIFE = "test_an_outcome_for_an_earlier_life_says_nothing_about_the_command_of_this_one"

_UNHEARD_EPOCH = "test_the_tokens_of_an_epoch_that_this_node_has_not_heard_of_are_found"
_ONE_MOMENT = "test_what_is_read_in_parts_is_as_it_was_at_one_moment"

CONFIRMATIONS = (
    mutant(
        "no-confirmation",
        "5.3 [bites] what could be out of date is confirmed by a majority",
        _READS,
        "            self._begin(now)\n\n    def _begin",
        "            self._begin(now)\n            self._finish(now)\n\n    def _begin",
        scenarios="confirm_needs_a_majority",
    ),
    mutant(
        "late-readers-share-the-round",
        "5.3 [bites] one that comes later waits for the next round",
        _READS,
        "        self._next.append(waiting)\n        if not self._asking:\n",
        "        (self._asking if self._asking else self._next).append(waiting)\n"
        "        if self._next:\n",
        scenarios="confirm_by_a_later_round",
    ),
    mutant(
        "old-rounds-confirm",
        "5.3 a retry is a new round: an answer to an earlier one says nothing",
        _READS,
        "        if number != self._round or not self._asking:",
        "        if not self._asking:",
        scenarios="confirm_by_a_later_round",
    ),
    mutant(
        "confirms-a-view-that-was-left",
        "5.3 [bites] who has promised a later view does not confirm this one",
        _INBOX,
        "        if promised > view:\n            self._memory.say(sender, view, Superseded(promised))\n"
        "        elif self._memory.counts:",
        "        if self._memory.counts:",
        scenarios="promise_leaves_the_view confirm_needs_a_majority",
    ),
    mutant(
        "confirmed-before-the-barrier",
        "5.3 only a member whose journal holds its view's barrier answers",
        _PARTICIPANT,
        "        return self.chain is not None and self.chain.joined\n",
        "        return self.chain is not None\n",
        scenarios="confirm_only_with_the_barrier",
        more=(
            Edit(
                _PARTICIPANT,
                "readable=chain.view.number if chain is not None and chain.joined else 0",
                "readable=chain.view.number if chain is not None else 0",
            ),
        ),
    ),
    mutant(
        "confirmed-in-another-view",
        "5.3 a reader is confirmed in the view in which it looked",
        _PARTICIPANT,
        "stays = looked_in == self.view_number()",
        "stays = True",
        scenarios="confirm_of_one_and_the_same_view",
    ),
    mutant(
        "view-change-keeps-the-readers",
        "5.3 a view change fails all waiting readers",
        _READS,
        "            if isinstance(waiting, int):\n"
        '                self._memory.answers.append(Answer(waiting, "lost"))\n'
        "        self._asking, self._next = [], []",
        "            if isinstance(waiting, int):\n"
        '                self._memory.answers.append(Answer(waiting, "confirmed"))\n'
        "        self._asking, self._next = [], []",
        scenarios="confirm_needs_a_majority",
    ),
    mutant(
        "index-of-what-is-known-committed",
        "5.3 the index is everything that the member has persisted",
        _READS,
        "_Asker(sender, message.round, self._memory.log.durable.seq)",
        "_Asker(sender, message.round, self._memory.log.committed)",
        scenarios="index_of_everything_persisted",
    ),
    mutant(
        "index-unconfirmed",
        "5.3 the member that is asked has its view confirmed, in a round after the question",
        _READS,
        "        self._enter(_Asker(sender, message.round, self._memory.log.durable.seq), now)",
        "        index = Index(message.round, self._memory.log.durable.seq)\n"
        "        self._memory.say(sender, self._view, index)",
        scenarios="index_is_confirmed",
    ),
    mutant(
        "outcome-of-another-life",
        "2.6 3.5 an outcome answers the life that proposed",
        _MEMORY,
        "        self.life = promise.life\n",
        '        self.life = f"{promise.incarnation}/{promise.boot}"\n',
        tests=(
            f"{_COPIES}::test_an_outcome_for_another_life_answers_nothing_of_a_folder_put_back_from_a_copy",
        ),
    ),
    mutant(
        "rounds-of-another-life",
        "2.6 5.3 no two lives of a node share a round",
        _MEMORY,
        "self._rounds = _first_round(promise.life)",
        "self._rounds = promise.boot * PER_BOOT",
        scenarios="index_of_an_earlier_life",
    ),
    mutant(
        "index-not-waited-for",
        "5.3 the outsider looks once it knows the journal up to the index",
        _ENGINE,
        "if self._node.wait_for(seq, min(deadline, self._clock() + BEHIND_SECONDS)):",
        "if seq >= 0:",
        scenarios="index_is_waited_for",
    ),
    mutant(
        "learns-what-is-not-committed",
        "4 an outsider takes only committed entries",
        _CATCHUP,
        "    committed = tuple(entry for entry in entries if entry.seq <= log.committed)",
        "    committed = tuple(entries)",
        scenarios="learn_only_what_is_committed",
    ),
    mutant(
        "learns-without-a-promise",
        "4 2.2 an outsider that takes entries of a view acts for no earlier one",
        _CATCHUP,
        "        memory.remember(promised=max(memory.promise.promised, view))\n",
        "",
        scenarios="learn_promises_the_view",
    ),
)

CLIENTS = (
    mutant(
        "kept-tickets-answered-by-another-order",
        "3.5 only who orders knows that what is committed there is what it ordered",
        _PARTICIPANT,
        "        while orders and self._waiting and",
        "        while self._waiting and",
        scenarios="kept_tickets_of_a_failed_ballot",
        more=(
            Edit(
                _PARTICIPANT,
                "self.is_reforming and self.chain is None and not self.election.is_balloting:\n",
                "self.is_reforming and self.chain is None and False:\n",
            ),
            Edit(
                _INBOX,
                "case Learned() if chain is None and not self._election.is_balloting:",
                "case Learned() if chain is None:",
            ),
        ),
    ),
    mutant(
        "reform-loses-what-waits",
        "3.5 a head that forms its chain anew keeps what it ordered",
        _PARTICIPANT,
        '        self._leave_chain(f"forms the chain anew: {why}")',
        '        self.leave_view("forms the chain anew")',
        scenarios="kept_tickets_of_a_reform",
    ),
    mutant(
        "found-rows-need-no-commit",
        "5.2 a row found but not known to be committed is waited for",
        _ENGINE,
        "            if places.seq <= committed:\n",
        "            if places.seq <= committed or True:\n",
        scenarios="found_rows_wait_for_their_commit",
    ),
    mutant(
        "commit-judged-after-the-look",
        "5.2 whether a row is committed is judged by what was known before the look",
        _ENGINE,
        "            committed = self._node.committed\n"
        "            places = self._read(lambda: self._store.find(owner, epoch, digests))\n",
        "            places = self._read(lambda: self._store.find(owner, epoch, digests))\n"
        "            committed = self._node.committed\n",
        scenarios="look_sees_an_entry_that_is_cut",
    ),
    mutant(
        "wrote-nothing-confirms-nothing",
        "3.4 [bites] if a request wrote nothing, its view is confirmed before it is answered",
        _TOKENIZE,
        "                active = self._engine.read_epoch(owner, deadline)",
        "                active = self._engine.hint_epoch(owner)",
        scenarios="wrote_nothing_confirms_first",
    ),
    mutant(
        "misses-unconfirmed",
        "5.3 a not found is confirmed",
        _ENGINE,
        "vantage = None if is_whole else self.confirm(vantage, deadline)",
        "vantage = None",
        scenarios="confirm_needs_a_majority",
    ),
    mutant(
        "epoch-unconfirmed",
        "5.3 the active epoch is confirmed",
        _ENGINE,
        "            again = self.confirm(vantage, deadline)\n            if again is None:",
        "            again = None\n            if again is None:",
        scenarios="confirm_needs_a_majority",
    ),
    mutant(
        "lookup-up-to-a-hinted-epoch",
        "5.3 a lookup is for all epochs up to the confirmed one, whatever this node has heard of",
        "tvault/server/lookup.py",
        "self._engine.read_epoch(owner, deadline)",
        "self._engine.hint_epoch(owner)",
        tests=(f"tests/unit/server/test_lookup.py::{_UNHEARD_EPOCH}",),
    ),
    mutant(
        "parts-of-a-look-at-several-moments",
        "5.1 what is read in parts is as it was at one moment",
        _READING,
        "if looks > 1 else []",
        "if looks < 1 else []",
        tests=(f"tests/unit/server/test_reading.py::{_ONE_MOMENT}",),
    ),
    mutant(
        "confirmation-before-the-look",
        "5.3 the reader looks first, and then is confirmed",
        _ENGINE,
        "            found = self._look_up_all(owner, asked, deadline)\n"
        "            is_whole = all(places.is_whole for places in found)\n"
        "            vantage = None if is_whole else self.confirm(vantage, deadline)\n",
        "            vantage = self.confirm(vantage, deadline)\n"
        "            found = self._look_up_all(owner, asked, deadline)\n",
        scenarios="look_before_the_confirmation",
    ),
    mutant(
        "epochs-looked-at-oldest-first",
        "5.1 a request that needs several rows looks as at one moment: the newest epoch first",
        _READING,
        "sorted(by_epoch.items(), reverse=True)",
        "sorted(by_epoch.items())",
        scenarios="look_at_the_newest_epoch_first",
    ),
)

ORDER = (
    mutant(
        "judged-by-what-is-committed",
        "3.2 [bites] a proposal is judged against the end of the journal, uncommitted entries included",
        _RULES,
        "        if seq:\n            return TokensExist(seq)\n",
        "        if 0 < seq <= self._records.committed_hint():\n            return TokensExist(seq)\n",
        scenarios="judged_at_the_end_of_the_journal",
    ),
    mutant(
        "uncommitted-epochs-ignored",
        "3.2 [bites] an uncommitted rotation makes the earlier epoch stale",
        _RULES,
        "newest = self._newest.get(command.owner) or self._records.newest_epoch(command.owner)[0]",
        "newest = command.epoch",
        scenarios="judged_at_the_end_of_the_journal",
    ),
    mutant(
        "tokens-twice-in-one-entry",
        "3.2 what the entry in the making holds counts, too",
        _RULES,
        "        if here is not None and not here.isdisjoint(distinct):",
        "        if here is None and False:",
        tests=(
            "tests/unit/model/test_rules.py::test_a_token_of_the_entry_in_the_making_is_not_minted_again",
        ),
    ),
    mutant(
        "epoch-skips",
        "6 epochs rise by one",
        _RULES,
        "        if command.to != newest + 1:",
        "        if command.to <= newest:",
        tests=("tests/unit/model/test_rules.py::test_a_rotation_leads_to_the_successor_alone",),
    ),
    mutant(
        "proposals-taken-twice",
        "3.5 7 a proposal that the network delivers twice is ordered once",
        _ORDERING,
        "        if not self._is_first(sender, proposal):\n            return\n",
        "",
        scenarios="proposal_delivered_twice",
    ),
    mutant(
        "outcomes-of-another-life",
        "2.6 an outcome for an earlier life is about another command",
        _ORDERING,
        "if outcome.life != self._replica.life or self._passed_on.pop(outcome.ticket, None) is None:",
        "if self._passed_on.pop(outcome.ticket, None) is None:",
        tests=(f"{_ORDERING_TESTS}::{_EARLIER_LIFE}",),
    ),
    mutant(
        "written-before-it-is-committed",
        "3.4 the client is answered once what every member has persisted is committed",
        _ORDERING,
        "        seq = self._replica.propose(encode_rows(self._judge.take()), ticket)\n",
        "        seq = self._replica.propose(encode_rows(self._judge.take()), ticket)\n"
        "        for waiting in self._groups.pop(ticket):\n"
        "            self._tell(waiting, Written(seq))\n",
        scenarios="found_rows_wait_for_their_commit",
    ),
    mutant(
        "one-request-in-two-epochs",
        "6 one request never mixes epochs: not when its first try may have been ordered either",
        _ENGINE,
        "            is_unsure |= not verdict.nothing_ordered\n",
        "",
        scenarios="one_request_in_one_epoch",
    ),
    mutant(
        "lost-views-acknowledge",
        "3.5 on a view change the outcome is unknown",
        _ORDERING,
        '        committed = answer.result == "committed"',
        "        committed = True",
        scenarios="lost_view_acknowledges_nothing",
    ),
)
