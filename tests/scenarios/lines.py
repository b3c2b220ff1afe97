"""What happens on a stage, told in one readable line each.

An entry is written `4/v3`: entry 4, ordered in view 3.  A session or a round is written `boot.number`.
A member is written as its node when it is in its first incarnation, else by its incarnation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tvault.engine import EpochRefused, Overtaken, StaleEpoch, TokensExist, Written
from tvault.model.commands import (
    Change,
    Command,
    End,
    Keep,
    Mint,
    Put,
    Rotate,
    WriteSecrets,
    decode_command,
    decode_rows,
)
from tvault.ordering import Declined, Verdict
from tvault.replication.account import Account, Condition
from tvault.replication.entry import Entry, Kind, Position
from tvault.replication.memory import PER_BOOT, PER_LIFE
from tvault.replication.messages import Message
from tvault.replication.promise import Promise, Standing
from tvault.replication.ready import Answer, Notice, Ready
from tvault.replication.state import State
from tvault.replication.view import Member, View

FIRST_RAW = 1000
"""The body of what `propose` orders as ticket n is the start of epoch 1000 + n: no two are the same."""

LONGEST_OWNER = 100


def at(position: Position) -> str:
    """`4/v3`, or `0` for the origin."""
    return f"{position.seq}/v{position.view}" if position.seq else "0"


def entry(each: Entry) -> str:
    """`4/v3` and what it brings."""
    return f"{at(each.position)}{_brings(each)}"


def _brings(each: Entry) -> str:
    if each.kind is Kind.BARRIER:
        return ":barrier"
    rows = decode_rows(each.body)
    parts = [_epoch(start.owner, start.epoch) for start in rows.epochs]
    parts += [f"{block.owner}:{len(block)}" for block in rows.blocks]
    parts += [f"{each.owner}/{each.name}-{each.version}" for each in rows.versions]
    parts += [f"{each.owner}/{each.name}-ends" for each in rows.ends]
    parts = parts or [f"{each.owner}/unchanged" for each in rows.requests]
    return ":" + "+".join(parts)


def _epoch(owner: str, epoch: int) -> str:
    if len(owner) > LONGEST_OWNER:
        return f"t{epoch - FIRST_RAW} (wide)"
    if owner != "owner":
        return f"{owner}-epoch-{epoch}"
    return f"t{epoch - FIRST_RAW}" if epoch >= FIRST_RAW else "old"


def session(number: int) -> str:
    """A session: of which boot, and which one."""
    return f"{number // PER_BOOT}.{number % PER_BOOT}" if number else "none"


def nth_round(number: int) -> str:
    """A round by its place in the life that asked."""
    return str(number % PER_LIFE)


def member(each: Member) -> str:
    """A member, in the life that is meant."""
    return each.node if each.incarnation.endswith(("-0", "-1")) else each.incarnation


def view(each: View) -> str:
    """A view and its chain."""
    return f"{each.number}: {' '.join(map(member, each.chain))}, barrier {each.barrier}"


def _account(account: Account) -> str:
    doubts = [] if account.standing is Standing.VOTER else [account.standing.name.lower()]
    if account.condition is not Condition.READY:
        doubts.append(account.condition.name.lower())
    return "".join(f", {doubt}" for doubt in doubts)


def _entries(entries: tuple[Entry, ...]) -> str:
    if len(entries) > 3:
        return f"{entry(entries[0])} .. {entry(entries[-1])}"
    return " ".join(map(entry, entries)) if entries else "nothing"


def _after(previous: Position, entries: tuple[Entry, ...], committed: int) -> str:
    return f"{_entries(entries)} after {at(previous)}, committed {committed}"


def _positions(positions: tuple[Position, ...]) -> str:
    return " ".join(map(at, positions))


def command(each: Command) -> str:
    """What a client's request wants to be written."""
    match each:
        case Rotate(owner, to):
            return f"rotate {owner} to {to}"
        case Mint(owner, epoch, blocks):
            return f"mint {sum(map(len, blocks))} of {owner} in epoch {epoch}"
        case WriteSecrets(owner, request, _, changes):
            told = ", ".join(map(_change, changes))
            return f"write secrets of {owner} by request {int.from_bytes(request, 'big')}: {told}"


def _change(each: Change) -> str:
    match each:
        case Put(name, newest, is_live):
            return f"{name} after {newest}{'' if is_live or not newest else ', which has ended'}"
        case Keep(name, newest):
            return f"{name} stays {newest}"
        case End(name, newest):
            return f"{name} ends with {newest}"


