"""Faults of the peer port: strangers heard, and nonsense of peers let in (7)."""

from __future__ import annotations

from tests.mutants.mutant import Edit, mutant

_API = "tvault/server/peer_api.py"
_FRAMES = "tvault/server/frames.py"

_PORT = "tests/unit/server/test_peer_port.py"
_MESSAGES = "tests/unit/server/test_peer_messages.py"
_FIRST = "tests/unit/test_first_decoding.py"
_FUZZ = "tests/fuzz/test_peer_messages.py"
_SENSELESS = f"{_MESSAGES}::test_a_message_that_no_correct_node_sends_goes_no_further_than_the_port"

PEERS = (
    mutant(
        "stranger-sends-a-body-first",
        "7 the secret is asked for before anything is read",
        _API,
        "            self._check_secret(environ)\n",
        '            environ["wsgi.input"].read(1)\n            self._check_secret(environ)\n',
        tests=(f"{_PORT}::test_a_stranger_is_refused_before_anything_of_the_body_is_there",),
    ),
    mutant(
        "stream-without-a-greeting",
        "7 a stream begins with a greeting that is checked",
        _API,
        "        peer = self._peer(environ)\n        with",
        '        peer = decode_hello(environ.get("HTTP_TVAULT_HELLO"))\n        with',
        tests=(f"{_PORT}::test_a_peer_with_another_configuration_is_refused_by_name",),
    ),
    mutant(
        "two-streams-of-one-node",
        "7 a new stream of a node ends the one before",
        _API,
        "                older.is_over = True\n                older.hang_up()\n",
        "                pass\n",
        tests=(f"{_PORT}::test_a_new_stream_of_a_node_ends_the_one_before",),
    ),
    mutant(
        "decoder-made-by-threads",
        "7 two peers that greet at once do no harm",
        "tvault/server/hello.py",
        "        return _hellos.decode(raw)\n",
        "        return msgspec.json.decode(raw, type=Hello)\n",
        tests=(f"{_FIRST}::test_two_threads_decode_for_the_first_time_at_once",),
        more=(Edit("tvault/server/hello.py", "_hellos = msgspec.json.Decoder(Hello)\n", ""),),
    ),
    mutant(
        "frame-of-any-length",
        "7 no frame is longer than 64 MiB",
        _FRAMES,
        "    if length > FRAME_BYTES:\n",
        "    if length < 0:\n",
        tests=(f"{_PORT}::test_garbage_ends_the_stream_and_harms_nothing",),
    ),
    mutant(
        "frame-believed-its-length",
        "7 memory is taken for what has come, not for what is announced",
        _FRAMES,
        "    frame: bytes = stream.read(min(length, _PIECE_BYTES))\n",
        "    frame: bytes = stream.read(length)\n",
        tests=(f"{_PORT}::test_memory_is_taken_for_what_has_come_of_a_frame_not_for_what_it_announces",),
    ),
    mutant(
        "nonsense-let-in",
        "7 what no correct node says never reaches the replica",
        _FRAMES,
        "    flaw = nonsense(envelope, peer.ensemble)\n",
        "    flaw = nonsense(envelope, peer.ensemble) and None\n",
        tests=(_SENSELESS,),
    ),
    mutant(
        "rows-unjudged",
        "7 an entry's rows are those that a store gives back",
        _FRAMES,
        "    if flaw is None and isinstance(envelope.message, Append | Learned):\n",
        "    if flaw is not None and isinstance(envelope.message, Append | Learned):\n",
        tests=(_SENSELESS,),
    ),
    mutant(
        "cuts-for-what-continues-nothing",
        "3.3 nothing is cut for an entry that does not continue what stands before it",
        "tvault/replication/copying.py",
        "    before = log.position(entry.seq - 1)\n",
        "    if own is not None and entry.seq > log.committed:\n"
        "        _cut(memory, entry.seq - 1, view)\n"
        "        own = None\n"
        "    before = log.position(entry.seq - 1)\n",
        tests=(f"{_FUZZ}::test_an_entry_that_continues_nothing_undoes_nothing",),
    ),
)
