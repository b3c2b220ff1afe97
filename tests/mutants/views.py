"""Faults in how a view comes about: founding, promises, pre-votes, ballots, arrangement.

Not in the list: that `on_prepare` looks at `may_found` once more.  Whoever said in this round that it
remembers nothing, in the incarnation that the question names, remembers something by now only if its
journal has an entry; and then it refuses the empty journal of the candidate.
"""

from __future__ import annotations

from tests.mutants.mutant import Edit, mutant

_ELECTION = "tvault/replication/election.py"
_INBOX = "tvault/replication/inbox.py"
_ARRANGEMENT = "tvault/replication/arrangement.py"
_MEMORY = "tvault/replication/memory.py"

_FIRST_STARTS = "tests/scenarios/test_first_starts.py"
_FOUNDING = "tests/unit/replication/test_founding.py"
_RESTORED = "tests/unit/replication/test_restored.py"

_SHORT_OF = "short_of = max(majority - 1 - len(voters), 0)"

FOUNDING = (
    mutant(
        "founding-by-a-majority",
        "2.8 the founding needs every configured node",
        _ELECTION,
        "if len(current.founders) < len(memory.promise.ensemble):",
        "if len(current.founders) < memory.majority:",
        scenarios="founding_needs_everyone",
    ),
    mutant(
        "founding-decided-by-a-majority",
        "2.8 [bites] the founding needs the promises of all, and its chain holds all",
        _ELECTION,
        "needed=len(founders) or memory.majority,",
        "needed=memory.majority,",
        scenarios="founding_of_all_in_one_chain",
    ),
    mutant(
        "founders-count-for-any-founding",
        "2.8 [bites] a founder that holds nothing counts for those that hold its founding's barrier",
        _ELECTION,
        "        if is_waiting and 0 < founded < memory.promise.founding:\n",
        "        if is_waiting and founded < 0:\n",
        tests=(f"{_FOUNDING}::test_a_founder_that_holds_nothing_counts_for_no_other_founding",),
    ),
    mutant(
        "empty-founders-ask-for-a-view",
        "2.8 [bites] a founder that holds nothing asks for nothing but a founding",
        _ELECTION,
        "        if self._memory.counts and self._memory.condition is Condition.READY:\n",
        "        if self._memory.may_vote and self._memory.condition is Condition.READY:\n",
        tests=(f"{_FOUNDING}::test_a_founder_that_holds_nothing_asks_for_no_view_and_confirms_nothing",),
    ),
    mutant(
        "empty-founders-confirm",
        "2.8 5.3 a founder that holds nothing confirms nothing",
        _INBOX,
        "        elif self._memory.counts:\n            self._memory.say(sender, view, Confirmed",
        "        elif self._memory.may_vote:\n            self._memory.say(sender, view, Confirmed",
        tests=(f"{_FOUNDING}::test_a_founder_that_holds_nothing_asks_for_no_view_and_confirms_nothing",),
    ),
    mutant(
        "founding-over-two-rounds",
        "2.8 in one round, with the round's number in the answers",
        _ELECTION,
        "if self._round.phase is not Phase.FOUNDING or message.round != self._round.number:",
        "if self._round.phase is not Phase.FOUNDING:",
        scenarios="founding_of_two_rounds",
    ),
    mutant(
        "founding-number-promised-before",
        "2.1 2.8 a founding's number is above all that was promised before",
        _ELECTION,
        "        self.saw(message.promised)\n        if self._round.phase is not Phase.FOUNDING",
        "        if self._round.phase is not Phase.FOUNDING",
        scenarios="founding_over_an_earlier_promise",
    ),
    mutant(
        "founder-remembers-its-last-founding-alone",
        "2.8 a founder counts for every founding from the first that it promised on",
        _MEMORY,
        "founding = self.promise.founding or view",
        "founding = view",
        tests=(f"{_FIRST_STARTS}::test_a_first_start_with_a_slow_disk_comes_to_a_chain",),
    ),
    mutant(
        "founding-led-by-a-shorter-copy",
        "2.2 2.8 [bites] the node that was restored with most leads the founding",
        _ELECTION,
        "may_refuse = memory.may_vote or bool(message.founders)",
        "may_refuse = memory.may_vote",
        tests=(f"{_RESTORED}::test_the_node_with_the_longest_copy_leads_whoever_asks_first",),
    ),
    mutant(
        "founding-with-a-journal",
        "2.8 every founder says that its journal is empty",
        _ELECTION,
        "return empty and not promise.set_aside and promise.standing is not Standing.VOTER",
        "return not promise.set_aside and promise.standing is not Standing.VOTER",
        scenarios="founding_not_by_who_holds_the_barrier",
    ),
    mutant(
        "founding-after-setting-aside",
        "2.8 a node that set files aside never founds",
        _ELECTION,
        "return empty and not promise.set_aside and promise.standing is not Standing.VOTER",
        "return empty and promise.standing is not Standing.VOTER",
        scenarios="founding_never_after_set_aside",
    ),
    mutant(
        "founding-by-a-voter",
        "2.8 only a founding voter of an unfinished founding may say so again",
        _ELECTION,
        "return empty and not promise.set_aside and promise.standing is not Standing.VOTER",
        "return empty and not promise.set_aside",
        scenarios="founding_never_by_an_empty_voter",
    ),
    mutant(
        "founding-ends-with-the-vote",
        "2.8 a founding voter of an unfinished founding may say so again",
        _ELECTION,
        "return empty and not promise.set_aside and promise.standing is not Standing.VOTER",
        "return empty and not promise.set_aside and promise.standing is Standing.BLANK",
        scenarios="founding_broken_off",
    ),
    mutant(
        "founding-of-other-lives",
        "2.8 each founder's incarnation is in the answers, and in the vote",
        _ELECTION,
        "acceptable = acceptable and self.may_found and memory.me in message.founders",
        "acceptable = acceptable and self.may_found",
        scenarios="founding_late_message",
    ),
    mutant(
        "view-announced-before-its-barrier",
        "2.8 the head makes its barrier durable before it announces the view",
        "tvault/replication/participant.py",
        "self.memory.say_to_others(view.number, NewView(view))",
        "for node in self.memory.others:\n"
        "            self.memory.say_early(node, view.number, NewView(view))",
        scenarios="founding_in_one_round",
    ),
)

