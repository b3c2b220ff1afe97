"""Deliberate faults, one for each rule whose loss would lose or leak something."""

from __future__ import annotations

from tests.mutants.chains import CHAINS, LIVES
from tests.mutants.disks import RESTORES, STEPS, STORES
from tests.mutants.gateways import GATEWAYS
from tests.mutants.indexes import INDEXES
from tests.mutants.leaks import LEAKS
from tests.mutants.members import MEMBERS
from tests.mutants.mutant import Mutant
from tests.mutants.peers import PEERS
from tests.mutants.reads import CLIENTS, CONFIRMATIONS, ORDER
from tests.mutants.secrets import SECRETS
from tests.mutants.views import FOUNDING, MAJORITIES, PROMISES

ALL: tuple[Mutant, ...] = (
    *FOUNDING,
    *PROMISES,
    *MAJORITIES,
    *CHAINS,
    *LIVES,
    *MEMBERS,
    *CONFIRMATIONS,
    *CLIENTS,
    *ORDER,
    *STEPS,
    *STORES,
    *RESTORES,
    *LEAKS,
    *INDEXES,
    *GATEWAYS,
    *PEERS,
    *SECRETS,
)
