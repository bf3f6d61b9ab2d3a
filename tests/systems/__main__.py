"""The command in a process that refuses what Windows refuses, on any machine: python -m tests.systems.windows WORDS.

It lacks the modules, functions and signals that Windows lacks; folders cannot be opened, open files neither replaced
nor removed, names with ``:`` or ``?`` not made, links not made; text has the code page 1252 and ends its lines with
``\\r\\n``, whoever does not say otherwise. What is imported before stands as on this machine: paths keep their ``/``.
"""

from __future__ import annotations

import builtins
import errno
import fcntl
import importlib
import io
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import types
import zoneinfo
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Third parties look at the system as they are imported; so they and the standard library stand as on this machine.
BEFORE = ("click", "filelock", "platformdirs", "polars", "pyarrow.parquet", "rich.console", "rich.progress",
          "rich.table", "tiktoken", "tokenizers", "yaml", "tempfile", "concurrent.futures.process",
          "multiprocessing.sharedctypes", "multiprocessing.popen_spawn_posix",
          "multiprocessing.resource_tracker")  # fmt: skip
LACKING_MODULES = ("fcntl", "resource", "termios", "pty", "pwd", "grp", "syslog")
LACKING_SIGNALS = ("SIGKILL", "SIGHUP", "SIGALRM", "SIGCHLD", "SIGUSR1", "setitimer", "siginterrupt", "pthread_sigmask")
LACKING_FUNCTIONS = ("getuid", "geteuid", "getgid", "fork", "sched_getaffinity", "O_DIRECTORY", "O_NOFOLLOW", "mkfifo",
                     "chown", "statvfs", "setsid", "killpg", "nice", "getloadavg", "uname")  # fmt: skip
_REFUSED_NAME = re.compile(r'[<>:"|?*\\\x00-\x1f]|[. ]$|^(con|prn|aux|nul|com\d|lpt\d)(\..*)?$', re.IGNORECASE)
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_open, _fsync, _open_file = os.open, os.fsync, io.open
_flags_of = fcntl.fcntl


def _is_open(path: Any) -> bool:
    """Say whether this process has a file open or mapped, or one below a folder."""
    place = str(Path(os.fsdecode(path)).resolve())
    held = {str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.is_symlink()}
    held |= {line.rstrip("\n").partition("/")[2] for line in _open_file("/proc/self/maps", encoding="utf-8")}
    names = {name if name.startswith("/") else f"/{name}" for name in held}
    return any(name == place or name.startswith(f"{place}/") for name in names)


def _unless_open(function: Callable[..., Any]) -> Callable[..., Any]:
    def guarded(*paths: Any, **more: Any) -> Any:
        for path in paths:
            if isinstance(path, (str, bytes, os.PathLike)) and os.path.lexists(path) and _is_open(path):
                raise PermissionError(errno.EACCES, "The process cannot access the file", os.fsdecode(path))
        return function(*paths, **more)

    return guarded


def _open_as_there(path: Any, flags: int, mode: int = 0o777, **more: Any) -> int:
    if Path(os.fsdecode(path)).is_dir():
        raise PermissionError(errno.EACCES, "Permission denied", os.fsdecode(path))
    return _open(path, flags, mode, **more)


def _sync_as_there(descriptor: int) -> None:
    if not _flags_of(descriptor, fcntl.F_GETFL) & (os.O_WRONLY | os.O_RDWR):
        raise OSError(errno.EBADF, "Bad file descriptor")
    _fsync(descriptor)


def _open_text_as_there(
    file: Any, mode: str = "r", buffering: int = -1, encoding: str | None = None, errors: str | None = None,
    newline: str | None = None, *more: Any, **named: Any,
) -> Any:  # fmt: skip
    if "b" not in mode:
        encoding = encoding or "cp1252"
        newline = "\r\n" if newline is None and mode[0] in "wax" else newline
    return _open_file(file, mode, buffering, encoding, errors, newline, *more, **named)


def _refuse_names(event: str, arguments: tuple[Any, ...]) -> None:
    path = arguments[0] if event == "os.mkdir" else None
    if event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITING:
        path = arguments[0]
    if isinstance(path, (str, bytes, os.PathLike)) and not os.fsdecode(path).startswith(("/proc", "/dev")):
        for part in Path(os.fsdecode(path)).parts:
            if part not in {"/", ".", ".."} and _REFUSED_NAME.search(part):
                raise OSError(errno.EINVAL, "The filename, directory name, or volume label syntax is incorrect", path)


def _no_link(*_paths: Any, **_more: Any) -> None:
    raise OSError(errno.EINVAL, "A required privilege is not held by the client")


def become_windows() -> None:
    """Take from this process what Windows does not have."""
    signals = types.ModuleType("signal")
    signals.__dict__.update(signal.__dict__)
    for module in (subprocess, *(sys.modules[name] for name in sys.modules if name.startswith("multiprocessing."))):
        if hasattr(module, "signal"):
            module.__dict__["signal"] = signals
    for name in LACKING_MODULES:
        sys.modules[name] = None  # type: ignore[assignment]
    for name in LACKING_SIGNALS:
        delattr(signal, name)
    for name in LACKING_FUNCTIONS:
        delattr(os, name)
    shutil._use_fd_functions = False  # type: ignore[attr-defined]
    shutil.rmtree.avoids_symlink_attacks = False
    for name in ("replace", "rename", "unlink", "remove", "rmdir"):
        setattr(os, name, _unless_open(getattr(os, name)))
    os.open, os.fsync, os.symlink = _open_as_there, _sync_as_there, _no_link  # type: ignore[assignment]
    io.open = builtins.open = _open_text_as_there
    zoneinfo.reset_tzpath([])
    sys.addaudithook(_refuse_names)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="cp1252", newline="\r\n")  # type: ignore[union-attr]
    sys.platform = "win32"


def become_macos() -> None:
    """Take from this process what macOS does not have."""

    def no_limit(*_words: Any) -> None:
        raise ValueError("current limit exceeds maximum limit")

    resource.setrlimit = no_limit
    del os.sched_getaffinity
    sys.platform = "darwin"


def main() -> None:
    """Run the commands, the last as a process of its own would be."""
    for name in BEFORE:
        importlib.import_module(name)
    system, *words = sys.argv[1:]
    {"windows": become_windows, "macos": become_macos}[system]()
    from callcost.__main__ import command
    from callcost.cli.root import run

    *first, last = (part.split() for part in " ".join(words).split(" ; "))
    for part in first:
        if code := run(part):
            sys.exit(code)
    sys.argv[1:] = last
    command()


if __name__ == "__main__":
    main()
