"""A running vault, one method a call."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any, TypeVar

import msgspec
import requests
from requests.adapters import HTTPAdapter

from tvault import wire
from tvault.client.retries import Call, Caller, Patience
from tvault.client.routing import Nodes
from tvault.errors import VaultError

T = TypeVar("T")
V = TypeVar("V", bound="Vault")
Value = str | int | float | bool


class Tokenized(msgspec.Struct, frozen=True):
    """Tokens in the order of the values; null stays null."""

    epoch: int
    tokens: list[str | None]


class TokenizedRecords(msgspec.Struct, frozen=True):
    """Records in the order given, each as the JSON text that the server sent."""

    epoch: int
    records: list[msgspec.Raw]


class Detokenized(msgspec.Struct, frozen=True):
    """Values in the order of the tokens; null at the positions in `not_found`."""

    values: list[Any]
    not_found: list[int]


class MissingField(msgspec.Struct, frozen=True):
    """Where a token was not found: the record's position and the field's path."""

    record: int
    field: str


class DetokenizedRecords(msgspec.Struct, frozen=True):
    """Records in the order given, each as JSON text; what was not found is left as it was."""

    records: list[msgspec.Raw]
    not_found: list[MissingField]


class Rotated(msgspec.Struct, frozen=True):
    """The active epoch, and whether this call made it so."""

    epoch: int
    rotated: bool


class _Value(msgspec.Struct):
    value: Any


class _Epoch(msgspec.Struct):
    epoch: int


class Vault:
    """A vault reached over HTTP through any of its nodes, as the owner of `api_key`.

    A call goes from node to node until one answers, for at most `deadline_s` seconds, and can always
    be made again.  It raises `VaultError`: the server's refusal as it is, `unavailable` or
    `overloaded` when the time is up, `unreachable` when no node was reached.  One object may be used
    by many threads; `connections` of them find a connection of their own kept open.
    """

    def __init__(
        self,
        urls: Sequence[str],
        api_key: str,
        *,
        deadline_s: float = 60.0,
        connections: int = 8,
        patience: Patience | None = None,
    ) -> None:
        if not api_key or not api_key.isascii() or not api_key.isprintable() or " " in api_key:
            raise VaultError("usage", "the API key is empty or holds characters that no API key has")
        self._patience = patience or Patience(deadline_s=deadline_s)
        self._session = _session(connections)
        self._session.headers["Authorization"] = f"Bearer {api_key}"
        self._caller = Caller(Nodes(urls, self._patience.clock), self._session, self._patience)

    def __repr__(self) -> str:
        return "Vault(api_key=…)"

    def __enter__(self: V) -> V:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all connections; calls that are waiting to try again give up."""
        self._patience.given_up.set()
        self._session.close()

    def tokenize_values(self, values: Sequence[Value | None]) -> Tokenized:
        """The tokens of `values`, all under one epoch."""
        return self._post(wire.TOKENIZE, wire.encode_json({"values": list(values)}), Tokenized)

    def tokenize_records(self, records: Sequence[bytes]) -> TokenizedRecords:
        """The records, each given as the JSON text of one object, with tokens in the configured
        fields.  The texts are passed on as they are: see `tvault.client.records.checked_record`."""
        return self._post(wire.TOKENIZE, _records_body(records), TokenizedRecords)

    def detokenize_token(self, token: str) -> Value:
        """The value of `token`.  Raises `VaultError` (`not_found`)."""
        found: Value = self._post(wire.DETOKENIZE, wire.encode_json({"token": token}), _Value).value
        return found

    def detokenize_tokens(self, tokens: Sequence[str | None]) -> Detokenized:
        """The values of `tokens`, and where there is none."""
        return self._post(wire.DETOKENIZE, wire.encode_json({"tokens": list(tokens)}), Detokenized)

    def detokenize_records(self, records: Sequence[bytes]) -> DetokenizedRecords:
        """The records with values in the configured fields; texts as for `tokenize_records`."""
        return self._post(wire.DETOKENIZE, _records_body(records), DetokenizedRecords)

    def epoch(self) -> int:
        """The owner's active epoch."""
        return self._decoded(self._caller.ask(Call("GET", wire.EPOCH)), _Epoch).epoch

    def rotate_epoch(self, to: int) -> Rotated:
        """Make `to` the active epoch; it is the active one or its successor, else `epoch_conflict`."""
        return self._post(wire.ROTATE_EPOCH, wire.encode_json({"to": to}), Rotated)

    def health(self) -> str:
        """`ok` or `degraded`, from the first node that can take writes."""
        document = self._decoded(self._caller.ask(Call("GET", wire.HEALTH)), dict[str, Any])
        return str(document.get("status"))

    def status(self) -> dict[str, Any]:
        """What the first node that answers says of itself and its chain."""
        return self._decoded(self._caller.ask(Call("GET", wire.STATUS_PATH)), dict[str, Any])

    def _post(self, path: str, body: bytes, shape: type[T]) -> T:
        return self._decoded(self._caller.ask(Call("POST", path, body)), shape)

    def _decoded(self, body: bytes, shape: type[T]) -> T:
        try:
            return msgspec.json.decode(body, type=shape)
        except (ValueError, RecursionError):
            pass  # a lone surrogate, which only the slow decoder takes, or no answer of ours
        try:
            return _decoded_slowly(body, shape)
        except (VaultError, ValueError):
            raise VaultError("internal", "the answer is not one of a tvault node") from None


def node_health(url: str, timeout_s: float) -> str | None:
    """A node's own word on its health (`ok`, `degraded`, `unavailable`); None when it is not there."""
    return _one_answer(f"{url}{wire.HEALTH}", {}, timeout_s, {200, 503}).get("status")


def peer_status(url: str, credential: str, timeout_s: float) -> dict[str, Any] | None:
    """What one node says of itself to a bearer of the cluster's credential, or None when it does not."""
    headers = {"Authorization": f"Bearer {credential}"}
    return _one_answer(f"{url}/peer/status", headers, timeout_s, {200}) or None


def _one_answer(url: str, headers: dict[str, str], timeout_s: float, good: set[int]) -> dict[str, Any]:
    try:
        with _session(1) as session:
            answer = session.get(url, headers=headers, timeout=timeout_s, allow_redirects=False)
            document = wire.decode_json(answer.content) if answer.status_code in good else None
    except (requests.exceptions.RequestException, VaultError):
        return {}
    return document if isinstance(document, dict) else {}


def _session(connections: int) -> requests.Session:
    """Nothing from the environment: a proxy set there must not see keys and values."""
    session = requests.Session()
    session.trust_env = False
    adapter = HTTPAdapter(pool_connections=16, pool_maxsize=connections, max_retries=0)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session


def _decoded_slowly(body: bytes, shape: type[T]) -> T:
    document = wire.decode_json(body)
    if isinstance(document, dict) and isinstance(document.get("records"), list):
        texts = [msgspec.Raw(wire.encode_json(record)) for record in document["records"]]
        document = {**document, "records": texts}
    return msgspec.convert(document, shape)


def _records_body(records: Sequence[bytes]) -> bytes:
    return b'{"records":[' + b",".join(records) + b"]}"
