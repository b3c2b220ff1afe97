"""Two builds whose messages have other forms do not have one number of the format."""

from __future__ import annotations

import hashlib

from msgspec import inspect

from tvault.replication.codec import FORMAT
from tvault.replication.messages import Envelope

FORMS = {5: "f8450bdbd4d79dda"}
"""A digest of the forms of all messages, by the number of their format."""


def form(info: inspect.Type) -> str:
    """A type as it lies in a frame, with its bounds and without what is said of it."""
    match info:
        case inspect.Metadata():
            return form(info.type)
        case inspect.UnionType():
            return "\n".join(sorted(map(form, info.types)))
        case inspect.StructType():
            fields = (f"{field.name}: {form(field.type)}" for field in info.fields)
            return f"{info.tag or 'part'}({', '.join(fields)})"
        case inspect.VarTupleType():
            return f"{info.min_length or 0} to {info.max_length} of {form(info.item_type)}"
        case inspect.TupleType():
            return f"[{', '.join(map(form, info.item_types))}]"
        case inspect.EnumType():
            return f"{[member.value for member in info.cls]}"
        case _:
            names = ("ge", "le", "min_length", "max_length")
            bounds = [str(bound) for name in names if (bound := getattr(info, name, None)) is not None]
            return f"{type(info).__name__}{' '.join(['', *bounds])}"


def test_messages_of_another_form_have_another_number() -> None:
    found = form(inspect.type_info(Envelope))
    assert hashlib.sha256(found.encode()).hexdigest()[:16] == FORMS.get(FORMAT), (
        f"raise FORMAT and say here what its forms are, now these:\n{found}"
    )
