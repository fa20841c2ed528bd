"""Ask for published advisories about what is installed: `python -m tests.guards.advisories FOLDER_OF_PACKAGES`.

Fails where there is one. Where none can be asked for, as without a network, it says so and succeeds.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence

#: Advisories that do not concern the package, by their id: the reason.
IGNORED: dict[str, str] = {}
SECONDS = 120


def main(folder: str, command: Sequence[str] = (sys.executable, "-m", "pip_audit")) -> int:
    """Print the advisories about the packages in `folder`. Return 1 where there are any."""
    command_line = [*command, "--path", folder, "--format", "json", "--progress-spinner", "off"]
    try:
        result = subprocess.run(command_line, capture_output=True, text=True, timeout=SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        print(f"left out: advisories cannot be asked for here ({type(error).__name__})")
        return 0
    try:
        packages = json.loads(result.stdout)["dependencies"]
    except (ValueError, KeyError, TypeError):
        last = (result.stderr.strip().splitlines() or ["no answer"])[-1]
        print(f"left out: advisories cannot be asked for here ({last[:200]})")
        return 0
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    if packages and len(skipped) == len(packages):
        print("left out: the package index that this machine reaches tells no advisories")
        return 0
    advisories = [
        f"{package['name']} {package['version']}: {advisory['id']}, mended in {', '.join(advisory['fix_versions'])}"
        for package in packages
        for advisory in package.get("vulns", ())
        if advisory["id"] not in IGNORED
    ]
    print(*advisories, f"{len(advisories)} advisories about {len(packages) - len(skipped)} packages", sep="\n")
    if skipped:
        print(f"nothing is known about {', '.join(skipped)}")
    return 1 if advisories else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
