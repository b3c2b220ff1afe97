"""PostgreSQL with two synchronous standbys, on sockets in a folder of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench import machine
from tests.cluster.cluster import eventually

NAMES = ("primary", "standby1", "standby2")
FIRST_PORT = 5432
UNPRIVILEGED = "nobody"
STOP_SECONDS = 60.0

SETTINGS = """
listen_addresses = ''
unix_socket_directories = '{folder}'
shared_buffers = 256MB
max_wal_size = 4GB
fsync = on
synchronous_commit = on
synchronous_standby_names = 'FIRST 2 (*)'
"""


def programs() -> Path | None:
    """The folder of PostgreSQL's programs, or None when it is not installed."""
    found = shutil.which("initdb")
    places = [Path(found).resolve().parent] if found else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    needed = ("initdb", "postgres", "pg_basebackup", "psql")
    return next((place for place in places if all((place / name).exists() for name in needed)), None)


@dataclass(frozen=True)
class Servers:
    """Three running servers; the primary's socket is in `folder`, and `asked` gives its answer to a
    query, as text."""

    folder: Path
    asked: Callable[[str], str]
    processes: dict[str, subprocess.Popen[bytes]]
    port: int = FIRST_PORT

    def cpu_seconds(self) -> float:
        """CPU that all processes of all servers have used by now."""
        return sum(machine.family_cpu_seconds(process.pid) for process in self.processes.values())


class _Account:
    """Who the servers run as: they refuse to be root."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self._programs = programs
        self._folder = folder
        self._wish: dict[str, int] = {}
        folder.mkdir(mode=0o700)
        if os.geteuid() == 0:
            entry = pwd.getpwnam(UNPRIVILEGED)
            self._wish = {"user": entry.pw_uid, "group": entry.pw_gid}
            os.chown(folder, entry.pw_uid, entry.pw_gid)
            folder.parent.chmod(0o711)

    def run(self, program: str, *arguments: str) -> str:
        """What a program says that ends by itself."""
        done = subprocess.run(
            [str(self._programs / program), *arguments],
            cwd=self._folder,
            capture_output=True,
            text=True,
            check=False,
            **self._wish,  # type: ignore[call-overload]
        )
        assert done.returncode == 0, f"{program}: {done.stderr}"
        return str(done.stdout)

    @contextmanager
    def serving(self, name: str, port: int) -> Iterator[subprocess.Popen[bytes]]:
        """A server that is told to end at the end, and is waited for."""
        with (self._folder.parent / f"{self._folder.name}-{name}.log").open("wb") as log:
            process = subprocess.Popen(
                [str(self._programs / "postgres"), "-D", str(self._folder / name), "-p", str(port)],
                cwd=self._folder,
                stdout=log,
                stderr=log,
                **self._wish,  # type: ignore[call-overload]
            )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(STOP_SECONDS)

    def asked(self, query: str) -> str:
        """What the primary answers; empty while it does not."""
        try:
            where = ["-h", str(self._folder), "-p", str(FIRST_PORT), "-U", "bench", "-d", "postgres"]
            return self.run("psql", *where, "-Atc", query).strip()
        except AssertionError:
            return ""


@contextmanager
def servers(programs: Path, home: Path) -> Iterator[Servers]:
    """A primary that acknowledges a commit when both standbys have it on their disks, too."""
    account = _Account(programs, home)
    primary, *standbys = NAMES
    account.run(
        "initdb",
        *("-D", str(home / primary), "-U", "bench", "--auth=trust", "--no-sync"),
        *("-E", "UTF8", "--locale=C", "--data-checksums"),
    )
    with (home / primary / "postgresql.conf").open("a") as config:
        config.write(SETTINGS.format(folder=home))
    with ExitStack() as stack:
        processes = {primary: stack.enter_context(account.serving(primary, FIRST_PORT))}
        eventually(lambda: account.asked("SELECT 1") == "1")
        for number, name in enumerate(standbys, start=1):
            where = f"host={home} port={FIRST_PORT} user=bench application_name={name}"
            account.run("pg_basebackup", "-D", str(home / name), "-R", "-c", "fast", "-d", where)
            processes[name] = stack.enter_context(account.serving(name, FIRST_PORT + number))
        joined = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"
        eventually(lambda: account.asked(joined) == str(len(standbys)))
        yield Servers(home, account.asked, processes)
