"""Which files, and their bytes: arguments to inputs, and an input to its records as bytes.

Records are cut out in records.py; Parquet is only recognised here and opened in stages/. A file that is no log of
calls (an archive, an access log) is refused as a whole: one reject, without a row.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import signal
import stat
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from glob import glob
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec

from callcost.errors import LogError
from callcost.logs.agent_homes import files_beside_logs
from callcost.logs.io.compression import BLOCK, Damage, decompress, open_range
from callcost.logs.io.csv_rows import read_rows
from callcost.logs.io.databases import COMPANIONS, MAGIC
from callcost.logs.io.folders import folder_at
from callcost.logs.io.object_store import Stored, find_objects, is_url, open_input, written_name
from callcost.logs.io.records import Raw, read_lines, read_values
from callcost.logs.io.sniff import REFUSALS, container_of
from callcost.logs.io.temporary import folder_of_process
from callcost.logs.own_output import HIDDEN_DOCUMENTS, TOOL_RESULTS, OwnFolder, Read, Skipped, find_own
from callcost.settings import STOP_SIGNALS
from callcost.tables import Reject
from callcost.whole_files import TEMPORARY_SUFFIX

STDIN = "-"


def _read_cassette(blocks: Iterator[bytes], longest: int | None) -> Iterator[Raw | Reject]:
    from callcost.logs.io.yaml_cassettes import read_cassette  # noqa: PLC0415 - PyYAML takes 30 ms, and few logs are YAML

    return read_cassette(blocks, longest)


_WHOLE = {"json": read_values, "csv": read_rows, "yaml": _read_cassette}  # never cut: a line alone says nothing


class Input(msgspec.Struct, frozen=True, kw_only=True):
    """One file to read.

    Attributes:
        path: path or URL of the file.
        name: name in reports: last component of the argument and the path below it, as written_name has them.
        bytes: size of the file as stored, packed or not.
        stored: description by its object store; None: it is a file on a disk.
        disk_name: name with the bytes that it has on disk, where that is another one.
    """

    path: str
    name: str
    bytes: int
    stored: Stored | None = None
    disk_name: str | None = None


class Found(NamedTuple):
    """What the arguments name.

    Attributes:
        inputs: files, in order, each once.
        skipped: folders below the arguments that callcost itself wrote, or that hold outputs of an agent's tools.
    """

    inputs: list[Input]
    skipped: tuple[Skipped, ...]


def find_inputs(paths: Sequence[str]) -> list[Input]:
    """Return the files of find_logs."""
    return find_logs(paths).inputs


def find_logs(paths: Sequence[str]) -> Found:
    """Return the files that the arguments name, without those below them that are no logs for sure.

    Args:
        paths: files, folders (searched recursively, hidden entries and what tools put out for Claude Code left out),
            globs, URLs of object stores, "-" for stdin.

    Raises:
        LogError: there is no argument, or one matches nothing, or only what is no log.
    """
    if not paths:
        raise LogError("no logs are named", hint="Give files, folders, globs, URLs of a store or - for stdin")
    inputs: list[Input] = []
    skipped: list[Skipped] = []
    seen: set[str] = set()
    roots: Counter[str] = Counter()
    names: Counter[str] = Counter()
    for argument in paths:
        found = [*(_stored_roots(argument) if is_url(argument) else _local_roots(argument))]
        if not any(root.files for root in found):
            _refuse_own(argument, [own for root in found for own in root.own])
        for root in found:
            name = free_name(root.last, roots)
            skipped += [Skipped(written_name(f"{name}/{own.folder}".rstrip("/")), own.what) for own in root.own]
            for below, (path, place, size, stored) in root.files.items():
                if place not in seen:
                    seen.add(place)
                    whole = f"{name}/{below}" if below else name
                    written = written_name(whole)  # no other's, also where only that is what other bytes are written as
                    disk_name = whole if written != whole else None
                    free = free_name(written, names)
                    inputs.append(Input(path=path, name=free, bytes=size, stored=stored, disk_name=disk_name))
    return Found(inputs, tuple(skipped))


def free_name(name: str, roots: Counter[str]) -> str:
    """Return a name, or NAME#2 and so on, where others that are counted have it."""
    roots[name] += 1
    return name if roots[name] == 1 else f"{name}#{roots[name]}"


def _refuse_own(argument: str, own: Sequence[OwnFolder]) -> None:
    if own:
        named = ", ".join(f"{one.folder} ({one.what})" if one.folder else one.what for one in own)
        raise LogError(f"{argument} holds no logs, only {named}", hint=own[0].hint)


def own_kind(argument: str) -> str | None:
    """Return what kind of folder an argument is that callcost wrote, where no log lies in it; None: it is logs."""
    try:
        if argument == STDIN or not (is_url(argument) or Path(argument).is_dir()):
            return None
    except OSError:  # as of a name that is too long: whoever reads the logs says so
        return None
    if all(folder_at(argument).read(name) is None for name in ("manifest.json", "ledger.json")):
        return None
    roots = [*(_stored_roots(argument) if is_url(argument) else _local_roots(argument))]
    own = [own for root in roots for own in root.own if not own.folder]
    return own[0].what if own and not any(root.files for root in roots) else None


