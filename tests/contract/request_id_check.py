"""A check of schemathesis' own kind: what becomes of a client's `Request-Id`."""

from __future__ import annotations

from typing import Any

import schemathesis

from tvault.wire import sane_request_id


def request_id_is_taken_over(
    _: schemathesis.CheckContext, response: schemathesis.Response, __: schemathesis.Case[Any]
) -> None:
    """A sane `Request-Id` comes back, any other is replaced."""
    sent = response.request.headers.get("Request-Id")
    (told,) = response.headers["request-id"]
    assert sane_request_id(told), "the answer has no sane Request-Id"
    assert (told == sent) == sane_request_id(_as_text(sent)), "another Request-Id was expected"


def _as_text(header: str | bytes | None) -> str | None:
    return header.decode("latin-1") if isinstance(header, bytes) else header


schemathesis.check(request_id_is_taken_over)
