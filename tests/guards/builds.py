"""Compare two builds of the wheel, byte for byte: `python -m tests.guards.builds FIRST.whl SECOND.whl`."""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path


def main(first: str, second: str) -> int:
    """Print what differs. Return 1 where something does."""
    if Path(first).read_bytes() == Path(second).read_bytes():
        print(f"both builds of {Path(first).name} are equal")
        return 0
    print(f"two builds of {Path(first).name} differ:", *differences(Path(first), Path(second)), sep="\n  ")
    return 1


def differences(first: Path, second: Path) -> Iterator[str]:
    """Yield each member that differs in content, time or mode, or is missing, and the order if that differs."""
    with zipfile.ZipFile(first) as archive, zipfile.ZipFile(second) as other:
        members = {info.filename: info for info in archive.infolist()}
        others = {info.filename: info for info in other.infolist()}
        for name in sorted(members.keys() | others.keys()):
            if name not in members or name not in others:
                yield f"{name}: in one of them alone"
            elif members[name].CRC != others[name].CRC:
                yield f"{name}: its content"
            elif members[name].date_time != others[name].date_time:
                yield f"{name}: its time, {members[name].date_time} and {others[name].date_time}"
            elif members[name].external_attr != others[name].external_attr:
                yield f"{name}: its mode"
        if [*members] != [*others]:
            yield "the order of the members"


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
