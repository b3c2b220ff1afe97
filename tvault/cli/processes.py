"""Nodes as processes of this machine."""

from __future__ import annotations

import os
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
    it says goes to `log`, a file that is open, or else to stderr.  By a second pipe it tells when it
    answers: an answer at its URL alone may be that of another process, which has its port.
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
        read_end, write_end = os.pipe()
        os.set_blocking(read_end, False)
        self._word = os.fdopen(read_end, "rb", buffering=0)
        self._is_ready = False
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                [*command, "--end-with-stdin", "--tell-ready", str(write_end)],
                stdin=subprocess.PIPE,
                stdout=log or sys.stderr,
                stderr=log,
                start_new_session=True,
                pass_fds=(write_end,),
            )
        finally:
            os.close(write_end)

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
        if self.is_up or self.ending or not self._has_told_so():
            return False
        self.is_up = node_health(self.url, timeout_s, self._ca) is not None
        return self.is_up

    def _has_told_so(self) -> bool:
        if not self._is_ready and not self._word.closed:
            self._is_ready = bool(self._word.read(1))  # None when it has not said anything yet
        return self._is_ready

    def ask_to_end(self) -> None:
        """Send SIGTERM."""
        self._process.terminate()

    def kill(self) -> None:
        """Send SIGKILL and wait for its end."""
        self._process.kill()
        self._process.wait()
        self._word.close()

    def wait_for_end(self, timeout_s: float) -> bool:
        """Wait for its end; kill it and return False when that takes too long."""
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            return False
        finally:
            self._word.close()
            if self._process.stdin is not None:
                self._process.stdin.close()
        return True
