"""What the images are built from. No Docker engine is needed to see that."""

import io
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from stack.services import SERVICES


def packed(checkout: Path, name: str) -> tarfile.TarFile:
    """What the build is given."""
    command = [sys.executable, "tools/images.py", "--context", name]
    done = subprocess.run(command, cwd=checkout, capture_output=True, check=True)
    return tarfile.open(fileobj=io.BytesIO(done.stdout))


def context(repository: Path, name: str) -> list[str]:
    """The names of its files."""
    return packed(repository, name).getnames()


@pytest.mark.parametrize("service", SERVICES)
def test_the_build_of_a_service_is_given_no_source_of_another_one(repository: Path, service: str) -> None:
    files = context(repository, service)

    assert f"services/{service}/Dockerfile" in files
    assert f"services/{service}/{service}/handlers.py" in files or f"services/{service}/{service}/app.py" in files
    assert {file.split("/")[1] for file in files if file.startswith("services/")} == {service}
    assert {file.split("/")[0] for file in files} == {"constraints.txt", "contracts", "deploy", "postroom", "services"}


@pytest.mark.parametrize("name", [*SERVICES, "stand-ins"])
def test_the_build_is_given_no_tests(repository: Path, name: str) -> None:
    assert [file for file in context(repository, name) if {"tests", "__pycache__"} & set(Path(file).parts)] == []


def test_the_stand_ins_are_built_without_any_service(repository: Path) -> None:
    assert {file.split("/")[0] for file in context(repository, "stand-ins")} == {"constraints.txt", "deploy", "stack"}


@pytest.mark.parametrize("name", ["invites", "stand-ins"])
def test_a_checkout_that_its_owner_alone_may_read_builds_the_same(repository: Path, tmp_path: Path, name: str) -> None:
    def modes(checkout: Path) -> dict[str, int]:
        return {file.name: file.mode for file in packed(checkout, name).getmembers()}

    for path in ("constraints.txt", "contracts", "deploy", "postroom", "services/invites", "stack", "tools/images.py"):
        copy = tmp_path / path
        copy.parent.mkdir(parents=True, exist_ok=True)
        whole = (repository / path).is_dir()
        (shutil.copytree if whole else shutil.copy)(repository / path, copy)
        for file in [copy, *copy.rglob("*")] if whole else [copy]:
            file.chmod(file.stat().st_mode & 0o700)

    assert modes(tmp_path) == modes(repository)
    assert set(modes(tmp_path).values()) <= {0o644, 0o755}


def test_the_dockerfiles_of_the_services_differ_in_no_more_than_they_must(repository: Path) -> None:
    def neutral(service: str) -> str:
        text = (repository / "services" / service / "Dockerfile").read_text(encoding="utf-8")
        text = re.sub(r'description="[^"]*"', "", text.replace(service, "service"))
        # The port of console's pages, and where they listen.
        return text.replace(" \\\n    WEB_HOST=0.0.0.0 \\\n    WEB_PORT=8000", "").replace(
            "EXPOSE 8000 8080", "EXPOSE 8080"
        )

    first, *others = (neutral(service) for service in SERVICES)
    assert all(other == first for other in others)


def test_the_linter_of_dockerfiles_has_no_objection(repository: Path) -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    files = ["stack/Dockerfile", *(f"services/{service}/Dockerfile" for service in SERVICES)]
    said = subprocess.run([hadolint, "--no-color", *files], cwd=repository, capture_output=True, text=True, check=False)
    assert (said.returncode, said.stdout) == (0, "")


@pytest.mark.parametrize("name", [*SERVICES, "stand-ins"])
def test_a_dockerfile_needs_no_more_than_the_classic_builder(repository: Path, name: str) -> None:
    path = "stack/Dockerfile" if name == "stand-ins" else f"services/{name}/Dockerfile"
    text = (repository / path).read_text(encoding="utf-8")

    for newer in ("# syntax=", "<<", "--link", "--mount", "--chmod"):
        assert newer not in text
