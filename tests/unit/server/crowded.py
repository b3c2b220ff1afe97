"""A lone engine on which other nodes write and rotate at the worst moment."""

from __future__ import annotations

import os
from collections.abc import Callable

from tests.unit.server.lone_engine import LoneEngine
from tests.unit.server.serving import KEYS, RING
from tvault.engine import EpochRefused, StaleEpoch, TokensExist, Written
from tvault.model.blocks import seal
from tvault.model.commands import Mint, Rotate
from tvault.model.tokens import render_token
from tvault.model.values import Value, encode_value
from tvault.model.verdicts import Admitted

Disturbance = Callable[[LoneEngine], None]


class CrowdedEngine(LoneEngine):
    """An engine on which something else happens just before each of its first writes and confirmed
    reads.
    """

    def __init__(self, *disturbances: Disturbance) -> None:
        super().__init__(KEYS)
        self.disturbances = list(disturbances)

    def mint(self, command: Mint, deadline: float) -> Written | StaleEpoch | TokensExist:
        self._disturb()
        return super().mint(command, deadline)

    def rotate(self, command: Rotate, deadline: float) -> Written | EpochRefused:
        self._disturb()
        return super().rotate(command, deadline)

    def _disturb(self) -> None:
        if self.disturbances:
            self.disturbances.pop(0)(self)


def token_of(value: Value, epoch: int = 1, owner: str = "alice") -> str:
    """The token that the value has, or would have."""
    return render_token(epoch, RING.scope(owner, epoch).digests([encode_value(value, 1000)])[0])


def rotation(to: int, owner: str = "alice") -> Disturbance:
    def rotate(engine: LoneEngine) -> None:
        assert engine.judge(Rotate(owner, to)) == Admitted()

    return rotate


def writing(*values: str, epoch: int = 1, owner: str = "alice", under: str | None = None) -> Disturbance:
    """Another node's write of values, or of one value under the token of another."""

    def write(engine: LoneEngine) -> None:
        scope = RING.scope(owner, epoch)
        sealed = [encode_value(value, 1000) for value in values]
        digests = scope.digests(sealed if under is None else [encode_value(under, 1000)])
        blocks = seal(scope, digests, sealed, lambda: os.urandom(12))
        assert engine.judge(Mint(owner, epoch, blocks)) == Admitted()

    return write
