"""Refuse tracked files with hidden characters, secrets, or a name that only a file of secrets has.

`python -m tests.guards.files` checks the files that git tracks; it prints one line
per finding and exits 1 if there are any.
"""

from __future__ import annotations

import re
import subprocess
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

#: Characters that a file may hold although they are not seen, by its path: (characters, reason).
#: Tests of hostile text write such characters as escapes, so none is needed today.
ALLOWED_CHARACTERS: dict[str, tuple[str, str]] = {}

#: Control characters that text consists of.
_PLAIN = "\n\t"
#: Control and format characters (Cc and Cf, bidirectional marks among them), characters for private use, line and
#: paragraph separators, and the spaces that look like U+0020 (Zs).
_HIDDEN = ("Cc", "Cf", "Co", "Zl", "Zp", "Zs")
#: Characters of other categories that show nothing: fillers, and variation selectors of the supplementary plane.
_EMPTY = frozenset({"\u115f", "\u1160", "\u3164", "\uffa0", *map(chr, range(0xE0100, 0xE01F0))})

#: What a secret looks like. The text of each pattern is split so that this file does not hold one.
SECRETS = {
    "a private key": re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----\s+[A-Za-z0-9+/]{40}"),
    "an access key of AWS": re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    "a token of GitHub": re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{60,})"),
    "a token of Slack": re.compile(r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}"),
    "a key of Stripe": re.compile(r"\b[rs]k_live_[A-Za-z0-9]{20,}"),
    "a token of PyPI": re.compile(r"\bpypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{20,}"),
    "a JSON web token": re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{32,}"),
}
#: Secrets that a file may hold, by its path: (the name of the pattern, reason).
ALLOWED_SECRETS: dict[str, tuple[str, str]] = {}

#: Names of files that hold secrets, or databases, and belong on one machine alone.
_PRIVATE = re.compile(
    r"(?:^|/)(?:\.env(?!\.example$)(?:\..+)?|\.envrc|\.netrc|\.pypirc|id_(?:rsa|ed25519|ecdsa|dsa)|.+\.(?:pem|key|p12|pfx|jks|jws))$"
)


def main() -> int:
    """Check every file that git tracks. Return 1 where something was found."""
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    findings = list(check(ROOT, tracked.split("\0")[:-1]))
    print(*findings, sep="\n")
    print(f"{len(findings)} findings in tracked files")
    return 1 if findings else 0


def check(folder: Path, paths: Iterable[str]) -> Iterator[str]:
    """Yield a line for each finding in the files at `paths` below `folder`. Of binary files, names alone count."""
    for path in paths:
        if _PRIVATE.search(path):
            yield f"{path}: a file of this name holds secrets, and is not tracked"
        try:
            text = (folder / path).read_bytes().decode("utf-8")
        except (UnicodeDecodeError, FileNotFoundError):
            continue
        yield from (f"{path}:{line}: {fault}" for line, fault in [*hidden_characters(path, text), *secrets(path, text)])


def hidden_characters(path: str, text: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the name of each character that a reader does not see."""
    allowed, _reason = ALLOWED_CHARACTERS.get(path, ("", ""))
    for number, line in enumerate(text.split("\n"), 1):
        for character in sorted({*line} - {*_PLAIN, *allowed, " "}):
            if unicodedata.category(character) in _HIDDEN or character in _EMPTY:
                name = unicodedata.name(character, "a control character")
                yield number, f"U+{ord(character):04X} {name} is not seen: write it as an escape"


def secrets(path: str, text: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the kind of each text that looks like a secret."""
    allowed, _reason = ALLOWED_SECRETS.get(path, ("", ""))
    for kind, pattern in SECRETS.items():
        if kind != allowed:
            for match in pattern.finditer(text):
                yield text.count("\n", 0, match.start()) + 1, f"this looks like {kind}"


if __name__ == "__main__":
    sys.exit(main())
