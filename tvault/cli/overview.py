"""What all nodes say of themselves at one moment, and what that means for the cluster."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

import click
import msgspec

from tvault.cli.moments import duration_text, moment_of, now, text_of
from tvault.cli.nodes import ANSWER_SECONDS, Nodes
from tvault.cli.output import table_lines, visible
from tvault.config import NodeConfig
from tvault.errors import VaultError
from tvault.wire import PEER_STATUS

State = Literal["whole", "degraded", "down"]

DIGEST_DIGITS = 12
NOTHING = "-"
COLUMNS = ("node", "role", "view", "last", "committed", "lag", "digest", "health")
REST = (
    "chain",
    "ensemble",
    "standing",
    "promised",
    "incarnation",
    "changed_at",
    "changed_view",
    "changed_why",
    "changed_before",
    "events_lost",
)
COLOURS = {
    "ok": "green",
    "whole": "green",
    "degraded": "yellow",
    "unavailable": "red",
    "down": "red",
}


@dataclass(frozen=True)
class Overview:
    """`nodes` has a document for each node, in the order of the configuration; one that does not answer
    has `health` `down`, and why as its `trouble`."""

    cluster: str
    nodes: list[dict[str, Any]]

    @classmethod
    def of(cls, nodes: Nodes, timeout_s: float = ANSWER_SECONDS) -> Overview:
        """Ask all nodes at once.  Raises `VaultError` when the fault is on this side."""
        return cls.from_answers(nodes.config.cluster_id, nodes.ask_all(PEER_STATUS, timeout_s))

    @classmethod
    def from_answers(
        cls, cluster: str, answers: Iterable[tuple[NodeConfig, dict[str, Any] | VaultError]]
    ) -> Overview:
        """From what each node has answered.  Raises as `of` does."""
        told = [_described(*each) for each in answers]
        longest = max((each["last"] for each in told if each["last"] is not None), default=0)
        for each in told:
            each["lag"] = None if each["last"] is None else longest - each["last"]
        return cls(cluster, told)

    @property
    def answering(self) -> list[dict[str, Any]]:
        """The nodes that answer."""
        return [each for each in self.nodes if each["health"] != "down"]

    @property
    def state(self) -> State:
        """`whole`: all nodes are in one chain; `degraded`: not all, and writes go on; `down`: no node
        takes writes."""
        if self._writer is None:
            return "down"
        said = {(each["view"], each["health"]) for each in self.nodes}
        return "whole" if said == {(self._writer["view"], "ok")} else "degraded"

    @property
    def last_change(self) -> dict[str, Any] | None:
        """The newest change of the chain that a node knows to tell: `at`, `view`, `why`, the chain
        `before` it, and the one since then, `chain`."""
        told = [each for each in self.nodes if each["changed_at"] is not None]
        if not told:
            return None
        newest = max(told, key=lambda each: (each["changed_view"], each["changed_at"]))
        return {
            "at": newest["changed_at"],
            "view": newest["changed_view"],
            "why": newest["changed_why"],
            "before": newest["changed_before"],
            "chain": newest["chain"] if newest["view"] == newest["changed_view"] else [],
        }

    def document(self) -> dict[str, Any]:
        """All of it, for programs."""
        return {
            "cluster": self.cluster,
            "state": self.state,
            "last_change": self.last_change,
            "nodes": self.nodes,
        }

    def sentence(self) -> str:
        """The state of the cluster in one line."""
        writer = self._writer
        if writer is None:
            return "down: no node takes writes" if self.answering else "down: no node answers"
        chain = f"view {writer['view']}, {chain_text(writer['chain'])}"
        if self.state == "whole":
            return f"whole: all nodes are in the chain of {chain}"
        rest = [each["node"] for each in self.nodes if each["node"] not in (writer["chain"] or [])]
        without = f", without {_named(rest)}" if rest else ""
        return f"degraded: writes go on in {chain}{without}"

    def lines(self, columns: int | None = None) -> list[str]:
        """All of it, for people, in lines of at most `columns` where they can be broken."""
        rows = [[_cell(name, each[name]) for name in COLUMNS] for each in self.nodes]
        lines = table_lines(COLUMNS, rows)
        lines.append("")
        change = self.last_change
        texts = [self.sentence(), *self.remarks()]
        if change is not None:
            age = (now() - moment_of(change["at"])).total_seconds()
            texts[-1] += f", {duration_text(max(age, 0))} ago"
        for number, text in enumerate(texts):
            broken = [text] if columns is None else textwrap.wrap(text, columns, subsequent_indent="  ")
            if number == 0:
                broken[0] = broken[0].replace(self.state, _coloured(self.state), 1)
            lines += broken
        return lines

    def remarks(self) -> Iterator[str]:
        """What else people should know: troubles, differences, losses, and the last change."""
        troubles: dict[str, list[str]] = {}
        for each in self.nodes:
            if each["trouble"] is not None:
                troubles.setdefault(visible(str(each["trouble"])), []).append(each["node"])
        for trouble, names in troubles.items():
            yield f"{', '.join(names)}: {trouble}"
        for seq, names in self.differing().items():
            yield f"{_named(names)} differ at entry {seq}: look with tvault inspect verify"
        for each in self.nodes:
            if each["events_lost"]:
                yield f"{each['node']}: {each['events_lost']} events are lost: its log cannot be written"
        change = self.last_change
        if change is not None:
            yield f"last change: {change['at']}, view {change['view']}{_change_text(change)}"

    @property
    def _writer(self) -> dict[str, Any] | None:
        """Of the nodes that take writes the one with the newest view, members first."""
        able = [each for each in self.nodes if each["health"] in ("ok", "degraded")]
        return max(able, key=lambda each: (each["view"], each["role"] != "outside"), default=None)

    def differing(self) -> dict[int, list[str]]:
        """Entries up to which nodes have committed different histories, which must not be."""
        digests: dict[int, set[str]] = {}
        names: dict[int, list[str]] = {}
        for each in self.answering:
            digests.setdefault(each["committed"], set()).add(each["digest"])
            names.setdefault(each["committed"], []).append(each["node"])
        return {seq: names[seq] for seq, found in digests.items() if len(found) > 1}


def chain_text(chain: list[str]) -> str:
    """A chain as people read it, head first."""
    return visible(" -> ".join(chain)) or "no chain"


def _change_text(change: Mapping[str, Any]) -> str:
    chains = f": {chain_text(change['before'])} became {chain_text(change['chain'])}"
    known = chains if change["before"] and change["chain"] else ""
    why = f" ({visible(str(change['why']))})" if change["why"] else ""
    return f"{known}{why}"


class _Journal(msgspec.Struct):
    last: int
    committed: int
    digest: str


class _Said(msgspec.Struct):
    """What a node says of itself; one of another version says more, or less."""

    role: str
    view: int
    chain: list[str]
    journal: _Journal
    health: str
    ensemble: list[str] = []
    trouble: str | None = None
    standing: str | None = None
    promised: int | None = None
    incarnation: str | None = None
    changed_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    changed_view: int = 0
    changed_why: str | None = None
    changed_before: list[str] = []
    events_lost: int = 0


def _described(node: NodeConfig, answer: dict[str, Any] | VaultError) -> dict[str, Any]:
    said: _Said | None = None
    if isinstance(answer, VaultError):
        if answer.code in ("configuration", "usage"):
            raise answer
        trouble: str | None = answer.detail
    else:
        try:
            said = msgspec.convert(answer, _Said)
            trouble = said.trouble
        except msgspec.ValidationError:
            trouble = f"what {node.peer.url} answers is no status of a node"
    known = {} if said is None else msgspec.structs.asdict(said)
    journal = {} if said is None else msgspec.structs.asdict(said.journal)
    changed_at = known.get("changed_at")
    return {
        "node": node.id,
        **{name: known.get(name) for name in ("role", "view")},
        **{name: journal.get(name) for name in ("last", "committed", "digest")},
        "lag": None,
        "health": known.get("health", "down"),
        "trouble": trouble,
        **{name: known.get(name) for name in REST},
        "changed_at": None if changed_at is None else text_of(changed_at),
    }


def _cell(name: str, value: object) -> str:
    if value is None:
        return NOTHING
    text = visible(str(value))
    return text[:DIGEST_DIGITS] if name == "digest" else _coloured(text) if name == "health" else text


def _coloured(word: str) -> str:
    return click.style(word, fg=COLOURS.get(word))


def _named(names: list[str]) -> str:
    return " and ".join(names) if len(names) < 3 else f"{', '.join(names[:-1])} and {names[-1]}"