def is_read_once(argument: str) -> bool:
    """Say whether what an argument names can be read only once: stdin, a pipe, a terminal."""
    if argument == STDIN or is_url(argument):
        return argument == STDIN
    try:
        mode = Path(argument).stat().st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)


def read_again(arguments: Sequence[str], inputs: Sequence[Input]) -> tuple[str, ...]:
    """Return arguments that any process may read, at any time: for what can be read only once, the copies of it.

    Args:
        arguments: LOGS of the command.
        inputs: files that were found for them.
    """
    return tuple(source.path for source in inputs) if any(map(is_read_once, arguments)) else tuple(arguments)


def blocks_of(source: Input) -> Iterator[bytes]:
    """Yield a file's uncompressed bytes, piece by piece.

    Raises:
        Damage: the compressed file ends too early or is broken.
        OSError: the file cannot be read.
    """
    with open_input(source.path) as stream:
        yield from decompress(stream)


def read_raw(
    source: Input, start: int | None = None, end: int | None = None, first_row: int = 1, longest: int | None = None
) -> Iterator[Raw | Reject]:
    """Yield the records of a file as bytes, in order; what cannot be read is a reject in its place.

    Args:
        source: any file but Parquet.
        start: position from which on lines begin that are read; uncompressed JSONL only.
        end: position from which on they are not; None: the end of the file.
        first_row: row of the first line of the range, from 1.
        longest: bytes that a record may have; None: MAX_RECORD of containers.
    """
    container = container_of(source.path) if not start else "jsonl"
    if container in REFUSALS:
        refused = REFUSALS[container]
        yield Reject(reason=refused.reason, detail=refused.detail)
        return
    try:
        if container in _WHOLE:
            yield from _WHOLE[container](blocks_of(source), longest)
        else:
            with open_input(source.path) as stream:
                begin, blocks = open_range(stream, start or 0, end)
                yield from read_lines(blocks, begin, first_row, sse=container == "sse", longest=longest)
    except Damage as damage:
        yield truncated(damage)
    except OSError as error:
        yield unreadable(error)


def truncated(damage: Damage) -> Reject:
    """Return the reject of the rest of a file that is packed and damaged."""
    return Reject(reason="truncated_file", detail=str(damage), byte_offset=damage.offset)


def unreadable(error: OSError) -> Reject:
    """Return the reject of (the rest of) a file that cannot be read."""
    return Reject(reason="unreadable_file", detail=type(error).__name__)


# The folder of what tools put out for Claude Code (PROJECT/SESSION/tool-results): an answer of an API there is no call.
_TOOL_RESULTS = re.compile(r"(?:.*?/)??tool-results(?=/)", re.DOTALL)
_File = tuple[str, str, int, Stored | None]  # path, what tells where that really is, size, what its store says


class _Root(NamedTuple):
    """A file or folder that an argument names.

    Attributes:
        last: component of its path.
        files: path below -> file, of each that may be a log.
        own: folders below that are none: callcost wrote them, or an agent's tools did.
    """

    last: str
    files: Mapping[str, _File]
    own: Sequence[OwnFolder]


def _local_roots(argument: str) -> Iterator[_Root]:
    for root in _expand(argument):
        paths, hidden, locked = _walk(root)
        files = {path.relative_to(root).as_posix(): (str(path), *_place_and_size(path), None) for path in paths}
        below, closed = ([path.relative_to(root).as_posix() for path in found] for found in (hidden, locked))
        roots = [path.as_posix() for path in (root, root.absolute(), root.resolve())]
        yield _root_of(STDIN if argument == STDIN else _last_component(root), roots, files, below, closed)


def _stored_roots(argument: str) -> Iterator[_Root]:
    found = list(find_objects(argument, HIDDEN_DOCUMENTS))
    if not found:
        raise _no_match(argument)
    for root, objects in found:
        files = {each.url[len(root) + 1 :]: (each.url, each.url, each.bytes, each) for each in objects}
        hidden = [name for name in files if name.rpartition("/")[2] in HIDDEN_DOCUMENTS]
        shown = {name: file for name, file in files.items() if name not in hidden}
        yield _root_of(root.rpartition("/")[2], (root,), shown, hidden)


