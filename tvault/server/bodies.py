"""What the bodies of requests may look like, and the values that are taken out of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final, TypeVar

from tvault.errors import FieldError, VaultError
from tvault.model.fields import Fields, Found
from tvault.model.values import InvalidValue, encode_value, encode_values
from tvault.wire import Limits, Unrepresentable, decode_marked

MOST_ERRORS: Final = 100
"""Most places that one refusal lists."""

T = TypeVar("T")

_IGNORED: Final = frozenset({"owner_id"})


def members_of(body: bytes, known: Collection[str]) -> tuple[dict[str, Any], bool]:
    """The members of the JSON object in `body`, `owner_id` left out, and whether numbers that cannot
    be handed back are marked in it (`wire.Unrepresentable`).

    Raises `VaultError` `malformed` when it is not an object or has a member that is not `known`.
    """
    document, is_marked = decode_marked(body)
    if not isinstance(document, dict):
        raise VaultError("malformed", "The body must be a JSON object.")
    for name in _IGNORED:
        document.pop(name, None)
    if not document.keys() <= set(known):
        names = ", ".join(sorted(known))
        raise VaultError("malformed", f"The body has an unknown member; known here: {names}.")
    return document, is_marked


def only_member(document: dict[str, Any], known: Sequence[str]) -> str:
    """The name of the one member there is.  Raises `VaultError` `malformed` for none or several."""
    if len(document) != 1:
        names = ", ".join(known)
        raise VaultError("malformed", f"The body must have exactly one of these members: {names}.")
    return str(next(iter(document)))


def list_of(document: dict[str, Any], name: str) -> list[Any]:
    """The array that is the member `name`.  Raises `VaultError` `malformed` for anything else."""
    there = document[name]
    if not isinstance(there, list):
        raise VaultError("malformed", f"The member {name} must be an array.")
    return there


def records_of(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The array of objects that is the member `records`.  Raises `VaultError` `malformed`."""
    records = list_of(document, "records")
    odd = [at for at, record in enumerate(records) if not isinstance(record, dict)]
    if odd:
        errors = tuple(FieldError(at, "not_an_object") for at in odd[:MOST_ERRORS])
        raise VaultError("malformed", "Every record must be a JSON object.", errors)
    return records


def values_of(document: dict[str, Any], limits: Limits) -> tuple[list[Any], list[int], list[bytes]]:
    """The array that is the member `values`, the positions in it of what is not null, and the canonical
    bytes of those.

    Raises `VaultError` `malformed`; `invalid_value` or `too_large` as `canonical_values` does.
    """
    values = list_of(document, "values")
    positions = [at for at, value in enumerate(values) if value is not None]
    refuse_too_many(len(positions), limits)
    return values, positions, canonical_values([values[at] for at in positions], positions, limits)


def tokens_of(document: dict[str, Any], limits: Limits) -> tuple[list[Any], list[int]]:
    """The array that is the member `tokens`, texts and nulls, and the positions of the texts.

    Raises `VaultError` `malformed` with the positions of what is neither, `too_large`.
    """
    tokens = list_of(document, "tokens")
    odd = [at for at, token in enumerate(tokens) if not (token is None or isinstance(token, str))]
    if odd:
        errors = tuple(FieldError(at, "not_a_string") for at in odd[:MOST_ERRORS])
        raise VaultError("malformed", "A token must be a string or null.", errors)
    positions = [at for at, token in enumerate(tokens) if token is not None]
    refuse_too_many(len(positions), limits)
    return tokens, positions


def spread(things: Sequence[T], positions: Sequence[int], count: int) -> list[T | None]:
    """`count` places with the things at these positions, and None elsewhere."""
    places: list[T | None] = [None] * count
    for at, thing in zip(positions, things, strict=True):
        places[at] = thing
    return places


def refuse_too_many(count: int, limits: Limits) -> None:
    """Raise `VaultError` `too_large` when a request has more values than it may."""
    most = limits.values_per_request
    if count > most:
        members = {"limit": most, "limit_name": "values_per_request"}
        raise VaultError("too_large", f"A request takes at most {most} values.", members=members)


