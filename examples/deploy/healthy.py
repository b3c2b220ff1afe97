"""Whether the node of this container answers: exit code 0 when it does, whatever its health is.

Without an argument it asks the node of tvault.toml whose `api` has the container's host name; the URL of
a gateway is given as an argument.
"""

from __future__ import annotations

import os
import socket
import sys
import urllib.error
import urllib.request

from tvault.config import load
from tvault.trust import verifying


def main() -> int:
    """Ask the node of this host, or the URL that is given."""
    config = load(None, os.environ)
    host = socket.gethostname()
    urls = sys.argv[1:] or [node.api.url for node in config.nodes if node.api.host == host]
    if not urls:
        sys.stderr.write(f"no [[node]] has the host {host}\n")
        return 1
    context = verifying(config.tls.ca) if config.tls.is_on else None
    try:
        urllib.request.urlopen(f"{urls[0]}/health", timeout=4, context=context).close()  # noqa: S310
    except urllib.error.HTTPError:
        return 0  # it says that it cannot take writes now: it answers
    except OSError as error:
        sys.stderr.write(f"{urls[0]}: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
