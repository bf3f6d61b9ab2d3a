"""What results depend on beside the logs and the options: code, prices, vocabularies, files that options name."""

from __future__ import annotations

import os
from functools import cache
from hashlib import sha256
from pathlib import Path

import polars as pl

import callcost
from callcost import __version__
from callcost.runners.entries import digest_of_bytes, digest_of_value
from callcost.settings import ReadOptions, ReportOptions
from callcost.stages.count.calibration_file import digest_of_calibration
from callcost.stages.pricing.rate_cards import book_of
from callcost.stages.tables.facts import layout_of_facts
from callcost.tokens.engines.vocabularies import find_vocabulary, installed


def made_of(options: ReportOptions) -> str:
    """Return what facts depend on beside the bytes of their input: columns, how it is read, vocabularies."""
    mapping, usual = options.read.mapping, ReadOptions()
    limits, key = [options.read.max_record, options.read.max_rows], options.read.fingerprint_key
    return digest_of_value(
        {
            "layout": layout_of_facts(),
            "dialect": options.read.dialect,
            "mapping": digest_of_bytes(Path(mapping).read_bytes()) if mapping else None,
            **({} if options.read.host is None else {"host": options.read.host}),
            "vocabularies": {name: find_vocabulary(name).sha256 for name in sorted(installed())},
            **({} if limits == [usual.max_record, usual.max_rows] else {"limits": limits}),  # else as states have it
            **({} if key is None else {"fingerprint_key": key.id}),
        }
    )


def prices_of(options: ReportOptions) -> str:
    """Return the digest of all that says what calls cost."""
    book = book_of(options.prices)
    versions = [[version.name, version.sha256] for version in book.catalog.versions]
    override = options.prices.override
    own = digest_of_bytes(Path(override).read_bytes()) if override else None
    tables = [table.sha256 for table in book.rules.tables]
    calibrations = filter(None, [digest_of_calibration(options.count.calibration)])  # else as states have it
    return digest_of_value([versions, own, options.prices.prices, options.prices.registered, tables, *calibrations])


def identity_of(options: ReportOptions) -> dict[str, str]:
    """Return all that must be the same wherever tasks of one run are done, by name."""
    return {
        "callcost": f"{__version__} {code_of()}",
        "polars": pl.__version__,
        "prices": prices_of(options),
        "vocabularies": made_of(options),
    }


@cache
def code_of() -> str:
    """Return the digest of every module of the package, 16 hexadecimal digits."""
    package = os.path.dirname(os.path.realpath(callcost.__file__))  # noqa: PTH120 - a Path for each of hundreds lasts
    digest, found = sha256(), []
    for folder, _, names in os.walk(package):
        found += [f"{folder}/{name}" for name in names if name.endswith(".py")]
    for path in sorted(found):
        with open(path, "rb") as module:  # noqa: PTH123
            content = module.read()
        digest.update(f"{path[len(package) :].replace(os.sep, '/')} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:16]
