"""Record a state: `python -m tests.states NAME [CODE]` packs what the callcost in the folder CODE writes.

Done once for every release, so that each later one can be asked to open it.
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
from tests.states.logs import CLOSED, write_logs

HOME = Path("/srv/callcost")  # a state knows where its logs were: the README's place


def record(name: str, code: Path) -> Path:
    """Run two nights and close a day in HOME, which must not be there, and pack the state."""
    HOME.mkdir(parents=True)
    try:
        write_logs(HOME / "logs")
        report = ["report", "logs", "--state", "state", "--out", "reports"]
        for words in (report, ["close", CLOSED, "--state", "state"], report):
            environment = {**os.environ, "PYTHONPATH": str(code)}
            subprocess.run([sys.executable, "-m", "callcost", *words], cwd=HOME, env=environment, check=True)
        target = Path(__file__).with_name(f"{name}.tar.gz")
        with tarfile.open(target, "w:gz") as archive:
            for path in sorted((HOME / "state").rglob("*")):
                if path.is_file():
                    info = tarfile.TarInfo(path.relative_to(HOME).as_posix())
                    info.size = path.stat().st_size
                    archive.addfile(info, io.BytesIO(path.read_bytes()))
    finally:
        shutil.rmtree(HOME)
    return target


if __name__ == "__main__":
    record(sys.argv[1], Path(sys.argv[2]).resolve() if sys.argv[2:] else ROOT)
