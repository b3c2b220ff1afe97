"""A running vault, one method a call."""

from __future__ import annotations

import importlib
import json
import math
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, TypeVar

from tvault import wire
from tvault.client.answers import (
    Detokenized,
    DetokenizedJson,
    DetokenizedRecords,
    Retokenized,
    Rotated,
    Status,
    Tokenized,
    TokenizedJson,
    TokenizedRecords,
    Value,
)
from tvault.client.direct import Direct
from tvault.client.exchanges import Exchanger
from tvault.client.reading import Epoch, Health, Known, One, reader
from tvault.client.retries import Call, Caller, Patience
from tvault.client.routing import Nodes, urls_in
from tvault.client.secret_calls import SecretCalls
from tvault.errors import VaultError

T = TypeVar("T")
V = TypeVar("V", bound="Vault")

DEADLINE_SECONDS = 60.0

_VALUE_TYPES: frozenset[type] = frozenset({str, int, float, bool, type(None)})
_TOKEN_TYPES: frozenset[type] = frozenset({str, type(None)})


class Vault(SecretCalls):
    """A vault reached over HTTP through any of its nodes, as the owner of `api_key`.

    A call goes from node to node until one answers, for at most `deadline_s` seconds, and each method
    takes a `deadline_s` of its own.  What fails raises `VaultError`: the server's refusal as it is,
    `unavailable` or `overloaded` when the time is up, `unreachable` when no node was reached.  Nodes
    with an `https` URL must show a certificate from `ca`, a PEM file, or from a CA of the system.

    One object may be used by many threads; up to `connections` of them find a connection to each node
    kept open.  With 0 each call makes its own, and little is loaded: for a process that makes one call.
    A process that was forked off opens its own.
    """

    def __init__(
        self,
        urls: Sequence[str],
        api_key: str,
        *,
        ca: str | Path | None = None,
        deadline_s: float = DEADLINE_SECONDS,
        connections: int = 8,
        patience: Patience | None = None,
    ) -> None:
        if not api_key or not api_key.isascii() or not api_key.isprintable() or " " in api_key:
            raise VaultError("usage", "the API key is empty or holds characters that no API key has")
        if connections < 0:
            raise VaultError("usage", "connections is the number of connections to keep, 0 or more")
        self._patience = patience or Patience()
        self._deadline_s = _checked_deadline(deadline_s)
        nodes = [urls] if isinstance(urls, str) else list(urls)

        def open_caller() -> Caller:
            caller_nodes = Nodes(nodes, self._patience.clock)
            headers = {"Authorization": f"Bearer {api_key}"}
            return Caller(caller_nodes, _exchanger(nodes, connections, ca), headers, self._patience)

        self._open_caller: Callable[[], Caller] = open_caller
        self._callers = [open_caller()]
        self._process = os.getpid()

    @classmethod
    def from_env(cls: type[V], *, deadline_s: float = DEADLINE_SECONDS, connections: int = 8) -> V:
        """The vault that the environment names: `TVAULT_URL` (one URL, or several with commas between
        them), `TVAULT_API_KEY`, and `TVAULT_CA` if the nodes' CA is none that the system trusts.

        Raises `VaultError` (`usage`) when one is missing.
        """
        urls = urls_in(os.environ.get("TVAULT_URL", ""))
        api_key = os.environ.get("TVAULT_API_KEY", "").strip()
        if not urls:
            raise VaultError("usage", "no node is named: set TVAULT_URL")
        if not api_key:
            raise VaultError("usage", "no API key: set TVAULT_API_KEY")
        ca = os.environ.get("TVAULT_CA") or None
        return cls(urls, api_key, ca=ca, deadline_s=deadline_s, connections=connections)

    def __repr__(self) -> str:
        return "Vault(api_key=…)"

    def __enter__(self: V) -> V:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled: the API key would go with it, to disks and other machines."""
        raise TypeError(
            "a Vault holds an API key and is not pickled: make one there, by Vault.from_env()"
        )

    def close(self) -> None:
        """End all connections; calls that are waiting to try again give up."""
        self._patience.given_up.set()
        self._caller().close()

    def tokenize(self, values: Iterable[Value | None], *, deadline_s: float | None = None) -> Tokenized:
        """The tokens of `values` in their order, all under one epoch; None stays None."""
        asked = _listed(values, _VALUE_TYPES, "a str, int, float, bool or None")
        read = reader(Tokenized, "tokens", len(asked))
        return self._post(wire.TOKENIZE, {"values": asked}, read, deadline_s)

    def tokenize_records(
        self, records: Iterable[Mapping[str, Any]], *, deadline_s: float | None = None
    ) -> TokenizedRecords:
        """The records with tokens in the configured fields, all under one epoch; the rest stays."""
        texts = _texts(records)
        read = reader(TokenizedRecords, "records", len(texts))
        return self._post(wire.TOKENIZE, texts, read, deadline_s)

    def tokenize_json(
        self, records: Sequence[bytes], *, deadline_s: float | None = None
    ) -> TokenizedJson:
        """As `tokenize_records`, each record given and handed back as the JSON text of one object, which
        costs a third.  The texts are passed on as they are: one that is not exactly one object changes
        the records around it."""
        read = reader(TokenizedJson, "records", len(records))
        return self._post(wire.TOKENIZE, records, read, deadline_s)

    def detokenize(self, token: str, *, deadline_s: float | None = None) -> Value:
        """The value of one token.  Raises `VaultError` (`not_found`)."""
        _listed([token], frozenset({str}), "the text of a token")
        found: Value = self._post(wire.DETOKENIZE, {"token": token}, reader(One), deadline_s).value
        return found

    def detokenize_tokens(
        self, tokens: Iterable[str | None], *, deadline_s: float | None = None
    ) -> Detokenized:
        """The values of `tokens` in their order, and the positions of those that are not found."""
        asked = _listed(tokens, _TOKEN_TYPES, "the text of a token or None")
        read = reader(Detokenized, "values", len(asked))
        return self._post(wire.DETOKENIZE, {"tokens": asked}, read, deadline_s)

    def detokenize_records(
        self, records: Iterable[Mapping[str, Any]], *, deadline_s: float | None = None
    ) -> DetokenizedRecords:
        """The records with values in the configured fields, and where a token was not found."""
        texts = _texts(records)
        read = reader(DetokenizedRecords, "records", len(texts))
        return self._post(wire.DETOKENIZE, texts, read, deadline_s)

    def detokenize_json(
        self, records: Sequence[bytes], *, deadline_s: float | None = None
    ) -> DetokenizedJson:
        """As `detokenize_records`, with texts as `tokenize_json` has them."""
        read = reader(DetokenizedJson, "records", len(records))
        return self._post(wire.DETOKENIZE, records, read, deadline_s)

    def lookup(
        self, values: Iterable[Value | None], *, deadline_s: float | None = None
    ) -> list[dict[int, str]]:
        """The tokens that each of `values` has, by epoch; none are made, and None has none."""
        asked = _listed(values, _VALUE_TYPES, "a str, int, float, bool or None")
        read = reader(Known, "tokens", len(asked))
        return self._post(wire.LOOKUP, {"values": asked}, read, deadline_s).tokens

    def retokenize(
        self, tokens: Iterable[str | None], *, deadline_s: float | None = None
    ) -> Retokenized:
        """The tokens under the active epoch of the values that `tokens` stand for."""
        asked = _listed(tokens, _TOKEN_TYPES, "the text of a token or None")
        read = reader(Retokenized, "tokens", len(asked))
        return self._post(wire.RETOKENIZE, {"tokens": asked}, read, deadline_s)

    def epoch(self, *, deadline_s: float | None = None) -> int:
        """The owner's active epoch."""
        return self._get(wire.EPOCH, Epoch, deadline_s).epoch

    def rotate_epoch(self, to: int | None = None, *, deadline_s: float | None = None) -> Rotated:
        """Make `to` the active epoch: the active one or its successor, else `epoch_conflict`.

        Without `to` it is the successor of the one that is active when the call begins.
        """
        seconds = self._seconds(deadline_s)
        began = time.monotonic()
        wanted = self.epoch(deadline_s=seconds) + 1 if to is None else to
        left = max(0.001, seconds - (time.monotonic() - began))
        return self._post(wire.ROTATE_EPOCH, {"to": wanted}, reader(Rotated), left)

    def health(self, *, deadline_s: float | None = None) -> str:
        """`ok` or `degraded` if a node can take writes now, else `unavailable`.  Each is asked once."""
        call = Call("GET", wire.HEALTH, reader(Health), is_asked_once=True)
        try:
            return self._ask(call, deadline_s).status
        except VaultError as error:
            if error.code != "unavailable":
                raise
        return "unavailable"

    def status(self, *, deadline_s: float | None = None) -> Status:
        """What the first node that answers says of itself and its chain."""
        return self._get(wire.STATUS_PATH, Status, deadline_s)

    def _get(self, path: str, shape: type[T], deadline_s: float | None) -> T:
        return self._ask(Call("GET", path, reader(shape)), deadline_s)

    def _post(
        self,
        path: str,
        asked: Mapping[str, object] | Sequence[bytes],
        read: Callable[[bytes], T],
        deadline_s: float | None,
    ) -> T:
        """Post a document, or the texts of records."""
        if isinstance(asked, Mapping):
            body = wire.encode_json(asked)
        else:
            body = b'{"records":[' + b",".join(asked) + b"]}"
        return self._ask(Call("POST", path, read, body), deadline_s)

    def _ask(self, call: Call[T], deadline_s: float | None) -> T:
        return self._caller().ask(call, self._seconds(deadline_s))

    def _seconds(self, deadline_s: float | None) -> float:
        return self._deadline_s if deadline_s is None else _checked_deadline(deadline_s)

    def _caller(self) -> Caller:
        """The connections of this process: two on one connection would get each other's answers."""
        if self._process != os.getpid():
            # Those of before are kept: a lock in them may have been held at the moment of the fork.
            self._callers.append(self._open_caller())
            self._process = os.getpid()
        return self._callers[-1]


