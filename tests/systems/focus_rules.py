"""Bills in FOCUS 1.2 by the rules of FinOps' own validator: python tests/systems/focus_rules.py FILE ...

For an environment of its own, with Python 3.12 (the validator wants numpy 1) and what ``NEEDS`` says; nothing of
callcost is imported. It prints each rule that a file fails without a reason in ``KNOWN``, and then ends with 1.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from importlib.util import find_spec
from pathlib import Path

NEEDS = ("focus-validator==2.2.1", "pyarrow<22")
PYTHON = (3, 12)
_VERSION = "1.2.0.1"
_FEWEST = 100  # rules that are about what a bill of ours has
_WHOLE = "a CSV states no types: whole numbers of tokens are read as integers, and the rule wants decimals"
KNOWN = {  # (rule, ending of the file) -> why it fails
    ("InvoiceId-C-005-C", ".csv"): "one rule wants no invoice to be null, the one before it wants all to be",
    ("InvoiceId-C-005-C", ".parquet"): "one rule wants no invoice to be null, the one before it wants all to be",
    ("PricingQuantity-C-000-M", ".csv"): _WHOLE,
    ("PricingQuantity-C-001-M", ".csv"): _WHOLE,
}


def failed_rules(file: Path) -> tuple[set[str], int]:
    """Return the names of the rules that a file fails, and how many were tried.

    Raises:
        subprocess.CalledProcessError: the validator itself fails.
    """
    found = find_spec("focus_validator")
    if found is None or found.origin is None:
        message = f"install {' '.join(NEEDS)}"
        raise ModuleNotFoundError(message)
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.xml")
        words = ["--data-file", str(file.resolve()), "--validate-version", _VERSION, "--block-download",
                 "--output-type", "unittest", "--output-destination", str(report)]  # fmt: skip
        command = [str(Path(sys.executable).with_name("focus-validator")), *words]
        where = Path(found.origin).parents[1]  # it reads tables of its own by a path that begins there
        subprocess.run(command, cwd=where, check=True, stdout=subprocess.DEVNULL)
        cases = [case for case in ET.parse(report).iter("testcase") if case.find("skipped") is None]
    failed = {case.get("name", "").partition(" ")[0] for case in cases if case.find("failure") is not None}
    return failed, len(cases)


def main(*files: str) -> int:
    """Print what is wrong with files; return 1 if something is."""
    wrong = []
    for file in map(Path, files):
        failed, tried = failed_rules(file)
        wrong += [f"{file.name}: {rule}" for rule in sorted(failed) if (rule, file.suffix) not in KNOWN]
        wrong += [f"{file.name}: only {tried} rules were tried"] if tried < _FEWEST else []
        sys.stdout.write(f"{file.name}: {tried} rules, {len(failed)} not met\n")
    sys.stdout.writelines(f"{line}\n" for line in wrong)
    return 1 if wrong or not files else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
