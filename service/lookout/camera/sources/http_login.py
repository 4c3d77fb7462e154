"""HTTP authentication: Basic (RFC 7617) and Digest (RFC 7616), the latter if offered."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from urllib.request import parse_http_list

# Best first. The "-sess" variants differ in how the first hash is made.
_HASHES = {"SHA-512-256": "sha512_256", "SHA-256": "sha256", "MD5": "md5"}
_BEGINS = re.compile(r"([A-Za-z][\w-]*)(?:\s+([\w-]+\s*=.*))?$", re.DOTALL)  # a challenge, with its first parameter


class Login:
    """Answers one server's challenges. Once a challenge is known, further requests are authorised without a new one."""

    def __init__(self, name: str, password: str) -> None:
        self._name, self._password = name, password
        self._challenge: tuple[str, dict[str, str]] | None = None
        self._answered = False
        self._count = 0

    def challenged(self, header: str) -> bool:
        """Remember `WWW-Authenticate`. Returns False if it cannot be answered, or if the last answer was refused."""
        chosen = _best(challenges(header)) if header.strip() else ("basic", {})
        if chosen is None:
            return False
        stale = chosen[1].get("stale", "").lower() == "true"
        if self._answered and not stale:
            return False
        self._challenge, self._answered, self._count = chosen, False, 0
        return True

    def header(self, method: str, path: str) -> str:
        """The value of `Authorization` for the next request; "" before the first challenge."""
        if self._challenge is None:
            return ""
        self._answered = True
        kind, asked = self._challenge
        if kind == "basic":
            pair = f"{self._name}:{self._password}".encode()
            return f"Basic {base64.b64encode(pair).decode()}"
        return self._digest(asked, method, path)

    def accepted(self) -> None:
        """Record that the server has accepted the answer, so that a later challenge is a new one."""
        self._answered = False

    def _digest(self, asked: dict[str, str], method: str, path: str) -> str:
        algorithm = asked.get("algorithm", "MD5").upper()
        name_of_hash = _HASHES[algorithm.removesuffix("-SESS")]

        def digest(text: str) -> str:
            return hashlib.new(name_of_hash, text.encode(), usedforsecurity=False).hexdigest()

        realm, nonce = asked.get("realm", ""), asked.get("nonce", "")
        own = secrets.token_hex(8)
        first = digest(f"{self._name}:{realm}:{self._password}")
        if algorithm.endswith("-SESS"):
            first = digest(f"{first}:{nonce}:{own}")
        second = digest(f"{method}:{path}")
        fields = {"username": self._name, "realm": realm, "nonce": nonce, "uri": path}
        bare = {}
        if "auth" in re.split(r"[\s,]+", asked.get("qop", "").lower()):
            self._count += 1
            number = f"{self._count:08x}"
            fields["response"] = digest(f"{first}:{nonce}:{number}:{own}:auth:{second}")
            bare = {"qop": "auth", "nc": number}
            fields["cnonce"] = own
        else:
            fields["response"] = digest(f"{first}:{nonce}:{second}")
        if "algorithm" in asked:
            bare["algorithm"] = asked["algorithm"]
        if "opaque" in asked:
            fields["opaque"] = asked["opaque"]
        quoted = [f'{key}="{_escaped(value)}"' for key, value in fields.items()]
        return "Digest " + ", ".join([*quoted, *(f"{key}={value}" for key, value in bare.items())])


def challenges(header: str) -> list[tuple[str, dict[str, str]]]:
    """Parse the schemes that a server offers, each with its parameters; names in lower case."""
    found: list[tuple[str, dict[str, str]]] = []
    for item in parse_http_list(header):
        begins = _BEGINS.match(item.strip())
        if begins:
            found.append((begins[1].lower(), {}))
        name, equals, value = (begins[2] or "" if begins else item).partition("=")
        if found and equals:
            found[-1][1][name.strip().lower()] = _unquoted(value.strip())
    return found


def _unquoted(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if len(value) > 1 and value[0] == value[-1] == '"' else value


def is_answerable(header: str) -> bool:
    """Whether one of the offered schemes is supported. An empty header means Basic."""
    return not header.strip() or _best(challenges(header)) is not None


def _best(offered: list[tuple[str, dict[str, str]]]) -> tuple[str, dict[str, str]] | None:
    def rank(challenge: tuple[str, dict[str, str]]) -> int:
        kind, asked = challenge
        if kind == "basic":
            return 1
        algorithm = asked.get("algorithm", "MD5").upper().removesuffix("-SESS")
        qop = re.split(r"[\s,]+", asked.get("qop", "auth").lower())
        known = kind == "digest" and _HASHES.get(algorithm, "") in hashlib.algorithms_available and "auth" in qop
        return 4 - list(_HASHES).index(algorithm) + 1 if known else 0

    best = max(offered, key=rank, default=None)
    return best if best is not None and rank(best) > 0 else None


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