def _exchanger(urls: Sequence[str], connections: int, ca: str | Path | None) -> Exchanger:
    if connections == 0:
        return Direct(urls, ca)
    # Loaded here: it takes longer than the one call of a process that keeps no connections.
    pooled: Exchanger = importlib.import_module("tvault.client.pooled").Pooled(urls, connections, ca)
    return pooled


def _checked_deadline(seconds: float) -> float:
    if not (isinstance(seconds, (int, float)) and 0 < seconds < math.inf):
        raise VaultError("usage", "deadline_s is a number of seconds above 0")
    return seconds


def _listed(given: Iterable[T], types: frozenset[type], expected: str) -> list[T]:
    """What was given as a list, refused when JSON would turn something of it into something else."""
    if isinstance(given, (str, bytes, Mapping)):
        raise VaultError("usage", f"a list is expected, and this is of type {type(given).__name__}")
    asked = list(given)
    # By the set first: to look at each one costs five times as much.
    kinds = set(map(type, asked))
    if not kinds <= types:
        index, kind = next((at, type(one)) for at, one in enumerate(asked) if type(one) not in types)
        told = f"position {index} is of type {kind.__name__}; give {expected}"
        raise VaultError("invalid_value", told)
    if float in kinds:
        for index, one in enumerate(asked):
            if isinstance(one, float) and not math.isfinite(one):
                raise VaultError(
                    "invalid_value", f"position {index} is NaN or infinite; JSON has neither"
                )
    return asked


def _texts(records: Iterable[Mapping[str, Any]]) -> list[bytes]:
    if isinstance(records, (str, bytes, Mapping)):
        told = f"a list of records is expected, and this is of type {type(records).__name__}"
        raise VaultError("usage", told)
    return [_text(record, index) for index, record in enumerate(records)]


def _text(record: Mapping[str, Any], index: int) -> bytes:
    """The JSON text of a record.

    By the strict encoder: the quick one would make NaN null, and texts of dates and decimals.
    """
    if not isinstance(record, Mapping):
        told = f"record {index} is of type {type(record).__name__}, not a mapping"
        raise VaultError("invalid_value", told)
    try:
        text = json.dumps(dict(record), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except TypeError as error:  # which names the type and nothing else
        why = str(error)
    except (ValueError, RecursionError):
        why = "it holds NaN or an infinite number, or is nested too deeply"
    else:
        try:
            return text.encode("utf-8")
        except UnicodeEncodeError:  # half of a surrogate pair goes as the escape that it came as
            return json.dumps(dict(record), separators=(",", ":")).encode("ascii")
    raise VaultError("invalid_value", f"record {index} is no JSON object: {why}")
