"""Faults in whom a head takes in, drops and hands over to, and in what a full disk does."""

from __future__ import annotations

from tests.mutants.mutant import Edit, mutant

_LIVES = "tests/unit/replication/test_lives.py"
_COMES_BACK = "test_a_node_comes_back_though_its_proof_takes_longer_than_the_time_between_two_questions"
_MEMBERSHIP = "tvault/replication/membership.py"
_PARTICIPANT = "tvault/replication/participant.py"
_REPLICA = "tvault/replication/replica.py"
_LOG = "tvault/replication/log.py"
_ARRANGEMENT = "tvault/replication/arrangement.py"
_ELECTION = "tvault/replication/election.py"
_PRESENCE = "tvault/replication/presence.py"

MEMBERS = (
    mutant(
        "hands-over-undrained",
        "2.9 a head drains before it hands over",
        _PARTICIPANT,
        "        self._is_draining = True\n        if chain.unacknowledged:\n            return\n",
        "        self._is_draining = True\n",
        scenarios="leave_of_the_head",
    ),
    mutant(
        "orders-while-it-leaves",
        "2.9 a head that drains orders nothing more",
        _PARTICIPANT,
        "return paced and not self._is_draining",
        "return paced",
        scenarios="leave_of_the_head",
        more=(
            Edit(
                _REPLICA,
                "            and self._memory.condition is Condition.READY\n"
                "            and self._part.may_order",
                "            and self._part.may_order",
            ),
        ),
    ),
    mutant(
        "leaves-without-handing-over",
        "2.9 a head hands its successor the right to ballot without a pre-vote",
        _PARTICIPANT,
        "        self.memory.say(heir, chain.view.number, HandOver())\n",
        "",
        scenarios="leave_of_the_head",
    ),
    mutant(
        "leaves-at-once",
        "2.9 a member asks the head to re-form without it, and waits",
        _PARTICIPANT,
        "        if self._is_alone(now):\n            return self.chain is None",
        "        if self.memory:\n            return True\n"
        "        if self._is_alone(now):\n            return self.chain is None",
        scenarios="leave_of_a_member",
    ),
    mutant(
        "leave-unheard",
        "2.9 the head re-forms its chain without a member that leaves",
        _MEMBERSHIP,
        "        self._leaving.add(node)",
        "        self._leaving.discard(node)",
        scenarios="leave_of_a_member",
    ),
    mutant(
        "leaver-must-stay",
        "2.9 a member that leaves is replaced by one that comes back",
        _MEMBERSHIP,
        "            wanted = members - going | {node}\n",
        "            wanted = members | {node}\n",
        scenarios="leave_for_one_that_comes_back",
    ),
    mutant(
        "challenged-by-a-new-number-each-time",
        "2.6 another life proves itself, however long its answer takes",
        _PRESENCE,
        "        if not is_asked:\n",
        "        if not is_asked or now - self._challenged_at[sender] >= 50:\n",
        tests=(f"{_LIVES}::{_COMES_BACK}",),
    ),
    mutant(
        "leavers-replaced-one-by-one",
        "2.9 members that leave at once are replaced at once",
        _MEMBERSHIP,
        "*(able if going else [node])",
        "node",
        scenarios="leave_of_two_for_two",
    ),
    mutant(
        "leaver-waits-out-a-pause",
        "2.9 a member that leaves is replaced without a pause",
        _MEMBERSHIP,
        "        if not going:\n            able =",
        "        if able:\n            able =",
        scenarios="leave_for_one_that_comes_back",
    ),
    mutant(
        "refusing-port-ignored",
        "2.9 a pre-voter that finds the head's port refusing agrees at once",
        _PRESENCE,
        "            self._gone.add(node)\n",
        "",
        scenarios="port_that_refuses",
    ),
    mutant(
        "joins-far-behind",
        "4 the head takes a node in when the rest is small",
        _MEMBERSHIP,
        "able = [heard.member.node for heard in outside if heard.presence.caught_up]",
        "able = [heard.member.node for heard in outside]",
        scenarios="join_when_caught_up",
        more=(
            Edit(
                _ARRANGEMENT,
                "    return head.account.last.seq - other.account.last.seq <= NEAR_ENTRIES",
                "    return head is not other",
            ),
        ),
    ),
    mutant(
        "joins-without-pauses",
        "2.7 one that keeps failing is taken in with growing pauses",
        _MEMBERSHIP,
        "        return known is None or now >= known.not_before",
        "        return known is None or now >= known.at",
        scenarios="join_with_growing_pauses",
    ),
    mutant(
        "slow-members-stay",
        "2.7 the head drops one that is many times slower than the rest",
        _MEMBERSHIP,
        "        if slow and self._is_possible(chain, now, without=slow):\n"
        '            return f"the disk of {_named(slow)} is slow"\n',
        "",
        scenarios="slow_member_is_dropped",
    ),
    mutant(
        "full-disks-stay-in",
        "4 a node with a full disk leaves the chain",
        _ARRANGEMENT,
        "    usable = [each for each in others if each.account.condition is Condition.READY]",
        "    usable = list(others)",
        scenarios="disk_full_of_a_member",
    ),
    mutant(
        "full-disk-keeps-what-it-could-not-write",
        "4 a node forgets what it could not write",
        _LOG,
        "        self.durable = self.end = self._journal.last()",
        "        self.durable = self.end",
        scenarios="disk_full_of_a_member disk_full_of_the_head",
    ),
    mutant(
        "full-disk-says-what-is-not-so",
        "1.4 [bites] nothing is said before its write, on a full disk neither",
        _REPLICA,
        "        memory.take_back()\n",
        "",
        scenarios="disk_full_of_a_new_head",
    ),
    mutant(
        "full-disk-stays-in-its-view",
        "4 a node with a full disk leaves its chain",
        _PARTICIPANT,
        '        self.leave_view("the disk is full")\n',
        "",
        scenarios="disk_full_of_a_member disk_full_of_the_head",
    ),
    mutant(
        "all-ask-at-once",
        "2.7 the successor asks first, others later by place",
        _ELECTION,
        "        return max(place - 1, 0) * self._memory.timing.heartbeat_ms // 2",
        "        return place * 0",
        scenarios="successor_goes_first",
    ),
)