PROMISES = (
    mutant(
        "promise-answered-before-it-is-durable",
        "1.4 [bites] nothing is answered before what the answer promises is durable",
        _ELECTION,
        "memory.say(sender.node, view, Promised(self._account(now)))",
        "memory.say_early(sender.node, view, Promised(self._account(now)))",
        scenarios="promise_durable_before_answer",
    ),
    mutant(
        "candidate-asks-before-it-has-promised",
        "2.1 a node uses each number once: its own promise is synced first",
        _ELECTION,
        "memory.say_to_others(view, Prepare(memory.log.end, founders, memory.founded))",
        "for node in memory.others:\n"
        "            memory.say_early(node, view, Prepare(memory.log.end, founders, memory.founded))",
        scenarios="candidate_promises_itself_first",
    ),
    mutant(
        "candidate-forgets-its-number",
        "2.1 a node uses each number once",
        _ELECTION,
        "            memory.remember(promised=view)\n        expected",
        "            memory.remember()\n        expected",
        scenarios="candidate_promises_itself_first",
    ),
    mutant(
        "number-not-above-promised-again",
        "2.2 a node refuses a number that is not above its promised one",
        _ELECTION,
        "acceptable = view > promise.promised and follows",
        "acceptable = view >= promise.promised and follows",
        scenarios="promise_refuses_a_number_not_above",
    ),
    mutant(
        "promise-goes-back",
        "2.2 promises never go back",
        _ELECTION,
        "acceptable = view > promise.promised and follows",
        "acceptable = follows",
        scenarios="promise_refuses_a_number_not_above promise_survives_a_crash",
        more=(Edit(_MEMORY, "            assert promised >= promise.promised\n", ""),),
    ),
    mutant(
        "promise-not-remembered",
        "1.4 2.2 a promise is durable: it outlives a crash",
        _ELECTION,
        "            memory.remember(promised=view)\n        memory.say(",
        "            memory.remember()\n        memory.say(",
        scenarios="promise_survives_a_crash",
    ),
    mutant(
        "journal-behind-gets-the-promise",
        "2.2 [bites] a node refuses a candidate whose last (view, seq) is behind its own",
        _ELECTION,
        "follows = covers(message.last, memory.log.end) or not may_refuse",
        "follows = True",
        scenarios="promise_refuses_a_journal_behind",
    ),
    mutant(
        "journals-compared-by-length",
        "2.2 [bites] the later view counts first, then the longer journal",
        _ELECTION,
        "return (mine.view, mine.seq) >= (theirs.view, theirs.seq)",
        "return mine.seq >= theirs.seq",
        scenarios="promise_refuses_a_journal_behind",
    ),
    mutant(
        "journals-compared-by-view",
        "2.2 [bites] within one view the shorter journal is behind",
        _ELECTION,
        "return (mine.view, mine.seq) >= (theirs.view, theirs.seq)",
        "return mine.view >= theirs.view",
        scenarios="promise_refuses_a_shorter_journal",
    ),
    mutant(
        "stays-in-the-view-it-promised-away",
        "2.2 [bites] who promises leaves its view, and never again acts for a lower one",
        _INBOX,
        '                    self._part.leave_view("promised another view")\n',
        "",
        scenarios="promise_leaves_the_view",
        more=(
            Edit(
                _INBOX,
                "        if view < self._memory.promise.promised:\n"
                "            self._memory.say(sender.node, view, "
                "Superseded(self._memory.promise.promised))\n"
                "            return\n",
                "",
            ),
        ),
    ),
    mutant(
        "promise-of-any-view-counts",
        "2.3 a promise counts for the view that was asked for",
        _ELECTION,
        "if self._round.phase is not Phase.BALLOT or view != self._round.number:",
        "if self._round.phase is not Phase.BALLOT:",
        scenarios="promise_of_an_earlier_question",
    ),
    mutant(
        "no-pre-vote",
        "2.7 who misses its chain asks first: a majority must also miss it",
        _INBOX,
        "misses_chain = asks_as_head or self._part.misses_chain(now)",
        "misses_chain = True or asks_as_head",
        scenarios="pre_vote_of_a_restarted_node",
    ),
)

