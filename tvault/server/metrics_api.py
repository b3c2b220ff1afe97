"""`GET /metrics`: on the peer port of a node, and on the one port that a gateway has."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from tvault.errors import VaultError
from tvault.server.hello import check_credential
from tvault.server.metrics import Metrics
from tvault.server.peer_api import Handler
from tvault.server.web import Answer, Environ, carries_body
from tvault.wire import METRICS

App = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]


class MetricsApi:
    """Tells what was counted."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def routes(self) -> dict[str, tuple[str, Handler]]:
        """Its path on the peer port, with its method and who answers."""
        return {METRICS: ("GET", self.tell)}

    def tell(self, environ: Environ) -> Answer:
        """The metrics, in the format that the request accepts."""
        return self._metrics.told(environ.get("HTTP_ACCEPT", ""))

    def beside(self, app: App, credential: str) -> App:
        """A WSGI application that tells the metrics to who bears the credential, and hands every other
        request to `app`: to others there is nothing at this path either."""

        def answer(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
            if not _is_asked(environ, credential):
                return app(environ, start_response)
            told = self.tell(environ)
            headers = [*told.headers, ("Content-Length", str(len(told.body)))]
            start_response("200 OK", [*headers, ("Cache-Control", "no-store")])
            return [told.body]

        return answer


def _is_asked(environ: Environ, credential: str) -> bool:
    if environ["PATH_INFO"] != METRICS or environ["REQUEST_METHOD"] != "GET" or carries_body(environ):
        return False
    try:
        check_credential(environ.get("HTTP_AUTHORIZATION"), credential)
    except VaultError:
        return False
    return True
