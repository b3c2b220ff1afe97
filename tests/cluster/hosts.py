"""Hosts in folders: laid out by the commands of the page on deploying, run by its units."""

from __future__ import annotations

import configparser
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import requests

from tests.cluster.cluster import free_base_port
from tests.docs.pages import ROOT, page_called, read, snippets

DEPLOY = ROOT / "examples" / "deploy"
INSTALLED = Path(sys.executable).parent
STAND_INS = {
    "ssh": 'shift; exec sh -c "$*"',
    "runuser": 'shift 3; exec "$@"',
    "useradd": ":",
    "chown": ":",
}
"""What takes root, another user or another machine, and is left out or done here."""


def commands(page: str, beginning: str) -> str:
    """The block of shell commands of a page that begins so."""
    (found,) = [
        block for block in snippets(read(page_called(page)), "sh") if block.startswith(beginning)
    ]
    return found


class Unit:
    """A unit file of the examples."""

    def __init__(self, name: str) -> None:
        self.text = read(DEPLOY / f"{name}.service")
        self._parsed = configparser.ConfigParser(interpolation=None, strict=False)
        self._parsed.optionxform = str  # type: ignore[assignment,method-assign]
        self._parsed.read_string(self.text)

    def service(self, setting: str) -> str:
        """A setting of its service; the last one of several."""
        return self._parsed["Service"][setting]


class Hosts:
    """Three hosts in `folder`, each with an address of loopback and what the page's commands give it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        base = free_base_port(1)
        self._api, self._peer = base + 1, base + 101
        self.names = {f"n{i}": f"127.0.0.{i}" for i in (1, 2, 3)}
        self.urls = {name: f"https://{host}:{self._api}" for name, host in self.names.items()}
        self.ca = folder / "cluster" / "tls" / "ca.pem"
        self.config = folder / "cluster" / "tvault.toml"
        self._stand_ins = folder / "bin"
        self._stand_ins.mkdir(parents=True)
        for name, does in STAND_INS.items():
            (self._stand_ins / name).write_text(f"#!/bin/sh\n{does}\n")
            (self._stand_ins / name).chmod(0o755)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def root(self, name: str) -> Path:
        """What stands for the root folder of a host."""
        return self.folder / "hosts-there" / self.names[name]

    def lay_out(self) -> None:
        """Run the commands of the pages: first on the operator's machine, then on each host."""
        for page, beginning in (
            ("deploy", "(umask 077"),
            ("deploy", "for i in"),
            ("tls", "mkdir -m 700 ca"),
            ("tls", "for host in"),
            ("deploy", "mkdir cluster/tls"),
        ):
            self.run(commands(page, beginning))
        for name in self.names:
            self.run(commands("deploy", "useradd"), name)

    def run(self, script: str, name: str | None = None) -> str:
        """What commands of a page print, on a host or on the operator's machine."""
        path = os.pathsep.join((str(self._stand_ins), str(INSTALLED), os.environ["PATH"]))
        done = subprocess.run(
            ["sh", "-euc", self.here(script, name)],
            cwd=self.folder,
            env=os.environ | {"PATH": path},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def here(self, text: str, name: str | None = None) -> str:
        """A text of the page or a unit with the places, hosts and ports of this test in it."""
        etc = self.root(name) / "etc" if name else f"{self.folder}/hosts-there/$host/etc"
        text = text.replace(".example:7101", f".example:{self._api}")
        text = text.replace(".example:7201", f".example:{self._peer}")
        text = re.sub(r"\bn(\$i|\d)\.example", r"127.0.0.\1", text).replace("DNS:%s", "IP:%s")
        text = text.replace("/opt/tvault/bin/", f"{INSTALLED}/").replace("/etc/tvault", f"{etc}/tvault")
        return text.replace("/var/lib/tvault", f"{self.folder}/var/lib/tvault")

    def start(self, unit: Unit, name: str, instance: str = "") -> None:
        """Start what a unit starts, on a host, and return at once."""
        instance = instance or name
        command = shlex.split(self.here(unit.service("ExecStart"), name).replace("%i", instance))
        with (self.folder / "log").open("ab") as log:
            self.processes[instance] = subprocess.Popen(
                command, cwd="/", stdout=subprocess.DEVNULL, stderr=log
            )

    def stop(self, unit: Unit, instance: str) -> int:
        """End it as its unit does, in the time that this allows; its exit code."""
        process = self.processes.pop(instance)
        process.send_signal(signal.Signals[unit.service("KillSignal")])
        return process.wait(int(unit.service("TimeoutStopSec")))

    def health(self, url: str) -> str:
        """What answers there says of its health; empty when nothing answers."""
        with requests.Session() as session:
            session.trust_env = False
            try:
                answer = session.get(f"{url}/health", verify=str(self.ca), timeout=2)
            except requests.RequestException:
                return ""
            return str(answer.json()["status"])

    def is_whole(self) -> bool:
        """Whether all hosts say that their nodes are well."""
        return all(self.health(url) == "ok" for url in self.urls.values())

    def end(self) -> None:
        """End all that runs."""
        for process in self.processes.values():
            process.kill()
            process.wait()
