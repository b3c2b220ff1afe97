"""A process in the path between nodes, which carries, delays, holds or refuses their connections.

    python -m tests.cluster.proxy '{"n1>n2": 7202, ...}'

Each wire leads from one node to the peer port of another.  A first line on stdout tells the port of
each wire; each line on stdin, `{"n1>n2": ["hold", 0], ...}`, sets modes and delays (milliseconds), and
is answered with a line once they hold.  The process ends with its stdin.

What a node sends to another travels on connections that it has made itself, so a wire carries the
messages of one direction.  A wire whose far end refuses connections refuses them too, so that a node
sees the same as without it.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import sys
from collections.abc import Callable
from contextlib import suppress

CHUNK_BYTES = 64 * 1024
LOOK_SECONDS = 0.02
RESET_ON_CLOSE = struct.pack("ii", 1, 0)

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Wire:
    """The connections from one node to the port `target` of another."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._delay_s = 0.0
        self._refuses = False
        self._passing = asyncio.Event()
        self._passing.set()
        self._carried: set[asyncio.Task[None]] = set()
        self._listener: socket.socket | None = None
        self._holder = _bound_to(0)  # never listens: it keeps the port while nobody does
        self.port: int = self._holder.getsockname()[1]

    def set(self, mode: str, delay_ms: int) -> None:
        """`pass`; `hold`: nothing gets through, not even an end, until later; `reset`: what there is
        breaks, and nothing new is taken."""
        self._delay_s = delay_ms / 1000
        self._refuses = mode == "reset"
        if mode == "hold":
            self._passing.clear()
        else:
            self._passing.set()
        if self._refuses:
            self._stop_listening()
            for connection in self._carried:
                connection.cancel()

    async def run(self) -> None:
        """Take connections whenever the far end does."""
        while True:
            if self._listener is None and await self._far_end_listens() and not self._refuses:
                self._listen()
            await asyncio.sleep(LOOK_SECONDS)

    def _listen(self) -> None:
        self._listener = _bound_to(self.port)
        self._listener.listen()
        asyncio.get_running_loop().add_reader(self._listener, self._take, self._listener)

    def _take(self, listener: socket.socket) -> None:
        try:
            taken, _ = listener.accept()
        except OSError:  # who asked has gone again
            return
        taken.setblocking(False)
        carried = asyncio.ensure_future(self._carry(taken))
        self._carried.add(carried)
        carried.add_done_callback(self._carried.discard)

    def _stop_listening(self) -> None:
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()
            self._listener = None

    async def _far_end_listens(self) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            return False
        writer.close()
        return True

    async def _carry(self, taken: socket.socket) -> None:
        near = await asyncio.open_connection(sock=taken)
        try:
            await self._passing.wait()
            far = await asyncio.open_connection("127.0.0.1", self._target)
        except (OSError, asyncio.CancelledError):
            _break(near)
            self._stop_listening()
            return
        ways = [
            asyncio.ensure_future(self._pump(near, far, far[1].write_eof)),
            asyncio.ensure_future(self._pump(far, near, near[1].close)),  # a server that ends is gone
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            _break(near)
            _break(far)
        if not await self._far_end_listens():
            self._stop_listening()

    async def _pump(self, source: Stream, sink: Stream, end: Callable[[], None]) -> None:
        """Carry one way until it ends.  Raises `OSError` when the connection breaks."""
        while True:
            try:
                chunk = await source[0].read(CHUNK_BYTES)
            except OSError:
                await self._passing.wait()
                raise
            if self._delay_s:
                await asyncio.sleep(self._delay_s)
            await self._passing.wait()
            if not chunk:
                end()
                return
            sink[1].write(chunk)
            await sink[1].drain()


def _bound_to(port: int) -> socket.socket:
    bound = socket.socket()
    bound.setblocking(False)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(("127.0.0.1", port))
    return bound


def _break(stream: Stream) -> None:
    taken = stream[1].get_extra_info("socket")
    with suppress(OSError):  # it is closed
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    stream[1].transport.abort()


async def main(targets: dict[str, int]) -> None:
    """Run the wires until stdin ends."""
    wires = {name: Wire(target) for name, target in targets.items()}
    running = [asyncio.ensure_future(wire.run()) for wire in wires.values()]
    tell({name: wire.port for name, wire in wires.items()})
    orders = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(orders), sys.stdin
    )
    while line := await orders.readline():
        for name, (mode, delay_ms) in json.loads(line).items():
            wires[name].set(mode, delay_ms)
        tell("done")
    for wire in running:
        wire.cancel()


def tell(document: object) -> None:
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
