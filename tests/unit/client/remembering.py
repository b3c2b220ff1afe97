"""A vault in memory, for files of which a property is to be shown by many examples."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import Any

from tests.unit.server.serving import FIELDS
from tvault.client.answers import (
    Detokenized,
    DetokenizedRecords,
    MissingField,
    Retokenized,
    Tokenized,
    Value,
)
from tvault.client.vault import Vault
from tvault.model.fields import Fields, parse_path


class RememberingVault(Vault):
    """Gives each value a token of the `active` epoch, and remembers `asked`: what each request held."""

    def __init__(self) -> None:
        super().__init__(["http://127.0.0.1:1"], "k")
        self.active = 1
        self.asked: list[list[Any]] = []
        self._lock = threading.Lock()
        self._numbers: dict[tuple[type, Value], int] = {}
        self._values: list[Value] = []

    def token(self, value: Value) -> str:
        """The token of a value under the active epoch."""
        with self._lock:
            number = self._numbers.setdefault((type(value), value), len(self._values))
            if number == len(self._values):
                self._values.append(value)
        return f"tv1_{self.active}_{number:032x}"

    def tokenize(self, values: Iterable[Value | None], *, deadline_s: float | None = None) -> Tokenized:
        assert deadline_s is None
        asked = [*values]
        self.asked.append(asked)
        return Tokenized(self.active, [None if one is None else self.token(one) for one in asked])

    def detokenize_tokens(
        self, tokens: Iterable[str | None], *, deadline_s: float | None = None
    ) -> Detokenized:
        assert deadline_s is None
        asked = [*tokens]
        self.asked.append(asked)
        values = [None if one is None else self._value(one) for one in asked]
        return Detokenized(values, [at for at, value in enumerate(values) if value is None])

    def retokenize(
        self, tokens: Iterable[str | None], *, deadline_s: float | None = None
    ) -> Retokenized:
        found = self.detokenize_tokens(tokens, deadline_s=deadline_s)
        tokens = [None if value is None else self.token(value) for value in found.values]
        return Retokenized(self.active, tokens, found.not_found)

    def detokenize_records(
        self, records: Iterable[Mapping[str, Any]], *, deadline_s: float | None = None
    ) -> DetokenizedRecords:
        """Nothing but which fields are configured."""
        assert deadline_s is None
        given = [dict(record) for record in records]
        found = Fields(parse_path(text) for text in FIELDS).find(given)
        places = [found.place(at) for at in range(len(found.values))]
        return DetokenizedRecords(given, [MissingField(*place) for place in places])

    def _value(self, token: str) -> Value | None:
        number = int(token.rpartition("_")[2], 16)
        return self._values[number] if number < len(self._values) else None
