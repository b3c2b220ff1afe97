"""A node that is behind the others, and what puts secrets through it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from tests.unit.server.lone_engine import LoneEngine
from tvault.engine import Overtaken, Written
from tvault.model.commands import WriteSecrets
from tvault.model.secret_looks import FoundSecrets, Wanted
from tvault.server.preconditions import condition_in
from tvault.server.secret_vault import SecretVault

ALWAYS = condition_in(None, None)
MOST = 1000
"""Bytes of the values of one answer."""


class Behind(LoneEngine):
    """Glances see what `seen` says, if it is set; `between` happens once before a write is judged."""

    seen: FoundSecrets | None = None
    between: Callable[[], object] | None = None

    def peek_secrets(
        self, owner: str, wanted: Sequence[Wanted], request: bytes | None, deadline: float
    ) -> FoundSecrets:
        found = super().peek_secrets(owner, wanted, request, deadline)
        return found if self.seen is None else self.seen

    def write_secrets(self, command: WriteSecrets, deadline: float) -> Written | Overtaken:
        meanwhile, self.between = self.between, None
        if meanwhile is not None:
            meanwhile()
        return super().write_secrets(command, deadline)


def soon() -> float:
    return time.monotonic() + 10


def put(secrets: SecretVault, value: str, name: str = "N") -> int:
    request = secrets.request("alice", None)
    return secrets.put("alice", name, value, ALWAYS, request, soon()).version
