"""The commands that generate, check and run each client, as the page "Generated clients" shows them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

from tests.clients.tools import DRIVERS, run

Command = tuple[str, ...]


class Client(NamedTuple):
    """A client: its folder in `drivers`, and the commands that generate, check and run it beside `openapi.json`.

    `offline_commands` replace a dependency that would be fetched by a stand-in of `drivers`.
    """

    name: str
    generate_commands: tuple[Command, ...]
    check_commands: tuple[Command, ...]
    run_command: Command
    offline_commands: tuple[Command, ...] = ()

    def generate(self, folder: Path, document: Path) -> str:
        """Generate the client of `document` into the empty `folder`, with its driver; return what was printed."""
        shutil.copytree(DRIVERS / self.name, folder, dirs_exist_ok=True)
        shutil.copy(document, folder / "openapi.json")
        shutil.copy(DRIVERS.parent / "tsconfig.json", folder)
        return "".join(run(folder, *command) for command in (*self.generate_commands, *self.offline_commands))

    def check(self, folder: Path) -> None:
        """Compile or type-check the generated code and the driver. Raises `Failed` for an error in either."""
        for command in self.check_commands:
            run(folder, *command)

    def call(self, folder: Path, url: str, token: str) -> str:
        """Run the driver against the API at `url`, and return the lines that it prints."""
        return run(folder, *self.run_command, API=url, TOKEN=token)


def _openapi_generator(target: str, output: str, *options: str) -> tuple[Command, ...]:
    return (("openapi-generator-cli", "generate", "-i", "openapi.json", "-g", target, "-o", output, *options),)


_TYPESCRIPT: tuple[Command, ...] = (("tsc", "--project", "tsconfig.json"),)

CLIENTS = [
    Client(
        "openapi_python_client",
        (("openapi-python-client", "generate", "--path", "openapi.json", "--meta", "none", "--output-path", "client"),),
        (("pyright", "--project", "pyrightconfig.json"),),
        ("python", "main.py"),
    ),
    Client(
        "openapi_fetch",
        (("openapi-typescript", "openapi.json", "--output", "schema.d.ts"),),
        _TYPESCRIPT,
        ("tsx", "main.ts"),
    ),
    Client(
        "hey_api",
        (
            (
                "openapi-ts",
                "--input=./openapi.json",
                "--output=client",
                "--plugins",
                "@hey-api/client-fetch",
                "@hey-api/typescript",
                "@hey-api/sdk",
                "zod",
            ),
        ),
        _TYPESCRIPT,
        ("tsx", "main.ts"),
    ),
    Client("orval", (("orval", "--config", "orval.config.mjs"),), _TYPESCRIPT, ("tsx", "main.ts")),
    Client(
        "openapi_generator_python",
        _openapi_generator("python", "."),
        (("mypy", "--config-file", "mypy.ini", "main.py", "openapi_client"),),
        ("python", "main.py"),
    ),
    Client(
        "openapi_generator_typescript",
        _openapi_generator("typescript-axios", "client"),
        _TYPESCRIPT,
        ("tsx", "main.ts"),
    ),
    Client(
        "openapi_generator_go",
        # Without the property, the client refuses a response with a field that a later release adds.
        _openapi_generator(
            "go",
            "client",
            "--git-user-id=example",
            "--git-repo-id=provisioning",
            "--additional-properties=disallowAdditionalPropertiesIfNotPresent=false",
        ),
        (("go", "-C", "client", "build", "./..."),),
        ("go", "-C", "client", "run", "./scenario"),
        (("go", "-C", "client", "mod", "edit", "-replace=golang.org/x/oauth2=../oauth2"),),
    ),
]
