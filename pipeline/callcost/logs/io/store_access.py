"""Buckets of object stores: how they are reached, and what they refuse as an error with a next step.

obstore speaks to the stores. Credentials, regions and endpoints are found where each cloud's own tools look for them
(environment, instance and web identity; profiles through boto3 where that is installed); what --storage-option says
goes before. Options travel to worker processes in the environment, so that no secret gets into a task or a manifest.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from callcost.arguments import needs_extra
from callcost.errors import ConfigError, LogError

OPTIONS_VARIABLE = "CALLCOST_STORAGE_OPTIONS"
_CLIENT = frozenset(("allow_http", "allow_invalid_certificates", "connect_timeout", "timeout", "proxy_url"))


def use_storage_options(pairs: Iterable[str]) -> None:
    """Set the options of all stores, for this process and those it starts.

    Args:
        pairs: "key=value", as obstore names them: endpoint, region, access_key_id, allow_http ...

    Raises:
        ConfigError: one is no pair.
    """
    options = {}
    for pair in pairs:
        key, separator, value = pair.partition("=")
        if not separator or not key:
            raise ConfigError(f"--storage-option {key!r} has no value", hint="Write endpoint=https://store.example")
        options[key] = value
    if options:
        os.environ[OPTIONS_VARIABLE] = json.dumps(options)


def split_url(url: str) -> tuple[str, str]:
    """Return the URL of the bucket, and the key in it.

    Raises:
        ConfigError: stores have no object of such a name.
    """
    scheme, _, rest = url.partition("://")
    bucket, _, key = rest.partition("/")
    if {".", ".."}.intersection(key.split("/")):
        raise ConfigError(f"{url}: a store has no . and no .. in its names", hint="Write the name of the folder itself")
    return f"{scheme}://{bucket}", key


def open_bucket(root: str) -> Any:
    """Return the bucket of a URL, as split_url gives it, for obstore's functions."""
    return _store(root, os.environ.get(OPTIONS_VARIABLE, "{}"))


@lru_cache(maxsize=64)
def _store(root: str, options: str) -> Any:
    """Open a bucket; what a store cannot do now (429, 5xx, no answer) is tried again, ever later, for three minutes."""
    obstore = obstore_module()
    stated: dict[str, str] = json.loads(options)
    client: dict[str, Any] = {key: value for key, value in stated.items() if key in _CLIENT}
    config = {key: value for key, value in stated.items() if key not in _CLIENT}
    if "allow_http" in client:
        client["allow_http"] = client["allow_http"].lower() in {"1", "true", "yes"}
    try:
        return obstore.store.from_url(
            root,
            config=config or None,
            client_options=client or None,
            **({"credential_provider": profile} if (profile := _profile(root, config)) else {}),
        )
    except (ValueError, obstore.exceptions.BaseError) as error:
        reason = str(error).strip().splitlines()[0][:200]
        raise ConfigError(f"{root} cannot be opened: {reason}", hint=_HINT) from None


def _profile(root: str, config: dict[str, str]) -> Any:
    """Return what finds the keys of an AWS profile, SSO and assumed roles included; None: nobody uses profiles."""
    places = [("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials"), ("AWS_CONFIG_FILE", "~/.aws/config")]
    files = [Path(os.path.expanduser(os.environ.get(name, usual))) for name, usual in places]  # noqa: PTH111 - Path raises
    stated = "AWS_ACCESS_KEY_ID" in os.environ or any(key.endswith("access_key_id") for key in config)
    if not root.startswith("s3") or stated or not ("AWS_PROFILE" in os.environ or any(map(Path.is_file, files))):
        return None
    try:
        from obstore.auth.boto3 import Boto3CredentialProvider  # noqa: PLC0415 - an extra

        botocore: Any = importlib.import_module("botocore.exceptions")
    except ImportError:
        raise ConfigError("AWS profiles need an extra", hint="pip install 'callcost[cloud]'") from None
    try:
        return Boto3CredentialProvider()
    except botocore.BotoCoreError as error:
        raise ConfigError(f"AWS profile: {error}", hint="See aws configure list-profiles") from None
    except ValueError:
        return None  # files without keys: the store looks further


def obstore_module() -> Any:
    """Return the library that speaks to the stores.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import obstore.store  # noqa: PLC0415 - an extra, and only where a path is a URL
    except ImportError:
        raise needs_extra("reading object stores", "cloud") from None
    return obstore


@contextlib.contextmanager
def store_errors(url: str, *, writing: bool = False) -> Iterator[None]:
    """Raise what obstore raises in the block as an error that names the object and the next step.

    Args:
        url: URL of the object, or of the folder.
        writing: whether the block writes or lists: what cannot be found is the bucket, then.

    Raises:
        OSError: the object is gone, or changed while it was read.
        LogError: the store refuses or cannot be reached.
    """
    try:
        yield
    except Exception as error:
        missing = writing and type(error) is FileNotFoundError
        if not (missing or type(error).__module__.startswith("obstore")):
            raise
        name = type(error).__name__.removesuffix("Error")
        if name in {"NotFound", "Precondition"} and not missing:
            raise OSError(f"{url}: {'gone' if name == 'NotFound' else 'changed while it was read'}") from None
        code, status = _CODE.search(str(error)), _STATUS.search(str(error))
        words = [code[1] if code else "", name, status[1] if status else ""]
        reason = next((_REFUSALS[word] for word in words if word in _REFUSALS), None)
        raise LogError(f"{url}: {reason or str(error).strip().splitlines()[0][:200]}", hint=_HINT) from None


_CODE = re.compile(r"<Code>(\w+)</Code>")  # of the answer of S3 and Azure
_STATUS = re.compile(r"status code: (\d+)")
_DENIED, _UNKNOWN = "the store denies access (403)", "the store does not accept the credentials (401)"
_EXPIRED, _NO_BUCKET = "the credentials are expired", "there is no such bucket (404)"
_REFUSALS = {
    "ExpiredToken": _EXPIRED,  # https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
    "TokenRefreshRequired": _EXPIRED,
    "InvalidAccessKeyId": "the store does not know the access key (403)",
    "SignatureDoesNotMatch": "the secret key is wrong (403)",
    "RequestTimeTooSkewed": "this machine's clock is wrong (403)",
    "PermissionDenied": _DENIED,
    "403": _DENIED,
    "Unauthenticated": _UNKNOWN,
    "401": _UNKNOWN,
    "NoSuchBucket": _NO_BUCKET,
    "404": _NO_BUCKET,
}
_HINT = "Check the credentials (are they expired?), the region and the endpoint; see --storage-option"
