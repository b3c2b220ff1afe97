"""The proxy between nodes does as it is told: else the runs that rely on it prove little."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.cluster.cluster import Cluster, eventually
from tests.cluster.wires import Wires

PAIR = ("n1", "n2")


class Echo:
    """Stands in the place of n2's peer port and sends back what it gets."""

    def __init__(self, port: int) -> None:
        self._listener = socket.create_server(("127.0.0.1", port))
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                taken, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._echo, args=(taken,), daemon=True).start()

    def _echo(self, taken: socket.socket) -> None:
        with taken, suppress(ConnectionResetError):
            while chunk := taken.recv(100_000):
                taken.sendall(chunk)

    def close(self) -> None:
        with suppress(OSError):  # again
            self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()


@pytest.fixture
def wires(tmp_path: Path) -> Iterator[tuple[Wires, Echo, int]]:
    cluster = Cluster(tmp_path / "vault")
    led = Wires(cluster)
    echo = Echo(int(cluster.peers["n2"].rsplit(":", 1)[1]))
    try:
        eventually(lambda: is_taken(led.ports["n1>n2"]))
        yield led, echo, led.ports["n1>n2"]
    finally:
        echo.close()
        led.close()


def is_taken(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def comes_back(stream: socket.socket, text: bytes, seconds: float) -> bool:
    stream.settimeout(seconds)
    try:
        stream.sendall(text)
        return stream.recv(100) == text
    except TimeoutError:
        return False


def test_a_wire_carries_holds_and_delays(wires: tuple[Wires, Echo, int]) -> None:
    led, _, port = wires
    with socket.create_connection(("127.0.0.1", port)) as stream:
        assert comes_back(stream, b"one", 5)
        led.set([PAIR], "hold")
        assert not comes_back(stream, b"two", 0.2)
        led.set([PAIR], "pass")
        stream.settimeout(5)
        assert stream.recv(100) == b"two", "what was held is lost"
        led.set([PAIR], "pass", 100)
        began = time.monotonic()
        assert comes_back(stream, b"three", 5)
        assert time.monotonic() - began >= 0.2, "once on each way"


def test_a_wire_breaks_what_there_is_and_takes_nothing_new_until_told(
    wires: tuple[Wires, Echo, int],
) -> None:
    led, _, port = wires
    with socket.create_connection(("127.0.0.1", port)) as stream:
        assert comes_back(stream, b"one", 5)
        led.set([PAIR], "reset")
        with pytest.raises(ConnectionResetError):
            stream.recv(100)
    assert not is_taken(port)
    led.heal()
    eventually(lambda: is_taken(port))


def test_a_wire_refuses_connections_while_its_far_end_does(wires: tuple[Wires, Echo, int]) -> None:
    led, echo, port = wires
    with socket.create_connection(("127.0.0.1", port)) as stream:
        assert comes_back(stream, b"one", 5)
    assert is_taken(port)
    echo.close()
    eventually(lambda: not is_taken(port))
    assert not is_taken(port)
    led.heal()
    assert not is_taken(port)
