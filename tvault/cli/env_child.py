"""The child of `tvault env run`: what its environment may not hold, and how it takes our place."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from tvault.errors import VaultError

API_KEY = "TVAULT_API_KEY"

NOT_RUN = 126
"""The exit code when the command is there but cannot be run."""

NOT_THERE = 127
"""The exit code when there is no such command."""

LONGEST_VARIABLE = 128 * 1024
"""Linux takes no longer `NAME=value`, whatever the size of the rest."""

# Names that change how programs load or run; one that ends with `*` stands for all that begin so.

LOADERS = """
LD_* DYLD_* GLIBC_TUNABLES GCONV_PATH GETCONF_DIR LOCPATH NLSPATH MALLOC_TRACE
HOSTALIASES LOCALDOMAIN RES_OPTIONS RESOLV_HOST_CONF
OPENSSL_CONF OPENSSL_MODULES OPENSSL_ENGINES GIO_EXTRA_MODULES GTK_MODULES QT_PLUGIN_PATH
CAML_LD_LIBRARY_PATH LIBMYSQL_PLUGIN* ODBCSYSINI ODBCINI SSH_SK_PROVIDER
"""
"""What the dynamic linker, the C library and others load code or settings by: those that programs with
more rights than their user ignore for that reason, and their kin."""

SHELLS = """
PATH IFS ENV BASH_ENV BASH_FUNC_* BASH_LOADABLES_PATH BASHOPTS SHELLOPTS PROMPT_COMMAND PS4 CDPATH
GLOBIGNORE ZDOTDIR FPATH SHELL HOME XDG_CONFIG_HOME XDG_CONFIG_DIRS XDG_DATA_HOME XDG_DATA_DIRS
"""
"""Where commands and the settings of a user are found, how shells take words apart, and what they run
before a script.  Many programs run what the settings of their user say."""

LANGUAGES = """
PYTHONPATH PYTHONHOME PYTHONSTARTUP PYTHONUSERBASE PYTHONEXECUTABLE PYTHONPLATLIBDIR PYTHONBREAKPOINT
PYTHONWARNINGS PYTHONINSPECT PYTHONPYCACHEPREFIX
PERL5LIB PERLLIB PERL5OPT PERL5DB RUBYOPT RUBYLIB RUBYPATH RUBYSHELL GEM_PATH GEM_HOME BUNDLE_GEMFILE
NODE_OPTIONS NODE_PATH NODE_REPL_EXTERNAL_MODULE PHPRC PHP_INI_SCAN_DIR
LUA_INIT* LUA_PATH* LUA_CPATH* TCLLIBPATH EMACSLOADPATH VIMINIT EXINIT R_PROFILE R_PROFILE_USER
R_ENVIRON R_ENVIRON_USER R_LIBS R_LIBS_USER R_LIBS_SITE ERL_LIBS ERL_FLAGS ERL_AFLAGS ERL_ZFLAGS
JAVA_TOOL_OPTIONS _JAVA_OPTIONS JDK_JAVA_OPTIONS CLASSPATH MAVEN_OPTS GRADLE_OPTS
DOTNET_STARTUP_HOOKS DOTNET_ADDITIONAL_DEPS DOTNET_SHARED_STORE COR_PROFILER* CORECLR_PROFILER*
COR_ENABLE_PROFILING CORECLR_ENABLE_PROFILING JAVA_HOME TCL_LIBRARY AWKLIBPATH AWKPATH GUILE_LOAD_PATH
GUILE_LOAD_COMPILED_PATH JULIA_LOAD_PATH JULIA_DEPOT_PATH PYTEST_ADDOPTS PYTEST_PLUGINS GOFLAGS GOROOT
RUSTC RUSTC_WRAPPER RUSTC_WORKSPACE_WRAPPER RUSTFLAGS MAKEFLAGS GNUMAKEFLAGS MAKEFILES
"""
"""What interpreters, virtual machines and builders load or run besides the program they are given."""

OTHERS = """
GIT_SSH GIT_SSH_COMMAND GIT_PROXY_COMMAND GIT_ASKPASS GIT_EDITOR GIT_SEQUENCE_EDITOR GIT_PAGER
GIT_EXTERNAL_DIFF GIT_EXEC_PATH GIT_TEMPLATE_DIR GIT_CONFIG* GIT_DIR GIT_COMMON_DIR
TAR_OPTIONS SSH_ASKPASS SUDO_ASKPASS RSYNC_RSH CVS_RSH
EDITOR VISUAL PAGER MANPAGER BROWSER LESSOPEN LESSCLOSE
"""
"""Commands that programs run when they need another one."""

_REFUSED = frozenset((LOADERS + SHELLS + LANGUAGES + OTHERS).split())
_REFUSED_BEGINNINGS = tuple(name.removesuffix("*") for name in _REFUSED if name.endswith("*"))
_NPM = "npm_config_"
"""So npm is set, in letters of any case: among other things which shell runs its scripts."""


def refuse_changers(names: Iterable[str], allowed: Collection[str]) -> None:
    """Raise `VaultError` (`invalid_value`) with all names that change how programs load or run."""
    refused = [name for name in names if name not in allowed and changes_programs(name)]
    if refused:
        raise VaultError(
            "invalid_value",
            f"{', '.join(refused)} would change how programs load or run; allow each with --allow NAME, "
            "or name the variables you want with --only",
        )


def changes_programs(name: str) -> bool:
    """Whether a variable of this name makes programs load or run something else."""
    is_named = name in _REFUSED or name.startswith(_REFUSED_BEGINNINGS)
    return is_named or name.lower().startswith(_NPM)


def become(command: tuple[str, ...], variables: Mapping[str, str], *, keeps_api_key: bool) -> NoReturn:
    """Run the command in the place of this process, with these variables besides the inherited ones,
    which they replace.

    So it has this process's id, terminal, signals and end, and nothing of ours is left in memory.
    Raises `VaultError` when the command cannot be run; its member `exit_code` says which way.
    """
    environment = _inherited()
    if not keeps_api_key:
        environment.pop(API_KEY.encode(), None)
    environment.update((name.encode(), value.encode()) for name, value in variables.items())
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    # Python ignores them for itself, and what is ignored stays so in another program.
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    failure: OSError
    try:
        os.execvpe(command[0], command, environment)  # noqa: S606 - what the user asks for
    except OSError as error:
        failure = error
    except ValueError:  # the name of the command is empty
        failure = FileNotFoundError()
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    raise _not_run(command[0], failure, environment)


def _inherited() -> dict[bytes, bytes]:
    """The environment that this process was given.  Where no locale is set, Python adds one for itself
    and its children."""
    environment = dict(os.environb)
    with suppress(OSError):
        given = Path("/proc/self/environ").read_bytes()
        if b"\0LC_CTYPE=" not in b"\0" + given:
            environment.pop(b"LC_CTYPE", None)
    return environment


def _not_run(command: str, error: OSError, environment: Mapping[bytes, bytes]) -> VaultError:
    exit_code = NOT_RUN
    why = error.strerror or "it cannot be run"
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        exit_code = NOT_THERE
        why = (
            "its interpreter is not there" if "/" in command and Path(command).exists() else "not found"
        )
    elif error.errno == errno.E2BIG:
        long = [name for name, value in environment.items() if len(name + value) + 2 > LONGEST_VARIABLE]
        names = ", ".join(name.decode(errors="replace") for name in long)
        why = f"no variable may be as long as {names}" if long else "the environment is too long"
    told = f"cannot run {command or repr(command)}: {why}"
    return VaultError("internal", told, members={"exit_code": exit_code})
