"""One part of the page of observed behaviour: what is done, and what the nodes note of it."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from typing import Any

import requests

from tests.cluster import disks
from tests.cluster.cluster import Cluster, eventually, tvault

Event = dict[str, Any]

LEFT_OUT = frozenset({"bytes", "incarnation", "api"})
"""Fields that no excerpt shows: long, and nothing that the page speaks of."""

BACK_SECONDS = 60.0


class Part:
    """What is done from now on is listed, and what is noted from now on can be shown."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self._since = now()
        self._done: list[str] = []
        self._shown: list[str] = []

    # What is done.

    def tell(self, text: str) -> None:
        """Something else that was done, or seen."""
        self._done.append(text)

    def post(self, node: str, path: str, body: object, as_: str, owner: str = "A") -> requests.Response:
        """One call to one node, under a `Request-Id`."""
        headers = {"Authorization": f"Bearer {self.cluster.keys[owner]}", "Request-Id": as_}
        url = self.cluster.url(node) + path
        answer = requests.post(url, json=body, headers=headers, timeout=30)
        self.tell(f"{called(path, body, node, as_, owner)}: {answer.status_code}")
        return answer

    def ask(self, node: str, method: str, path: str, shown: str, as_: str, body: object = None) -> Any:
        """One call of secrets, `shown` without the name; what is answered."""
        answer = self.cluster.ask(node, method, path, body, Request_Id=as_)
        self.tell(f"`{method} {shown}` at {node}, `Request-Id: {as_}`: {answer.status_code}")
        return answer.json()

    def kill(self, node: str, role: str) -> None:
        """End a node as a crash does."""
        self.cluster.kill(node)
        self.tell(f"`kill -9` of {node}, the {role}")

    def start(self, *nodes: str) -> None:
        """Start nodes, and wait until all are in the chain."""
        self.cluster.start(*nodes)
        self.tell(" and ".join(nodes) + (" are" if len(nodes) > 1 else " is") + " started again")
        self.cluster.wait_until_whole(BACK_SECONDS)

    def terminate(self, node: str, role: str) -> None:
        """Ask a node to end, and wait until it has."""
        self.cluster.signal(node, signal.SIGTERM)
        code, stderr = self.cluster.wait_for_end(node)
        assert code == 0, stderr
        self.tell(f"`kill -TERM` of {node}, the {role}: exit code {code}")

    def wipe(self, node: str) -> None:
        """Leave an ended node an empty folder."""
        disks.wipe(self.cluster.data(node))
        self.tell(f"everything in the data folder of {node} is removed")

    # What is shown.

    def noted(self, *names: str, where: Callable[[Event], bool] = lambda _: True) -> list[Event]:
        """The events of these names since this part began, of all nodes, by time."""
        found = [event for node in self.cluster.nodes for event in self.cluster.events(node, *names)]
        found = [event for event in found if event["time"] > self._since and where(event)]
        return sorted(found, key=lambda event: str(event["time"]))

    def show(
        self, count: int, *names: str, where: Callable[[Event], bool] = lambda _: True
    ) -> list[Event]:
        """Wait for so many of these events, and show all of them."""
        eventually(lambda: len(self.noted(*names, where=where)) >= count)
        return self.show_these(self.noted(*names, where=where))

    def show_these(self, events: Sequence[Event]) -> list[Event]:
        """Show events as their nodes wrote them, but for the fields that are left out."""
        self._shown.append("\n".join(["```json", *map(line_of, events), "```"]))
        return list(events)

    def show_command(self, *arguments: str) -> str:
        """Show a command of operators, and what it prints."""
        done = tvault(*arguments, TVAULT_CONFIG=str(self.cluster.config))
        assert done.returncode == 0, done.stderr
        command = " ".join(("tvault", *arguments))
        self._shown.append("\n".join([f"`{command}`:", "", "```", done.stdout.rstrip(), "```"]))
        return done.stdout

    def text(self) -> str:
        """What was done, and what is shown of it."""
        done = [f"- {each}" for each in self._done]
        return "\n\n".join(["\n".join(done), *self._shown] if done else self._shown)


def now() -> str:
    """The time as events tell it."""
    return datetime.now(timezone.utc).isoformat(timespec="microseconds").replace("+00:00", "Z")


def line_of(event: Event) -> str:
    """The event as it stands in `events.jsonl`, but for the fields that are left out."""
    kept = {name: value for name, value in event.items() if name not in LEFT_OUT}
    return json.dumps(kept, separators=(",", ":"), ensure_ascii=False)


def called(path: str, body: object, node: str, as_: str, owner: str = "A") -> str:
    """A call in words, without what it holds."""
    what = ""
    if isinstance(body, dict):
        for name in ("values", "tokens"):
            if name in body:
                amount = len(body[name])
                what = f" with {amount} {name if amount > 1 else name[:-1]}"
        what = " with 1 token" if "token" in body else what
    who = "" if owner == "A" else f", by owner {owner}"
    return f"`POST {path}`{what} at {node}{who}, `Request-Id: {as_}`"
