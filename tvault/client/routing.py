"""Which node to ask next.  Every node answers every call, so any that answers will do."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from tvault.errors import VaultError

REST_SECONDS = 2.0
"""How long a node that failed is asked last."""

LONG_REST_SECONDS = 30.0
"""How long, when it failed by silence: to ask it again would cost as long a wait again."""


def checked_url(url: str) -> str:
    """`url` without a slash at its end.

    Raises `VaultError` (`usage`) unless it is `http://host[:port]` or `https://…`.  It does not show
    the URL when that holds a password.
    """
    text = url.strip().rstrip("/")
    try:
        parts = urlsplit(text)
        good = parts.scheme in {"http", "https"} and _is_host(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
        parts = urlsplit("")
    if "@" in text:
        raise VaultError("usage", "a node's URL must not hold a user name or password")
    if not good or parts.query or parts.fragment:
        raise VaultError("usage", f"{text!r} is no URL of a node, such as http://127.0.0.1:7101")
    return text


def _is_host(host: str | None) -> bool:
    """Whether it can be one.  Raises `ValueError` for what no name of a host can hold."""
    if not host or not host.isprintable() or host[0] in "*." or set(host) & set(" \\%<>\"'`|^{}"):
        return False
    host.encode("ascii" if ":" in host else "idna")
    return True


def urls_in(text: str) -> list[str]:
    """The URLs in a text such as that of `TVAULT_URL`: one, or several with commas between them."""
    return [url.strip() for url in text.split(",") if url.strip()]


class Nodes:
    """The nodes of a cluster, taken in turn so that calls spread over them.  Safe for many threads."""

    def __init__(self, urls: Sequence[str], clock: Callable[[], float]) -> None:
        if not urls:
            hint = "give its URL, or name a tvault.toml"
            raise VaultError("usage", f"no node is named: {hint}")
        self._urls = list(dict.fromkeys(checked_url(url) for url in urls))
        self._clock = clock
        self._lock = threading.Lock()
        self._turn = 0
        self._rests_until: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._urls)

    def in_turn(self) -> list[str]:
        """All nodes, each once; those that failed a moment ago come last.  The others have turns as
        often as each other."""
        with self._lock:
            now = self._clock()
            resting = [url for url in self._urls if now < self._rests_until.get(url, now)]
            awake = [url for url in self._urls if url not in resting]
            turn = self._turn
            self._turn += 1
            return _turned(awake, turn) + _turned(resting, turn)

    def failed(self, url: str, *, is_silent: bool = False) -> None:
        """Ask this node last for a while; for longer when it gave no answer at all in time."""
        with self._lock:
            rest = LONG_REST_SECONDS if is_silent else REST_SECONDS
            self._rests_until[url] = self._clock() + rest

    def answered(self, url: str) -> None:
        """The node is there."""
        with self._lock:
            self._rests_until.pop(url, None)


def _turned(urls: list[str], turn: int) -> list[str]:
    start = turn % max(len(urls), 1)
    return urls[start:] + urls[:start]
