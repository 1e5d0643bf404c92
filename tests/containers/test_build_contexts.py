"""What the images are built from. No Docker engine is needed to see that."""

import io
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from stack.services import SERVICES


def context(repository: Path, name: str) -> list[str]:
    """The files that the build is given."""
    command = [sys.executable, "tools/images.py", "--context", name]
    packed = subprocess.run(command, cwd=repository, capture_output=True, check=True).stdout
    return tarfile.open(fileobj=io.BytesIO(packed)).getnames()


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
    assert {file.split("/")[0] for file in context(repository, "stand-ins")} == {"constraints.txt", "stack"}


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
