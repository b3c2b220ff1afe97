"""Clients' calls about secrets on a stage: `server.secret_vault` over the engine of a call.

A request has a number for a name, `as 7`, so that it can be made again; without one it has that of its
call behind a thousand, and nobody repeats it.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

from tvault.engine import Engine
from tvault.model.commands import REQUEST_BYTES
from tvault.model.keys import KeyRing
from tvault.model.secret_looks import FoundSecrets, Wanted
from tvault.model.secrets import MasterKeys
from tvault.server.preconditions import Condition, condition_in, tag_of
from tvault.server.secret_vault import Missing, Request, SecretVault

MOST_BYTES = 1 << 20
UNNAMED = 1000

_draws = count(1)


def _random(size: int) -> bytes:
    return next(_draws).to_bytes(size, "big")


MASTERS = MasterKeys("m1", {"m1": b"the master key of the stage, 32 bytes"}, _random)


def secret_work_of(
    engine: Engine, keys: KeyRing, call: str, words: list[str], deadline: float
) -> Callable[[], str] | None:
    """`put OWNER NAME VALUE [if VERSION] [as REQUEST]`, `write OWNER NAME=VALUE... [as REQUEST]`,
    `end OWNER NAME`, `get OWNER NAME`, `expand OWNER NAME...`; None for another verb."""
    vault = SecretVault(
        engine, keys, MASTERS, _random, MOST_BYTES, clock=lambda: 0.0, pause=lambda _: None
    )
    words, request = _request_in(words, UNNAMED + int(call[1:]))
    words, condition = _condition_in(words)
    verb, owner, rest = words[0], words[1], words[2:]

    def put() -> str:
        done = vault.put(owner, rest[0], rest[1], condition, request, deadline)
        return f"{rest[0]} {'becomes' if done.is_new else 'is'} version {done.version}"

    def write() -> str:
        values = dict(word.split("=") for word in rest)
        done = vault.write_many(owner, values, (), request, deadline)
        return ", ".join(f"{name} is version {version}" for name, version in done.items())

    def end() -> str:
        return (
            f"{rest[0]} ends with {vault.delete(owner, rest[0], condition, request, deadline).version}"
        )

    def get() -> str:
        found = vault.get(owner, Wanted(rest[0]), deadline)
        return f"{found.name} is {found.value}, version {found.version}"

    def expand() -> str:
        try:
            values = vault.current(owner, rest, deadline)
        except Missing as missing:
            return f"no {' '.join(missing.names)}"
        return ", ".join(f"{name} is {value}" for name, value in values.items())

    return {"put": put, "write": write, "end": end, "get": get, "expand": expand}.get(verb)


def told_of_look(found: FoundSecrets, names: list[str]) -> str:
    """What a look at secrets found, and whether the request that it asks about is known."""
    told = [
        f"no {name}"
        if version is None
        else f"{name} {version.version}{'' if version.is_live else ', which has ended'}"
        for name, version in zip(names, found.versions, strict=True)
    ]
    told += ["the request"] if found.request is not None else []
    return ", ".join(told)


def _request_in(words: list[str], unnamed: int) -> tuple[list[str], Request]:
    is_named = words[-2:-1] == ["as"]
    name = int(words[-1]) if is_named else unnamed
    asked = bytes(REQUEST_BYTES)
    request = Request(name.to_bytes(REQUEST_BYTES, "big"), asked, is_kept=is_named)
    return words[:-2] if is_named else words, request


def _condition_in(words: list[str]) -> tuple[list[str], Condition]:
    if words[-2:-1] != ["if"]:
        return words, condition_in(None, None)
    return words[:-2], condition_in(tag_of(int(words[-1])), None)
