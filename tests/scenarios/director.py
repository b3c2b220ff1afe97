"""The commands of a scenario: each does something to the stage.

Nodes and time
    nodes 5                        a stage of five, first of all; three without it
    past n1 3 3 4x9 promised 5     n1's disk: a voter, entries ordered in these views; also
                                   `committed 2`, `marked 3`, `blank`, `founder`
    forged                         the disks tell of what could not have happened: keep no ledger
    founded                        start all, until the first view stands
    start · crash · power-off · wipe · restart · pause · resume   n1 ...
    lose-tail n1 4                 the journal ends after entry 4, as if SQLite had dropped the rest
    lose-promise n1                its promise file is gone
    damage n1 WHY · copy n1 · restore n1     the disk: unreadable at the next start; kept, and put back
    disk-full n1 · disk-room n1 · slow n1 400 (ms for each journal write)
    leave n1 · unreachable n1 n2
    campaign n2                    n2 asks for a view without asking first whether the others miss theirs
    stop n1 before STEP · go n1              STEP: early, promise, journal, mark, late, answers
    run 500                        let time pass on a network that delivers
    pass 500 n1 ...                let time pass for these nodes (all), nothing is delivered
    until EXPECTATION              run, until it is so
Messages (a link is n1->n2, *->n2, n1-n2 both ways, or n1 for all of its links; then kinds, if any)
    deliver LINK KIND ...          deliver once what is under way and fits; without a link, everything;
                                   `first`: only that; `together`: before the node does anything of it
    settle                         deliver, until nobody says anything
    lose LINK · hold LINK          from now on
    heal LINK · release LINK       no more; what was held arrives now
    drop LINK                      what was held, or is under way, is lost
    again LINK KIND ...            the last such message arrives once more
    say n1->n2 v3 KIND NUMBER ...  a message that n1 would have reason to send in another schedule
Clients
    propose n1 t1 ...              entries; `wide`: each fills a message alone; `together`: in one step
    confirm n1 t2 · ask-index n3 t3
    call c1 n2 VERB OWNER ... [before STEP] · go c1 [before STEP]      see `calls`
The record
    state · journal n1 ... · quiet · loud · show KIND · hide KIND · watch
    expect EXPECTATION             see `expectations`
"""

from __future__ import annotations

from collections.abc import Callable

from tests.scenarios import lines
from tests.scenarios.calls import Call, work_of
from tests.scenarios.expectations import Expectations, ticket
from tests.scenarios.stage import STEP_MS, Pattern, Stage, StagedNode, patterns
from tests.unit.replication.node import Folder
from tests.unit.replication.wire import STEPS, history, rows
from tvault.model.commands import EpochStart, Rows, encode_rows
from tvault.replication import messages
from tvault.replication.messages import Message, NewView, Prepare, PreVote
from tvault.replication.promise import Standing
from tvault.store.memory import MemoryStore

WIDE_BYTES = 1024 * 1024
FOUNDING_MS = 2_000
PATIENCE_MS = 30_000


