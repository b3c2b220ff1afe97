"""What a node or a gateway writes to standard error."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tvault.server.logs import EventLine, begin_logs

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)


@contextmanager
def nothing_set_up() -> Iterator[None]:
    """Logging as a process finds it at its start; afterwards it is as it was."""
    root, own = logging.getLogger(), logging.getLogger("tvault")
    handlers, levels = root.handlers[:], (root.level, own.level)
    root.handlers[:] = []
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(levels[0])
        own.setLevel(levels[1])


def written(form: str, level: str = "info") -> list[str]:
    """The lines that come of some messages."""
    stream = io.StringIO()
    with nothing_set_up():
        begin_logs(form, level, "n1", stream)
        log = logging.getLogger("tvault.serve")
        log.info("node %s answers", "n1")
        log.warning("a name with a\nline end and \u00e4")
        log.info(EventLine(event="secret-put", owner="A", created=1))
        logging.getLogger("urllib3.connectionpool").debug("GET /secrets/NAME")
        logging.getLogger("urllib3.connectionpool").info("GET /secrets/NAME")
        logging.getLogger("cheroot").error("of others")
    return stream.getvalue().splitlines()


def test_a_json_log_has_one_object_a_line_with_its_time_level_and_node() -> None:
    lines = [json.loads(line) for line in written("json")]
    assert all(TIME.fullmatch(line.pop("time")) for line in lines)
    assert {line.pop("node") for line in lines} == {"n1"}
    mine = {"logger": "tvault.serve"}
    assert lines == [
        {**mine, "level": "INFO", "message": "node n1 answers"},
        {**mine, "level": "WARNING", "message": "a name with a\nline end and \u00e4"},
        {**mine, "level": "INFO", "message": "", "event": "secret-put", "owner": "A", "created": 1},
        {"logger": "cheroot", "level": "ERROR", "message": "of others"},
    ]


def test_a_text_log_has_the_time_the_level_and_the_text() -> None:
    first, second, _rest, event, others = written("text")
    assert re.fullmatch(r"[-0-9]{10} [0-9:,]{12} INFO node n1 answers", first)
    assert second.endswith(" WARNING a name with a")
    assert event.endswith(' INFO {"event":"secret-put","owner":"A","created":1}')
    assert others.endswith(" ERROR of others")


@pytest.mark.parametrize(("level", "count"), [("warning", 2), ("error", 1)])
def test_what_is_less_important_than_the_level_is_not_written(level: str, count: int) -> None:
    assert len(written("json", level)) == count
