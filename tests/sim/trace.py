"""What happened in a simulated run, for people and for comparing two runs of one seed."""

from __future__ import annotations

import hashlib

from tvault.replication.messages import Envelope

LONGEST_LINE = 360


class Trace:
    """Lines in the order of events.  With `full`, every message that is sent and delivered has one;
    otherwise only faults, views and what nodes tell people.  Keeping it changes nothing in the run."""

    def __init__(self, *, full: bool) -> None:
        self.full = full
        self.lines: list[str] = []

    def note(self, now: int, line: str) -> None:
        """Something that people want to know."""
        self.lines.append(f"{now:>7} {line}")

    def message(self, now: int, word: str, envelope: Envelope, to: str) -> None:
        """A message; only when the trace is full."""
        if self.full:
            told = f"{envelope.sender} {word} {to} v{envelope.view} {_told(envelope.message)}"
            self.lines.append(f"{now:>7}   {told}")

    def digest(self) -> str:
        """Equal for equal runs."""
        state = hashlib.blake2b(digest_size=16)
        for line in self.lines:
            state.update(line.encode())
            state.update(b"\n")
        return state.hexdigest()


def _told(message: object) -> str:
    """A message on one line: digests and bodies shortened to what tells them apart."""
    text = repr(message)
    parts = text.split("digest=b")
    short = [part if at == 0 else "#" + _shortened(part) for at, part in enumerate(parts)]
    text = "".join(short)
    return (
        text
        if len(text) <= 400
        else f"{text[:360]} ... {hashlib.blake2b(text.encode()).hexdigest()[:8]}"
    )


def _shortened(part: str) -> str:
    """Text that begins with the quoted bytes of a digest, without all but the first of them."""
    quote = part[0]
    end = part.find(quote, 1)
    while end > 0 and part[end - 1] == "\\":
        end = part.find(quote, end + 1)
    inner = hashlib.blake2b(part[1:end].encode(), digest_size=3).hexdigest()
    return inner + part[end + 1 :]
