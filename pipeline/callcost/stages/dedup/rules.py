"""The rules: which records are the same call (design.md section 5), and why those that do not stay are none.

Two rules. Copies share a key: one stays. A call that was made inside another (a wrapper's span around the provider's,
a generation inside a generation) repeats its usage: the inner one stays, unless only the outer states any. A span that
several exports of its trace hold is one call of theirs. Equal ids with different requests are no copies; they stay
apart, flagged. Equal rows that have neither an id nor a time below the second may be one call or many: each of a file
stays, flagged, and the n-th of one file is the n-th of another, so that a copy of a file adds nothing. Every step looks
at keys and spans alone, so the order of records shows in no result, and how they are spread over files only where such
rows are equal.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import polars as pl

from callcost.stages.tables.facts import UID
from callcost.stages.tables.schemas import VerdictRows
from callcost.tables import TRACED

SAME_ID, ELSEWHERE, SAME_BYTES, NESTED = "same_id", "same_id_elsewhere", "same_bytes", "nested"
REPLAYED = "replayed"
SAME_ROW = "same_row_elsewhere"
CONFLICT, REPEATED = "id_conflict", "repeated_row"
COPY_COLUMNS = (  # of facts: all that the rules of copies look at
    *UID, "input", "source_file", "key", "key_kind", "request_digest", "record_digest", "started_at", "total_tokens",
    "completion_tokens", "replayed",
)  # fmt: skip
REPLAY_COLUMNS = (  # all that the rule of replays looks at
    *UID, "session", "key", "started_at", "ancestors", "forked_at", "replayed",
)  # fmt: skip
_STATED = ("reported", "estimated_upstream", "partial")


class Verdicts(NamedTuple):
    """What is decided about some records.

    Attributes:
        table: columns of VerdictRows, a row a record; ``occurrence`` is null for one that does not stay.
        causes: why a call went -> how many did.
    """

    table: pl.DataFrame
    causes: Counter[str]


def lineages_of(facts: pl.DataFrame) -> pl.Series:
    """Return the sessions whose calls decide on those that may be copies, and the sessions of these."""
    asked = facts.filter(pl.col("ancestors").is_not_null()).select("session", "ancestors").unique("session")
    return pl.concat([asked["session"], asked["ancestors"].explode(empty_as_null=False)]).drop_nulls().unique()


def judge_copies(heads: pl.DataFrame) -> Verdicts:
    """Judge the records whose keys stand more than once.

    Args:
        heads: facts of line 0 of all records of some keys, with digests where a key stands more than once.
    """
    heads = heads.select(COPY_COLUMNS).filter(pl.col("key").is_duplicated()).sort(UID)
    heads = heads.with_columns(
        # Equal rows that nothing tells apart: the n-th of an input, whatever pieces it was read in.
        pl.when(pl.col("key_kind") == "none").then(pl.int_range(pl.len()).over("key", "input")).alias("nth"),
        # A copy without its request joins the one that has one; of several, always the same one.
        pl.coalesce("request_digest", pl.col("request_digest").min().over("key")).alias("group"),
    )
    same = ["key", "nth", "group"]
    ranked = heads.sort(
        pl.col("replayed").cast(pl.Int8).fill_null(-1), "total_tokens", "completion_tokens", "record_digest",
        "source_file", *UID, descending=[False, True, True, False, False, False, False], nulls_last=True,
    ).with_columns(
        pl.col("started_at").min().over(same).alias("first_at"),
        ((pl.col("group").n_unique().over("key") > 1) & (pl.col("key_kind") == "id")).alias("conflict"),
        pl.col("nth").is_not_null().alias("repeated"),
        pl.int_range(pl.len()).over(same).alias("rank"),
        (pl.len().over(same) - 1).cast(pl.Int64).alias("copies"),
        (pl.col("source_file") == pl.col("source_file").first().over(same)).alias("together"),
    )  # fmt: skip
    kept, gone = ranked.filter(pl.col("rank") == 0), ranked.filter(pl.col("rank") > 0).select(*UID, _cause())
    occurrence = pl.int_range(1, pl.len() + 1).over("key").alias("occurrence")
    numbered = kept.sort("source_file", *UID).with_columns(occurrence)
    judged = pl.concat([numbered, gone], how="diagonal").select(VerdictRows.names)
    return Verdicts(heads.select(UID).join(judged, on=UID, how="left"), Counter(gone["cause"].to_list()))


def _cause() -> pl.Expr:
    """Return why a record went that is a copy of one that stays."""
    elsewhere = pl.when("together").then(pl.lit(SAME_ID)).otherwise(pl.lit(ELSEWHERE))
    rows = pl.when("repeated").then(pl.lit(SAME_ROW)).otherwise(pl.lit(SAME_BYTES))
    return pl.when(pl.col("key_kind") == "id").then(elsewhere).otherwise(rows).alias("cause")


def judge_nested(heads: pl.DataFrame) -> Verdicts:
    """Judge calls around others, and those in a call that alone states usage: they do not stay.

    Args:
        heads: facts of line 0 of all records that are in or around one another.
    """
    heads = heads.select(*UID, "span", "parent", pl.col("usage_source").is_in(_STATED).alias("stated"))
    spans = heads.group_by("span").agg(pl.col("stated").any())
    pairs = heads.filter(pl.col("parent").ne_missing(pl.col("span"))).join(
        spans, left_on="parent", right_on="span", suffix="_around"
    )
    outer_stays = pl.col("stated_around") & ~pl.col("stated").any().over("parent")
    around = heads.join(pairs.filter(~outer_stays), left_on="span", right_on="parent", how="semi")
    gone = pl.concat([around.select(UID), pairs.filter(outer_stays).select(UID)]).unique()
    return _all_gone(gone, NESTED)


EXPORT_COLUMNS = (*UID, "span", "key", "usage_source", "total_tokens", "completion_tokens")  # that judge_exports asks
_OWN_SPAN = pl.col("span").str.extract(r"^\S+ (\S+)")
_BY_RESPONSE = ~pl.col("key").str.contains(_OWN_SPAN, literal=True)  # of which other spans may have the same key
EXPORTER = pl.concat_str(pl.col("key").str.extract(r"^by \w+ (\S+)"), _BY_RESPONSE).alias("exporter")
IN_TRACE = pl.col("span").str.starts_with(f"{TRACED} ")


def judge_exports(heads: pl.DataFrame) -> Verdicts:
    """Judge spans that exports of several tools hold: those of one tool stay, the first of these that states usage.

    Of several it is one that goes by the id of the provider's response, which other spans may share, then the larger.

    Args:
        heads: facts of line 0 of all records of some spans.
    """
    heads = heads.filter(IN_TRACE).select(*EXPORT_COLUMNS, EXPORTER)
    several = heads.filter(pl.col("exporter").n_unique().over("span") > 1)
    ranked = several.sort(
        pl.col("usage_source").is_in(_STATED), _BY_RESPONSE, "total_tokens", "completion_tokens", "exporter",
        descending=[True, True, True, True, False], nulls_last=True,
    )  # fmt: skip
    gone = ranked.filter(pl.col("exporter") != pl.col("exporter").first().over("span"))
    return _all_gone(gone.select(UID), ELSEWHERE)


def _all_gone(gone: pl.DataFrame, cause: str) -> Verdicts:
    rest = {name: kind for name, kind in VerdictRows.types.items() if name not in UID}
    none = [pl.lit(cause if name == "cause" else None, dtype=kind).alias(name) for name, kind in rest.items()]
    return Verdicts(gone.with_columns(none), Counter({cause: gone.height} if gone.height else {}))


def judge_replays(heads: pl.DataFrame) -> Verdicts:
    """Judge records at the head of a session that may be copies of calls that other sessions made before it.

    A record is a copy where one of its ancestors made a call before the session was made that has the same sums, and
    so is all before it, copies being a head; all, where the parent's calls go by ids of responses, since a session
    that is made after these writes them too. A head that nothing but its sums makes one is none as a whole: a
    sub-agent makes a call at least. Where no call of the parent is known, the record's own file decides.

    Args:
        heads: facts of line 0 of some sessions and all of their ancestors.
    """
    heads = heads.select(REPLAY_COLUMNS)
    asked = heads.filter(pl.col("ancestors").is_not_null())
    if asked.is_empty():
        return _all_gone(asked.select(UID), REPLAYED)
    asked = asked.with_columns(nearest=pl.col("ancestors").list.first())
    made = heads.group_by(nearest="session").agg(
        first=pl.col("started_at").min(), first_response=pl.col("started_at").filter(_by_response()).min()
    )
    pairs = asked.with_columns(ancestor=pl.col("ancestors")).explode("ancestor")
    originals = heads.select(original="key", made_at="started_at")
    matched = pairs.with_columns(original=_key_in_ancestor()).join(originals, on="original")
    matched = matched.filter(_before("made_at", undated=True))
    head = ["piece", "session", "forked_at"]
    ends = matched.group_by(head).agg(pl.col("record").max().alias("end"))
    judged = (
        asked.join(ends, on=head, how="left", nulls_equal=True)
        .join(made, on="nearest", how="left")
        .with_columns(copied=(pl.col("record") <= pl.col("end")).fill_null(value=False))
        .with_columns(
            copied=pl.col("copied") & (pl.col("replayed").any() | ~pl.col("copied").all()).over(head),
        )
    )
    orphan = pl.col("replayed") & ~_before("first")
    return _all_gone(judged.filter(pl.col("copied") | orphan | _before("first_response")).select(UID), REPLAYED)


def _before(moment: str, *, undated: bool = False) -> pl.Expr:
    """Tell whether a call was made before the session that may copy it."""
    return (pl.col(moment) < pl.col("forked_at")).fill_null(value=undated)


def _by_response() -> pl.Expr:
    return ~pl.col("key").str.contains(pl.col("session"), literal=True)


def _key_in_ancestor() -> pl.Expr:
    """Return the key that a call would have in its ancestor: that of its own with the other session's name in it."""
    start = pl.col("key").str.extract(r"^(by id \S+ )")
    rest = pl.col("key").str.slice(start.str.len_chars() + pl.col("session").str.len_chars())
    return pl.concat_str(start, "ancestor", rest)
