"""Nodes as processes of this machine."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import BinaryIO

from tvault.client.one_node import node_health
from tvault.config import NodeConfig


class NodeProcess:
    """A `tvault serve`, in a session of its own so that a terminal's Ctrl-C reaches it only through
    the process that started it, and with a pipe as stdin so that it ends when that process does.  What
    it says goes to `log`, a file that is open, or else to stderr.
    """

    def __init__(
        self, config: Path, node: NodeConfig, ca: Path | None, log: BinaryIO | None = None
    ) -> None:
        self.id = node.id
        self.url = node.api.url
        self._ca = ca
        self.is_up = False
        self.ending = ""
        command = [sys.executable, "-m", "tvault", "serve", "--node", node.id, "--config", str(config)]
        self._process = subprocess.Popen(  # noqa: S603 - our own command
            [*command, "--end-with-stdin"],
            stdin=subprocess.PIPE,
            stdout=log or sys.stderr,
            stderr=log,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """The number of its process."""
        return self._process.pid

    def has_just_ended(self) -> bool:
        """Whether it has ended since the last look; `ending` tells how."""
        if self.ending or self._process.poll() is None:
            return False
        code = self._process.returncode
        self.ending = f"exit status {code}" if code >= 0 else signal.Signals(-code).name
        return True

    def has_just_come_up(self, timeout_s: float) -> bool:
        """Whether it answers, and did not at the last look.  Raises `VaultError` (`unreachable`) when it
        does not show that it is the node."""
        if self.is_up or self.ending or node_health(self.url, timeout_s, self._ca) is None:
            return False
        self.is_up = True
        return True

    def ask_to_end(self) -> None:
        """Send SIGTERM."""
        self._process.terminate()

    def kill(self) -> None:
        """Send SIGKILL and wait for its end."""
        self._process.kill()
        self._process.wait()

    def wait_for_end(self, timeout_s: float) -> bool:
        """Wait for its end; kill it and return False when that takes too long."""
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            return False
        finally:
            if self._process.stdin is not None:
                self._process.stdin.close()
        return True
