"""How the example subscribers are built and run: as their READMEs say."""

import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

BUILD_WITHIN = 300
"""Seconds for one build: the first one fetches what the example depends on."""


_COLOURS = re.compile(r"\x1b\[[\d;]*m")


@dataclass(frozen=True)
class Tool:
    """A program of a language's toolchain."""

    command: tuple[str, ...]
    """Says its version."""
    oldest: tuple[int, ...]
    """The oldest version that will do, as far as it matters: (1, 26) is any 1.26."""


class BuildFailed(Exception):
    """A subscriber could not be built, although its toolchain is here. Says what the build said."""


@cache
def lack(tool: Tool) -> str | None:
    """What keeps a tool from being used; None where nothing does."""
    name = tool.command[0]
    if shutil.which(name) is None:
        return f"there is no {name} on this machine"
    said = subprocess.run(tool.command, capture_output=True, text=True, check=False)
    version = re.search(r"\d+(?:\.\d+)*", _COLOURS.sub("", said.stdout + said.stderr))
    if said.returncode or version is None:
        return f"{name} does not work"
    if tuple(map(int, version[0].split("."))) >= tool.oldest:
        return None
    return f"{name} {version[0]} is too old, {'.'.join(map(str, tool.oldest))} is needed"


@dataclass(frozen=True)
class Recipe:
    """One subscriber."""

    name: str
    """Its folder in examples/subscribers."""
    run: Sequence[str]
    tools: Sequence[Tool] = ()
    build: Sequence[Sequence[str]] = ()

    def lack(self) -> str | None:
        """Why it cannot be built here, for people; None where it can."""
        lacks = [why for tool in self.tools if (why := lack(tool))]
        return f"The {self.name} subscriber was not run: {' and '.join(lacks)}." if lacks else None

    def prepare(self, repository: Path) -> Path:
        """Builds it in a copy, so that nothing is left in the sources, and answers that folder. What was built from the
        same sources is not built again. Raises BuildFailed."""
        source = repository / "examples" / "subscribers" / self.name
        folder = repository / ".latchkey" / "examples" / self.name
        files = _sources(source)
        stamp, digest = folder / ".built-from", _digest(source, files)
        if stamp.exists() and stamp.read_text() == digest:
            return folder
        stamp.unlink(missing_ok=True)
        for file in files:
            copy = folder / file.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)
        for command in self.build:
            # With the caller's whole environment: it may say where packages come from.
            try:
                built = subprocess.run(
                    command, cwd=folder, capture_output=True, text=True, timeout=BUILD_WITHIN, check=False
                )
            except subprocess.TimeoutExpired as error:
                raise BuildFailed(str(error)) from None
            if built.returncode:
                raise BuildFailed(f"{' '.join(command)} failed:\n{built.stdout}\n{built.stderr}")
        stamp.write_text(digest)
        return folder


RECIPES = (
    Recipe("python-faststream", run=(sys.executable, "welcome_list.py")),
    Recipe("python-aiokafka", run=(sys.executable, "welcome_list.py")),
    Recipe(
        "typescript",
        run=("node", "dist/welcome-list.js"),
        tools=(Tool(("node", "--version"), (20,)), Tool(("npm", "--version"), (9,))),
        build=(("npm", "ci", "--no-audit", "--no-fund"), ("npm", "run", "build")),
    ),
    Recipe(
        "java",
        run=("java", "-jar", "target/welcome-list.jar"),
        tools=(Tool(("javac", "-version"), (17,)), Tool(("mvn", "--version"), (3,))),
        build=(("mvn", "--batch-mode", "--quiet", "package"),),
    ),
    Recipe(
        "go",
        run=("./welcome-list",),
        tools=(Tool(("go", "version"), (1, 26)),),
        build=(("go", "build", "-o", "welcome-list", "."),),
    ),
)


def build_all(recipes: Iterable[Recipe], repository: Path) -> dict[str, Path | BuildFailed]:
    """By name, the folder in which each was built, or why it was not: a registry that cannot be reached is the matter
    of one language."""

    def build(recipe: Recipe) -> Path | BuildFailed:
        try:
            return recipe.prepare(repository)
        except BuildFailed as failure:
            return failure

    recipes = tuple(recipes)
    with ThreadPoolExecutor() as pool:
        return dict(zip((recipe.name for recipe in recipes), pool.map(build, recipes), strict=True))


def _sources(folder: Path) -> list[Path]:
    """What git would keep of the folder."""
    made_here = {"node_modules", "dist", "target", "__pycache__"}
    return sorted(
        file for file in folder.rglob("*") if file.is_file() and not made_here & {*file.relative_to(folder).parts}
    )


def _digest(folder: Path, files: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.relative_to(folder)}\0".encode() + file.read_bytes() + b"\0")
    return digest.hexdigest()