class Director:
    """Carries out the commands of one scenario."""

    def __init__(self) -> None:
        self.calls: dict[str, Call] = {}
        self._stage: Stage | None = None
        self._pictures: dict[str, Folder] = {}
        self._expectations = Expectations(self)

    @property
    def stage(self) -> Stage:
        if self._stage is None:
            self.do_nodes("3")
        assert self._stage is not None
        return self._stage

    def do(self, command: str) -> list[str]:
        """Carry out one command; what there is to tell of it."""
        words = command.split()
        act: Callable[..., None] = getattr(self, "do_" + words[0].replace("-", "_"))
        act(*words[1:])
        log, self.stage.log = self.stage.log, []
        return log

    def close(self) -> None:
        """End what still waits."""
        for call in self.calls.values():
            call.break_off()

    def _nodes(self, names: tuple[str, ...]) -> list[StagedNode]:
        return [self.stage[name] for name in names or self.stage.names]

    def _go_on(self) -> None:
        """Calls take the steps that they can take."""
        for call in self.calls.values():
            if call.node.is_up:
                call.go_on()
            else:
                call.break_off()

    # Nodes and time.

    def do_nodes(self, number: str) -> None:
        assert self._stage is None, "the stage has been set"
        self._stage = Stage(int(number))
        self._stage.after_step = self._go_on

    def do_past(self, name: str, *words: str) -> None:
        views: list[int] = []
        known = {"promised": 0, "committed": 0, "marked": 0}
        standing = Standing.VOTER
        rest = list(words)
        while rest:
            word = rest.pop(0)
            if word in known:
                known[word] = int(rest.pop(0))
            elif word in ("blank", "founder"):
                standing = Standing[word.upper()]
            else:
                view, _, times = word.partition("x")
                views += [int(view)] * int(times or 1)
        self.stage[name].remembers(history(*views), standing=standing, **known)

    def do_founded(self) -> None:
        quiet, self.stage.is_quiet = self.stage.is_quiet, True
        self.do_start()
        self.do_run(str(FOUNDING_MS))
        self.stage.is_quiet = quiet
        self.do_expect("chain", *self.stage.names)
        self.do_watch()

    def do_start(self, *names: str) -> None:
        for node in self._nodes(names):
            node.start()

    def do_crash(self, *names: str) -> None:
        for node in self._nodes(names):
            node.crash()
        self._go_on()

    def do_power_off(self, *names: str) -> None:
        """What was written and not synced is lost."""
        for node in self._nodes(names):
            node.crash()
            node.written = node.synced
        self._go_on()

    def do_wipe(self, *names: str) -> None:
        for node in self._nodes(names):
            node.crash(wiped=True)
            self.stage.wiped.add(node.name)
        self._go_on()

    def do_restart(self, *names: str) -> None:
        self.do_crash(*names)
        self.do_start(*names)

    def do_pause(self, *names: str) -> None:
        for node in self._nodes(names):
            node.is_paused = True

    def do_resume(self, *names: str) -> None:
        for node in self._nodes(names):
            node.go_on()
        self._go_on()

    def do_damage(self, name: str, *why: str) -> None:
        self.stage[name].damaged = " ".join(why)

    def do_lose_tail(self, name: str, keep: str) -> None:
        node = self.stage[name]
        store = MemoryStore()
        store.write(None, node.store.entries(0, 1 << 40)[: int(keep)], 0)
        node.store = store

    def do_lose_promise(self, name: str) -> None:
        self.stage[name].written = self.stage[name].synced = None

    def do_copy(self, name: str) -> None:
        self._pictures[name] = self.stage[name].copy()

    def do_restore(self, name: str) -> None:
        self.stage[name].restore(self._pictures[name])
        self._go_on()

    def do_disk_full(self, name: str) -> None:
        self.stage[name].has_room = False

    def do_slow(self, name: str, took_ms: str) -> None:
        self.stage[name].took_ms = int(took_ms)

    def do_disk_room(self, name: str) -> None:
        self.stage[name].finds_room()

    def do_leave(self, name: str) -> None:
        self.stage[name].is_leaving = True
        self.stage[name].leave()

    def do_unreachable(self, name: str, peer: str) -> None:
        self.stage[name].replica.unreachable(peer)
        self.stage[name].settle()

    def do_campaign(self, name: str) -> None:
        node = self.stage[name]
        node.part.leave_view("asks for a view")
        node.part.open(node.part.election.reform(self.stage.now, "told to"), self.stage.now)
        node.settle()

    def do_stop(self, name: str, before: str, step: str) -> None:
        assert before == "before"
        assert step in STEPS
        self.stage[name].stop_before = step

    def do_go(self, name: str, *words: str) -> None:
        if name in self.calls:
            self.calls[name].go_on_to(words[1] if words else None)
        else:
            self.stage[name].go_on()
            self._go_on()

    def do_run(self, duration: str) -> None:
        self.stage.run(int(duration))

    def do_pass(self, duration: str, *names: str) -> None:
        for _ in range(int(duration) // STEP_MS):
            self.stage.tick(*names)

    def do_until(self, *words: str) -> None:
        for _ in range(PATIENCE_MS // STEP_MS):
            is_so, found = self._expectations.find(list(words))
            if is_so:
                return
            self.stage.run(STEP_MS)
        raise AssertionError(f"it never came to: {' '.join(words)}; found {found}")

    def do_forged(self) -> None:
        self.stage.is_forged = True

    # Messages.

    def do_deliver(self, *words: str) -> None:
        if words and words[-1] == "first":
            self.stage.deliver_first(patterns(list(words[:-1])))
            return
        if words and words[-1] == "together":
            self.stage.deliver_together(patterns(list(words[:-1])))
            return
        for link in patterns(list(words)) if words else [Pattern(None, None, ())]:
            self.stage.deliver(*link.kinds, sender=link.sender, to=link.to)

    def do_settle(self) -> None:
        self.stage.deliver_all()

    def do_lose(self, *words: str) -> None:
        self.stage.lost_links += patterns(list(words))

    do_cut = do_lose

    def do_hold(self, *words: str) -> None:
        self.stage.held_links += patterns(list(words))

    def do_heal(self, *words: str) -> None:
        self.stage.lost_links = _without(self.stage.lost_links, list(words))

    def do_release(self, *words: str) -> None:
        self.stage.held_links = _without(self.stage.held_links, list(words))
        for item in self.stage.take_held(patterns(list(words)) if words else None):
            self.stage.hand_late(item)

    def do_drop(self, *words: str) -> None:
        wanted = patterns(list(words)) if words else None
        self.stage.take_held(wanted)
        for link in wanted or [Pattern(None, None, ())]:
            self.stage.keep(*link.kinds, sender=link.sender, to=link.to)

    def do_again(self, *words: str) -> None:
        wanted = patterns(list(words))
        said = [item for item in self.stage.said if any(link.fits(item) for link in wanted)]
        assert said, f"nobody ever said {' '.join(words)}"
        self.stage.hand_late(said[-1])

    def do_say(self, link: str, number: str, kind: str, *rest: str) -> None:
        """A message that the sender's present life could send, but does not now."""
        sender, to = link.split("->")
        node = self.stage[sender]
        message: Message
        match kind:
            case "Prepare":
                message = Prepare(node.store.last())
            case "PreVote":
                message = PreVote(1, node.store.last())
            case "NewView":
                message = NewView(node.chain.view)
            case _:
                message = getattr(messages, kind)(*map(int, rest))
        self.stage.say(sender, to, int(number.removeprefix("v")), message)
        self._go_on()

    # Clients.

    def do_propose(self, name: str, *words: str) -> None:
        node = self.stage[name]
        tickets = [ticket(word) for word in words if word not in ("wide", "together")]
        for each in tickets:
            node.replica.propose(_body(each, is_wide="wide" in words), each)
            if "together" not in words:
                node.settle()
        node.settle()
        self._go_on()

    def do_confirm(self, name: str, of: str) -> None:
        self.stage[name].confirm(ticket(of))

    def do_ask_index(self, name: str, of: str) -> None:
        self.stage[name].ask_index(ticket(of))

    def do_call(self, name: str, node: str, *words: str) -> None:
        call = self.calls[name] = Call(name, self.stage[node], self.stage.tell)
        if "before" in words:
            call.before = words[-1]
            words = words[: words.index("before")]
        call.begin(work_of(call, list(words)))

    # The record.

    def do_state(self, *names: str) -> None:
        for node in self._nodes(names):
            told = lines.state(node.state, node.store.last()) if node.is_up else "down"
            self.stage.log.append(f"{node.name} {told}")

    def do_journal(self, *names: str) -> None:
        for node in self._nodes(names):
            entries = map(lines.entry, node.store.entries(0, 1 << 40))
            self.stage.log.append(f"{node.name} {' '.join(entries) or 'empty'}")

    def do_quiet(self) -> None:
        self.stage.is_quiet = True

    def do_loud(self) -> None:
        self.stage.is_quiet = False

    def do_show(self, *kinds: str) -> None:
        self.stage.hidden.difference_update(kinds)

    def do_hide(self, *kinds: str) -> None:
        self.stage.hidden.update(kinds)

    def do_watch(self) -> None:
        self.stage.watched_from = len(self.stage.said)

    def do_expect(self, *words: str) -> None:
        is_so, found = self._expectations.find(list(words))
        assert is_so, f"expected {' '.join(words)}; found {found}"


def _body(number: int, *, is_wide: bool) -> bytes:
    """What ticket `number` orders; a wide one fills a message alone."""
    if not is_wide:
        return rows(lines.FIRST_RAW + number)
    return encode_rows(Rows(epochs=(EpochStart("o" * WIDE_BYTES, lines.FIRST_RAW + number),)))


def _without(links: list[Pattern], words: list[str]) -> list[Pattern]:
    """All but those of the words; none when there are no words."""
    ended = patterns(words) if words else links
    return [link for link in links if link not in ended]