def _root_of(
    last: str, roots: Sequence[str], files: Mapping[str, _File], hidden: list[str], locked: Sequence[str] = ()
) -> _Root:
    read = _reader(roots[0])
    own, ours = find_own([*files], hidden, read)
    results = {name: found[0] for name in files if (found := _TOOL_RESULTS.match(name))}
    ours |= results.keys() | _parts_of_databases(files, read)
    passed = ours | {".", *locked}
    beside = files_beside_logs(roots, [name for name in files if name not in passed])
    others = {(folder, TOOL_RESULTS) for folder in results.values()} | {*beside.values()}
    hint = "Name its files themselves to read them as logs"
    own += [OwnFolder(folder, what, hint) for folder, what in sorted(others)]
    logs = {name: file for name, file in files.items() if name not in ours and name not in beside}
    return _Root(last, {"" if name == "." else name: file for name, file in logs.items()}, own)


def _parts_of_databases(files: Mapping[str, _File], read: Read) -> set[str]:
    """Return the files that belong to a database beside them, which is read with them."""
    parts = {name: name.removesuffix(end) for end in COMPANIONS for name in files if name.endswith(end)}
    wholes = {whole for whole in parts.values() if whole in files and read(whole, 0, len(MAGIC)) == MAGIC}
    return {name for name, whole in parts.items() if whole in wholes}


def _reader(root: str) -> Read:
    """Return what reads a part of a file below a root; nothing of one that cannot be read."""

    def read(path: str, start: int, size: int) -> bytes:
        with contextlib.suppress(OSError), open_input(f"{root}/{path}") as stream:
            end = stream.seek(0, io.SEEK_END)
            stream.seek(max(end + start, 0) if start < 0 else start)
            return stream.read(size)
        return b""

    return read


def _no_match(argument: str) -> LogError:
    return LogError(f"no file matches {argument}", hint="Give files, folders, globs, URLs of a store or - for stdin")


def _expand(argument: str) -> list[Path]:
    if argument == STDIN:
        return [_spool(sys.stdin.buffer)]
    path = Path(argument)
    try:
        mode = path.stat().st_mode
    except PermissionError:
        return [path]  # reading it reports that
    except OSError:
        matches = [Path(match) for match in sorted(glob(argument, recursive=True))]  # noqa: PTH207 - Path.glob takes no absolute pattern
        if not matches:
            raise _no_match(argument) from None
        return matches
    if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
        with path.open("rb") as stream:
            return [_spool(stream)]
    if stat.S_ISDIR(mode) and not _walk(path)[0]:
        raise _no_match(argument)
    return [path]


def _spool(stream: BinaryIO) -> Path:
    """Copy what can be read only once to a temporary file, so that any process can read it, twice."""
    path = folder_of_process() / "log"
    with path.open("wb") as spool:
        if hasattr(signal, "siginterrupt"):  # Polars has reads go on after Ctrl-C, which then nobody hears
            for number in STOP_SIGNALS:
                signal.siginterrupt(number, True)
        shutil.copyfileobj(stream, spool, BLOCK)
    return path


def _walk(root: Path) -> tuple[list[Path], list[Path], list[Path]]:
    """Return the regular files at or below a path, sorted, and the hidden ones that tell which callcost wrote.

    Other hidden files and folders below it are left out.

    A folder that cannot be listed stands for what is in it: reading it reports that, as of a file that cannot be read.
    Such folders are also returned by themselves.
    """
    if not _is(root, stat.S_ISDIR):
        return [root], [], []
    found: list[Path] = []
    hidden: list[Path] = []
    locked: list[Path] = []
    visited = set()

    def note(error: OSError) -> None:
        locked.append(Path(error.filename))

    for folder, folders, names in os.walk(root, onerror=note, followlinks=True):
        visited.add(Path(folder).resolve())
        folders[:] = [
            name for name in folders if not name.startswith(".") and Path(folder, name).resolve() not in visited
        ]
        shown = (name for name in names if not name.startswith(".") and not name.endswith(TEMPORARY_SUFFIX))
        found.extend(path for path in (Path(folder, name) for name in shown) if _is(path, stat.S_ISREG, denied=True))
        hidden += [Path(folder, name) for name in names if name in HIDDEN_DOCUMENTS]
    return sorted([*found, *locked], key=lambda path: path.as_posix()), hidden, locked


def _is(path: Path, kind: Callable[[int], bool], *, denied: bool = False) -> bool:
    """Say whether the mode of what is at a path, if it is not gone, is of a kind; ``denied`` where nobody may look."""
    try:
        return kind(path.stat().st_mode)
    except PermissionError:
        return denied
    except OSError:
        return False


def _last_component(root: Path) -> str:
    return root.name if root.name not in {"", ".."} else root.resolve().name or "root"


def _place_and_size(path: Path) -> tuple[str, int]:
    """Return where a file really is, and its size; 0 where nobody may look, and of a folder that could not be listed.

    The place is the same however a disk that has one name in several spellings (macOS, Windows) is asked for it.
    """
    place = str(path.resolve())
    try:
        found = path.stat()
    except OSError:
        return place, 0
    spelling = unicodedata.normalize("NFC", place).casefold()
    return f"{spelling} {found.st_dev} {found.st_ino}", 0 if stat.S_ISDIR(found.st_mode) else found.st_size
