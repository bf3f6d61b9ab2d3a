"""Bare response bodies of the providers, one a record: what api calls return, saved as it is.

Their tables are in ``responses/bodies.py``. All share the family "provider": ids are the provider's (chatcmpl-, resp_,
msg_), the same answer saved twice is one call. There is no request, so that only the answer could be counted where
usage is missing.
"""

from __future__ import annotations

from callcost.logs.record.dialect import Dialect, like_named
from callcost.logs.responses.bodies import APIS, Api

_ENDS_OF_STREAMS = ("completions", "ollama")  # whose last chunk looks like a body
_OPENAI = ("chat", "responses", "completions", "embeddings")


def _dialect_of(api: Api, rank: int) -> Dialect:
    return Dialect(
        name=f"openai_{api.endpoint}" if api.endpoint in _OPENAI else api.endpoint,
        family="provider",
        rank=rank,
        signatures=api.bare,
        fields={column: (f"@{column}",) for column in api.facts}
        | like_named("status error")
        | {"duplicate_id": ("@provider_response_id",), "user": ("user", "safety_identifier")},
        usage=("@",),
        endpoint=api.endpoint,
        response=("",),
        alone=bool(api.texts) and api.endpoint not in _ENDS_OF_STREAMS,
    )


DIALECTS = tuple(_dialect_of(api, 40 + place) for place, api in enumerate(APIS) if api.bare)
