"""Whether an answer about secrets is the whole truth of one moment, and a write does what was asked."""

from __future__ import annotations

from tests.sim.secret_calls import (
    EndSecret,
    GetSecret,
    GetSecrets,
    PutSecret,
    PutSecrets,
    ReadHistory,
    ReadNames,
    Refusal,
    SecretCall,
    SecretRead,
    SecretWrite,
)
from tests.sim.secret_states import Kept, Moment
from tvault.errors import VaultError
from tvault.model.commands import Done, SecretRequest
from tvault.model.secret_looks import Wanted
from tvault.server.preconditions import Condition
from tvault.server.secret_vault import DeleteDone, PutDone, Secret

NO_SUCH = Refusal("not_found")


def read_at(asked: SecretRead, moment: Moment) -> object:
    """What the answer had to be at this moment."""
    match asked:
        case GetSecret(_, wanted):
            kept = _wanted(wanted, moment)
            if kept is None:
                return NO_SUCH
            return Secret(wanted.name, kept.value, kept.version, kept.valid_from, kept.valid_to)
        case GetSecrets(_, names):
            live = [(name, moment.live(name)) for name in names]
            missing = tuple(name for name, kept in live if kept is None)
            if missing:
                return Refusal("unresolved", names=missing)
            return tuple((name, kept.value) for name, kept in live if kept is not None)
        case ReadHistory(_, name):
            return tuple(kept.mark for kept in moment.versions(name)) or NO_SUCH
        case ReadNames():
            return moment.names()


def _wanted(wanted: Wanted, moment: Moment) -> Kept | None:
    versions = moment.versions(wanted.name)
    if wanted.version is not None:
        return next((kept for kept in versions if kept.version == wanted.version), None)
    if wanted.at is not None:
        at = wanted.at
        return next((kept for kept in versions if _is_valid(kept, at)), None)
    return moment.live(wanted.name)


def _is_valid(kept: Kept, at: int) -> bool:
    return kept.valid_from <= at and (kept.valid_to is None or at < kept.valid_to)


def refused_at(asked: SecretWrite, refusal: Refusal, moment: Moment) -> bool:
    """Whether a write that had not been carried out had to be refused so at this moment."""
    if isinstance(asked, PutSecrets):
        missing = tuple(name for name in _needed(asked) if moment.live(name) is None)
        return bool(missing) and refusal == Refusal("unresolved", names=missing)
    live = moment.live(asked.name)
    if isinstance(asked, EndSecret) and live is None:
        return refusal == NO_SUCH
    version = live.version if live is not None else None
    return not holds(asked.condition, live) and refusal == Refusal("precondition_failed", version)


def holds(condition: Condition, live: Kept | None) -> bool:
    """Whether a condition holds of the version that is valid."""
    try:
        condition.check(live.version if live is not None else None)
    except VaultError:
        return False
    return True


def unwritten_at(asked: SecretWrite, moment: Moment) -> object:
    """What a write that had nothing to write had to be told at this moment; None if it had to write."""
    if isinstance(asked, PutSecret):
        live = moment.live(asked.name)
        is_so = live is not None and live.value == asked.value and holds(asked.condition, live)
        return PutDone(live.version, live.valid_from, is_new=False) if live and is_so else None
    if isinstance(asked, PutSecrets):
        found = {name: moment.live(name) for name in (*dict(asked.values), *asked.needed)}
        if any(kept is None for kept in found.values()):
            return None
        kept_of = {name: kept for name, kept in found.items() if kept is not None}
        if any(kept_of[name].value != value for name, value in asked.values):
            return None
        return tuple((name, kept_of[name].version) for name, _ in asked.values)
    return None


def written_result(asked: SecretWrite, row: SecretRequest, moment: Moment) -> object:
    """What a write had to be told that was carried out so."""
    if isinstance(asked, PutSecrets):
        values = dict(asked.values)
        return tuple((done.name, done.version) for done in row.done if done.name in values)
    (done,) = row.done
    kept = moment.versions(done.name)[done.version - 1]
    if isinstance(asked, EndSecret):
        return DeleteDone(done.version, kept.valid_to or 0)
    return PutDone(done.version, kept.valid_from, done.is_changed)


def was_due(asked: SecretCall, done: Done, before: Kept | None, value: str | None) -> bool:
    """Whether a write had to come to this for a secret that was as it was `before`.

    `value` is that of the version which it began, None when it began none.
    """
    live = before if before is not None and before.valid_to is None else None
    if isinstance(asked, EndSecret):
        return live is not None and holds(asked.condition, live) and done.is_changed and value is None
    if isinstance(asked, PutSecret) and not holds(asked.condition, live):
        return False
    wanted = _value_for(asked, done.name)
    if wanted is None:
        return live is not None and not done.is_changed
    if live is not None and live.value == wanted:
        return not done.is_changed
    return done.is_changed and value == wanted


def _value_for(asked: SecretCall, name: str) -> str | None:
    """The value that a write gives a secret, None when it only needs it to have one."""
    if isinstance(asked, PutSecret):
        return asked.value if asked.name == name else None
    return dict(asked.values).get(name) if isinstance(asked, PutSecrets) else None


def names_in(asked: SecretCall) -> tuple[str, ...]:
    """The secrets that a write is about, in the order in which it is told of them."""
    if isinstance(asked, PutSecrets):
        return (*dict(asked.values), *_needed(asked))
    return (asked.name,) if isinstance(asked, PutSecret | EndSecret) else ()


def _needed(asked: PutSecrets) -> tuple[str, ...]:
    return tuple(name for name in asked.needed if name not in dict(asked.values))