_TOLD: dict[str, Callable[[Any], str]] = {
    "FoundingAnswer": lambda m: "empty" if m.empty else "remembers",
    "PreVote": lambda m: f"at {at(m.last)}",
    "PreVoteAnswer": lambda m: "yes" if m.granted else "no",
    "Prepare": lambda m: (
        f"at {at(m.last)}" + (f", founders {' '.join(map(member, m.founders))}" if m.founders else "")
    ),
    "Promised": lambda m: f"at {at(m.account.last)}{_account(m.account)}",
    "Refused": lambda m: f"promised {m.promised}, at {at(m.last)}",
    "Superseded": lambda m: f"promised {m.promised}",
    "Presence": lambda m: (
        f"{'member' if m.view else 'outsider'}{', alive' if m.alive else ''}"
        f"{', open' if m.open else ''}{', caught up' if m.caught_up else ''}"
        f", committed {m.committed}{_account(m.account)}"
    ),
    "Doubted": lambda m: f"boot {m.boot}, life {m.life}",
    "NewView": lambda m: view(m.view),
    "Sync": lambda m: f"{session(m.session)} at {_positions(m.positions)}",
    "Append": lambda m: _after(m.previous, m.entries, m.committed),
    "Ack": lambda m: f"holds {m.held}, with all below {m.acked}",
    "Heartbeat": lambda m: f"{m.number}, sent {m.end}, committed {m.committed}",
    "HeartbeatReturn": lambda m: f"{m.number}, holds {m.held}, with all below {m.acked}",
    "Confirm": lambda m: nth_round(m.round),
    "Confirmed": lambda m: nth_round(m.round),
    "Learn": lambda m: f"{nth_round(m.round)} at {_positions(m.positions)}",
    "Learned": lambda m: f"{nth_round(m.round)} {_after(m.previous, m.entries, m.committed)}",
    "IndexAsk": lambda m: nth_round(m.round),
    "Index": lambda m: f"{nth_round(m.round)} is {m.seq}",
    "Proposal": lambda m: f"{command(decode_command(m.command))} as {m.ticket}",
    "Outcome": lambda m: f"{m.ticket}",
}


def message(each: Message, number: int) -> str:
    """A message of view `number`."""
    name = type(each).__name__
    told = _TOLD[name](each) if name in _TOLD else ""
    return f"v{number} {name} {told}".rstrip() if number else f"{name} {told}".rstrip()


def writes(ready: Ready) -> str:
    """A transaction on the journal."""
    cut = f"cuts after {ready.cut_after}" if ready.cut_after is not None else ""
    wrote = f"writes {_entries(ready.entries)}" if ready.entries else ""
    return ", ".join(part for part in (cut, wrote) if part)


def promise(new: Promise, old: Promise | None) -> str:
    """What a sync of the promise file changes; nothing that is told when it is only who lives."""
    parts = []
    if old is None or new.promised != old.promised:
        parts.append(f"view {new.promised}")
    if old is None or new.standing != old.standing:
        parts.append(new.standing.name.lower())
    if old is not None and new.mark.seq < old.mark.seq:
        parts.append(f"mark lowered to {new.mark.seq}")
    return ", ".join(parts)


def answer(each: Answer) -> str:
    """What a ticket is told."""
    return f"{each.result} at {each.seq}" if each.seq else each.result


def notice(each: Notice) -> str:
    """Something for people."""
    details = each.details
    match each.event:
        case "view":
            chain = details["chain"]
            assert isinstance(chain, list)
            return f"is {details['role']} of view {details['view']}: {' '.join(chain)}"
        case "left-view":
            return f"leaves view {details['view']}: {details['why']}"
        case "truncate":
            return f"finds a suffix that differs behind {details['after']}"
        case _:
            told = ", ".join(f"{name} {value}" for name, value in details.items())
            return f"notes {each.event}{': ' if told else ''}{told}"


def state(each: State, last: Position) -> str:
    """A node at one moment."""
    place = f"{each.role} of view {each.view}" if each.role != "outside" else "outside"
    told = f"{place}, holds {at(last)}, committed {each.committed}, promised {each.promised}"
    told += f", {each.standing.name.lower()}"
    if each.condition is not Condition.READY:
        told += f", {each.condition.name.lower()}"
    return told + (", can write" if each.can_write else "")


def verdict(each: Verdict) -> str:
    """What became of a command."""
    match each:
        case Written(seq):
            return f"written at {seq}"
        case StaleEpoch(newest):
            return f"stale epoch, newest {newest}"
        case TokensExist(seq):
            return f"tokens exist at {seq}"
        case EpochRefused(newest, seq):
            return f"refused, epoch {newest} began at {seq}"
        case Overtaken(seq):
            return f"overtaken at {seq}"
        case Declined(code):
            return code if each.nothing_ordered else f"{code}, outcome unknown"