MAJORITIES = (
    mutant(
        "majority-off-by-one",
        "2 majority is Q = N//2+1",
        "tvault/replication/view.py",
        "return nodes // 2 + 1",
        "return (nodes + 1) // 2 - 1 or 1",
        scenarios="chain_of_a_majority",
    ),
    mutant(
        "chain-of-too-few",
        "2.3 [bites] a chain holds never fewer than Q nodes that may vote",
        _ARRANGEMENT,
        "if sum(each.account.may_vote for each in path) >= majority:",
        "if path:",
        scenarios="chain_without_the_second_voter",
        more=(Edit(_ARRANGEMENT, _SHORT_OF, "short_of = 0"),),
    ),
    mutant(
        "blank-counts-in-the-chain",
        "2.3 [bites] blank nodes do not count towards Q in a chain",
        _ARRANGEMENT,
        "if sum(each.account.may_vote for each in path) >= majority:",
        "if len(path) >= majority:",
        scenarios="chain_of_voters_only_counts blank_promise_counts_for_nothing",
        more=(
            Edit(
                _ELECTION,
                "voters = sum(each.account.may_vote for each in current.promised.values())",
                "voters = len(current.promised)",
            ),
            Edit(_ARRANGEMENT, _SHORT_OF, "short_of = 0"),
        ),
    ),
    mutant(
        "blank-promise-counts",
        "2.8 [bites] a blank node gives no promise",
        "tvault/replication/account.py",
        "return self.standing is not Standing.BLANK",
        "return True",
        scenarios="blank_promise_counts_for_nothing",
    ),
    mutant(
        "blank-grants-pre-votes",
        "2.8 [bites] a blank node gives no pre-vote",
        _ELECTION,
        "granted = misses_chain and memory.may_vote and covers(message.last, memory.log.end)",
        "granted = misses_chain and covers(message.last, memory.log.end)",
        scenarios="blank_grants_no_pre_vote",
        more=(
            Edit(
                _ELECTION,
                "if message.granted and message.standing is not Standing.BLANK:",
                "if message.granted:",
            ),
        ),
    ),
    mutant(
        "blank-asks-for-a-view",
        "2.8 [bites] a blank node counts for nothing, and asks for no view",
        _ELECTION,
        "        if self._memory.counts and self._memory.condition is Condition.READY:\n",
        "        if self._memory.condition is Condition.READY:\n",
        scenarios="blank_asks_for_no_view",
    ),
    mutant(
        "blank-confirms",
        "2.8 [bites] a blank node gives no confirmation",
        _INBOX,
        "        elif self._memory.counts:\n            self._memory.say(sender, view, Confirmed",
        "        else:\n            self._memory.say(sender, view, Confirmed",
        scenarios="blank_confirms_nothing",
    ),
    mutant(
        "blank-counts-itself",
        "2.8 [bites] a blank member does not count itself when it confirms",
        "tvault/replication/reads.py",
        "self._heard = {self._memory.me.node} if self._memory.may_vote else set()",
        "self._heard = {self._memory.me.node}",
        scenarios="blank_does_not_count_itself",
    ),
    mutant(
        "blank-votes-before-the-barrier",
        "2.8 a blank node votes again once the barrier of a view with it in is committed",
        "tvault/replication/chain.py",
        "if self.open and self.joined and self._memory.promise.standing is not Standing.VOTER:",
        "if self._memory.promise.standing is not Standing.VOTER:",
        scenarios="blank_votes_when_the_barrier_is_committed",
    ),
)
