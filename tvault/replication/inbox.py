"""What a node does about each message: the dispatch behind `Replica.receive`."""

from __future__ import annotations

from tvault.replication.account import Condition
from tvault.replication.catchup import teach
from tvault.replication.messages import (
    Ack,
    Append,
    Challenge,
    Confirm,
    Confirmed,
    Doubted,
    Envelope,
    FoundingAnswer,
    FoundingAsk,
    HandOver,
    Heartbeat,
    HeartbeatReturn,
    Index,
    IndexAsk,
    Learn,
    Learned,
    Leave,
    Message,
    NewView,
    Outcome,
    Prepare,
    Presence,
    Present,
    PreVote,
    PreVoteAnswer,
    Promised,
    Proposal,
    Refused,
    Superseded,
    Sync,
)
from tvault.replication.participant import Participant
from tvault.replication.view import Member, View

ChainMessage = Sync | Append | Ack | Heartbeat | HeartbeatReturn
ElectionMessage = (
    FoundingAsk | FoundingAnswer | PreVote | PreVoteAnswer | Prepare | Promised | Refused | HandOver
)
ViewMessage = Presence | NewView | Superseded | Doubted | Leave
OutsiderMessage = Learn | Learned | IndexAsk | Index


class Inbox:
    """Takes the messages of other nodes for one participant."""

    def __init__(self, part: Participant) -> None:
        self._part = part
        self._memory = part.memory
        self._election = part.election

    def receive(self, envelope: Envelope, now: int) -> None:
        """A message from another node of the ensemble."""
        for each in self._part.peers.admit(envelope, now):
            if self._part.peers.has_forgotten(each):
                continue
            sender = Member(each.sender, each.incarnation)
            self._dispatch(sender, each.view, each.message, now)

    def _dispatch(self, sender: Member, view: int, message: Message, now: int) -> None:
        match message:
            case Sync() | Append() | Ack() | Heartbeat() | HeartbeatReturn():
                self._on_chain_message(sender, view, message, now)
            case Presence() | NewView() | Superseded() | Doubted() | Leave():
                self._on_view_message(sender, message, now)
            case Confirm(number):
                self._on_confirm(sender.node, view, number)
            case Confirmed(number):
                if self._part.reads is not None and self._part.view_number() == view:
                    self._part.reads.on_confirmed(sender.node, number, now)
            case Learn() | Learned() | IndexAsk() | Index():
                self._on_outsider_message(sender, view, message, now)
            case Proposal() | Outcome():
                raise AssertionError("proposals are between nodes, not between replicas")
            case Challenge() | Present():
                raise AssertionError("a proof of life is for the door alone")
            case _:
                self._on_election_message(sender, view, message, now)

    def _on_view_message(self, sender: Member, message: ViewMessage, now: int) -> None:
        match message:
            case Presence():
                self._on_presence(sender, message, now)
            case NewView(decided):
                self._on_new_view(decided, now)
            case Superseded(promised):
                self._on_superseded(sender, promised)
            case Doubted():
                self._on_doubted(sender, message)
            case Leave():
                self._part.membership.wants_to_leave(sender.node)

    def _on_election_message(
        self, sender: Member, view: int, message: ElectionMessage, now: int
    ) -> None:
        election = self._election
        match message:
            case FoundingAsk():
                election.on_founding_ask(sender.node, message)
            case PreVote():
                # A head that asks has lost its part in the view that it opened.
                asks_as_head = (
                    self._part.chain is not None and self._part.chain.view.head.node == sender.node
                )
                misses_chain = asks_as_head or self._part.misses_chain(now)
                election.on_pre_vote(sender.node, message, misses_chain=misses_chain)
            case Prepare():
                if election.on_prepare(sender, view, message, now):
                    self._part.leave_view("promised another view")
                    election.give_way(now)
            case FoundingAnswer():
                self._part.open(election.on_founding_answer(sender, message, now), now)
            case PreVoteAnswer():
                self._part.open(election.on_pre_vote_answer(sender, message, now), now)
            case Promised():
                self._part.open(election.on_promised(sender, view, message, now), now)
            case Refused():
                election.on_refused(view, message, now)
                self._part.give_up_reform()
            case HandOver():
                self._on_hand_over(sender, view, now)

    def _on_chain_message(self, sender: Member, view: int, message: ChainMessage, now: int) -> None:
        if view < self._memory.promise.promised:
            self._memory.say(sender.node, view, Superseded(self._memory.promise.promised))
            return
        chain = self._part.chain
        if isinstance(message, Sync) and self._part.view_number() < view:
            self._part.keep(sender, view, message)
        if chain is None or chain.view.number != view:
            return
        above = chain.comes_from_above(sender.node, sender.incarnation)
        below = chain.comes_from_below(sender.node, sender.incarnation)
        match message:
            case Append() if above:
                chain.on_append(message, now)
            case Heartbeat() if above:
                chain.on_heartbeat(message, now)
            case Sync() if below and chain.has_forgotten(message):
                known = self._memory.promise.lives[sender.node]
                doubted = Doubted(known.incarnation, known.boot, known.life)
                self._memory.say(sender.node, view, doubted)
            case Sync() if below:
                chain.on_sync(message)
            case Ack() if below:
                chain.on_ack(message)
            case HeartbeatReturn() if below:
                chain.on_heartbeat_return(message, now)
            case _:
                return
        self._part.progress()

    def _on_outsider_message(
        self, sender: Member, view: int, message: OutsiderMessage, now: int
    ) -> None:
        chain = self._part.chain
        match message:
            case Learn() if chain is not None and chain.open and chain.joined:
                teach(self._memory, sender.node, chain.view.number, message)
            case IndexAsk() if self._part.reads is not None and self._part.may_confirm():
                self._part.reads.on_index_ask(sender.node, message, now)
            case Learned() if chain is None and not self._election.is_balloting:
                live = self._part.live_view(now)
                learned = self._part.learner.on_learned(sender.node, view, message, now)
                if learned and live is not None:
                    self._part.learner.tick(live, now)
            case Index():
                seq, live = self._part.indexes.on_index(message), self._part.live_view(now)
                if seq is not None and chain is None and live is not None:
                    self._part.learner.want(seq, live, now)

    def _on_presence(self, sender: Member, presence: Presence, now: int) -> None:
        self._part.peers.on_presence(sender, presence, now)
        self._election.saw(presence.promised)
        if presence.part is not None:
            self._on_new_view(presence.part.view, now)

    def _on_confirm(self, sender: str, view: int, number: int) -> None:
        """A blank node confirms nothing: it may have forgotten a promise.  Nor does a
        founder without its barrier: it counts for those alone that hold that."""
        promised = self._memory.promise.promised
        if promised > view:
            self._memory.say(sender, view, Superseded(promised))
        elif self._memory.counts:
            self._memory.say(sender, view, Confirmed(number))

    def _on_new_view(self, view: View, now: int) -> None:
        """Take part, if the view names this life of the node.  A head that restarted never orders
        again in its old view: what it had ordered and not persisted is forgotten."""
        memory = self._memory
        if self._part.view_number() >= view.number or view.number < memory.promise.promised:
            return
        is_named = view.member(memory.me.node) == memory.me and view.head != memory.me
        if not is_named or memory.condition is not Condition.READY:
            if self._part.chain is not None:
                self._part.leave_view("a later view goes on without this node")
                memory.remember(promised=view.number)
            return
        self._part.leave_view("a later view")
        memory.remember(promised=view.number)
        self._part.enter(view, now)

    def _on_superseded(self, sender: Member, promised: int) -> None:
        """A member that has promised more has left the chain; an outsider that has may be ignored: a
        majority still stands by this view."""
        self._election.saw(promised)
        chain = self._part.chain
        if chain is not None and promised > chain.view.number and sender in chain.view.chain:
            self._part.leave_view("superseded")

    def _on_doubted(self, sender: Member, message: Doubted) -> None:
        promise = self._memory.promise
        mine = (promise.incarnation, promise.boot, promise.life)
        if (message.incarnation, message.boot, message.life) == mine and self._part.doubt is None:
            self._part.doubt = f"node {sender.node} has heard of a later life of this node"
            self._part.leave_view("the folder is an older copy")

    def _on_hand_over(self, sender: Member, view: int, now: int) -> None:
        """The head leaves, and gives its successor the right to a ballot without a pre-vote."""
        chain = self._part.chain
        if chain is None or chain.view.number != view or chain.view.head != sender:
            return
        if self._memory.may_vote and self._memory.condition is Condition.READY:
            self._part.leave_view("was handed over")
            self._part.open(self._election.reform(now, f"{sender.node} hands over"), now)
