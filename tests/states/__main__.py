"""Record what a callcost writes: `python -m tests.states NAME [CODE [MODULE]]` runs the one in the folder CODE.

NAME.tar.gz is a state; NAME.reports.tar.gz a report with its calls, filled logs and, where there are any, a calibration
file. Done once for every release, so that each later one can be asked to open them.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

from tests.command import ROOT
from tests.states.logs import CLOSED, write_logs, write_recordings

HOME = Path("/srv/callcost")  # a state knows where its logs were: the README's place
_REPORT = ["report", "logs", "--state", "state", "--out", "reports"]
STATE = (_REPORT, ["close", CLOSED, "--state", "state"], _REPORT)
REPORTS = (
    ["report", "logs", "--calls", "--by", "model,user", "--out", "held"],
    ["backfill", "logs", "--out", "filled"],
)
CALIBRATION = ["inspect", "recordings", "--calibrate", "--write", "calibration.json", "--quiet"]


def record(name: str, code: Path, module: str) -> None:
    """Run two nights and close a day in HOME, which must not be there; pack the state, then what else is written."""
    HOME.mkdir(parents=True)
    environment = {**os.environ, "PYTHONPATH": str(code)}

    def run(*words: str, check: bool = True) -> None:
        subprocess.run([sys.executable, "-m", module, *words], cwd=HOME, env=environment, check=check)

    try:
        write_logs(HOME / "logs")
        write_recordings(HOME / "recordings")
        for words in (*STATE, *REPORTS):
            run(*words)
        run(*CALIBRATION, check=False)  # not every release has it
        _pack(f"{name}.tar.gz", "state")
        _pack(f"{name}.reports.tar.gz", "held", "filled", "calibration.json")
    finally:
        shutil.rmtree(HOME)


def _pack(name: str, *places: str) -> None:
    files = [path for place in places for path in (HOME / place, *(HOME / place).rglob("*")) if path.is_file()]
    with tarfile.open(Path(__file__).with_name(name), "w:gz") as archive:
        for path in sorted(files):
            info = tarfile.TarInfo(path.relative_to(HOME).as_posix())
            info.size = path.stat().st_size
            archive.addfile(info, io.BytesIO(path.read_bytes()))


if __name__ == "__main__":
    given = dict(enumerate(sys.argv))
    record(given[1], Path(given.get(2, ROOT / "pipeline")).resolve(), given.get(3, "callcost"))
