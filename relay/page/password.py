"""The password of the page: its scrypt hash, in the state directory, for its owner alone."""

import base64
import hmac
import json
import secrets
from hashlib import scrypt, sha256
from pathlib import Path

from changecapture.errors import ConfigError
from relay.trust.state import open_state, read_private, write_private

FILE = "page.json"
SHORTEST = 10
LONGEST = 1024
COST = {"n": 2**15, "r": 8, "p": 1}
MEMORY = 64 * 1024 * 1024
"""32 MiB are used, a tenth of a second: for each guess too."""


def write_password(directory: Path, password: str) -> None:
    """Keep the hash of a password in place of the one before; raise ConfigError when it is too short."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise ConfigError(
            "this password cannot be used",
            why=f"it must have {SHORTEST} to {LONGEST} characters",
            mend="four words that have nothing to do with each other are easy to keep",
        )
    salt = secrets.token_bytes(16)
    kept = {**COST, "salt": _text(salt), "hash": _text(_hash(password, salt, COST))}
    write_private(open_state(directory) / FILE, json.dumps({"scrypt": kept}).encode())


def has_password(directory: Path) -> bool:
    """Return whether a password was set."""
    return read_private(directory / FILE) is not None


def digest_password(directory: Path) -> bytes:
    """Return what stands for the password that is set: another one for each that is set anew."""
    return sha256(read_private(directory / FILE) or b"").digest()


def check_password(directory: Path, password: str) -> bool:
    """Return whether it is the password. Slow on purpose. Raises ConfigError when the file is damaged."""
    path = directory / FILE
    content = read_private(path)
    if content is None or len(password) > LONGEST:
        return False
    try:
        kept = json.loads(content)["scrypt"]
        cost = {name: int(kept[name]) for name in COST}
        wanted = base64.b64decode(kept["hash"])
        found = _hash(password, base64.b64decode(kept["salt"]), cost)
    except (ValueError, TypeError, KeyError) as error:
        raise ConfigError(
            f"{path} is damaged", why=str(error), mend="changecapture-relay password"
        ) from error
    return hmac.compare_digest(found, wanted)


def _hash(password: str, salt: bytes, cost: dict[str, int]) -> bytes:
    return scrypt(password.encode(), salt=salt, maxmem=MEMORY, dklen=32, **cost)


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()