def canonical_values(values: Sequence[object], positions: Sequence[int], limits: Limits) -> list[bytes]:
    """The canonical bytes of values that stand at these positions of a request.

    Raises `VaultError` `invalid_value` or `too_large` with the positions of those that are refused.
    """
    try:
        return encode_values(values, limits.value_bytes)
    except (InvalidValue, TypeError):
        pass  # now all of them, not the first alone
    errors = [FieldError(positions[at], reason) for at, reason in _flaws_of(values, limits)]
    raise _refusal(errors, limits)


def refuse_too_long(canonicals: Sequence[bytes], positions: Sequence[int], limits: Limits) -> None:
    """Raise `VaultError` `too_large` with the positions of values that are longer than they may be: they
    were taken when the limit was another one.
    """
    errors = [
        FieldError(at, "too_large")
        for at, canonical in zip(positions, canonicals, strict=True)
        if len(canonical) - 1 > limits.value_bytes
    ]
    if errors:
        raise _refusal(errors, limits)


def canonical_fields(
    records: Sequence[dict[str, Any]], fields: Fields, limits: Limits, *, is_marked: bool
) -> tuple[Found, list[bytes]]:
    """The values in the fields of records, and their canonical bytes.

    Raises `VaultError` `invalid_value` or `too_large` with record and field of what is refused.
    """
    found = fields.find(records)
    refuse_too_many(len(found.values), limits)
    errors = [FieldError(misfit.record, misfit.code, misfit.where) for misfit in found.misfits]
    if is_marked:
        errors += _marks_elsewhere(records, found)
    try:
        canonicals = encode_values(found.values, limits.value_bytes)
    except (InvalidValue, TypeError):
        errors += [_error_at(found, at, reason) for at, reason in _flaws_of(found.values, limits)]
    if errors:
        raise _refusal(errors, limits)
    return found, canonicals


def refuse_marks(records: Sequence[dict[str, Any]], found: Found) -> None:
    """Raise `VaultError` `invalid_value` when there are marked numbers anywhere in the records."""
    errors = [
        _error_at(found, at, value.reason)
        for at, value in enumerate(found.values)
        if isinstance(value, Unrepresentable)
    ]
    errors += _marks_elsewhere(records, found)
    if errors:
        raise _invalid(errors)


def _error_at(found: Found, position: int, reason: str) -> FieldError:
    record, where = found.place(position)
    return FieldError(record, reason, where)


def _flaws_of(values: Sequence[object], limits: Limits) -> Iterator[tuple[int, str]]:
    """The positions of those that are refused, and why."""
    for at, value in enumerate(values):
        reason = _flaw_of(value, limits)
        if reason is not None:
            yield at, reason


def _flaw_of(value: object, limits: Limits) -> str | None:
    if isinstance(value, Unrepresentable):
        return value.reason
    try:
        encode_value(value, limits.value_bytes)
    except InvalidValue as error:
        return error.reason
    return None


def _marks_elsewhere(records: Sequence[dict[str, Any]], found: Found) -> list[FieldError]:
    in_fields = set(map(id, found.values))
    return [
        FieldError(index, mark.reason)
        for index, record in enumerate(records)
        for mark in _marks_in(record)
        if id(mark) not in in_fields
    ]


def _marks_in(record: object) -> Iterator[Unrepresentable]:
    waiting = [record]
    while waiting:
        there = waiting.pop()
        if isinstance(there, Unrepresentable):
            yield there
        elif isinstance(there, dict):
            waiting.extend(there.values())
        elif isinstance(there, list):
            waiting.extend(there)


def _refusal(errors: Sequence[FieldError], limits: Limits) -> VaultError:
    if any(error.code != "too_large" for error in errors):
        return _invalid(errors)
    most = limits.value_bytes
    members = {"limit": most, "limit_name": "value_bytes"}
    return VaultError("too_large", f"A value may have at most {most} bytes.", _listed(errors), members)


def _invalid(errors: Sequence[FieldError]) -> VaultError:
    more = f" The first {MOST_ERRORS} places are listed." if len(errors) > MOST_ERRORS else ""
    return VaultError("invalid_value", f"A value of the request cannot be taken.{more}", _listed(errors))


def _listed(errors: Sequence[FieldError]) -> tuple[FieldError, ...]:
    return tuple(sorted(errors, key=lambda error: error.index)[:MOST_ERRORS])
