"""Helm and a linter, and what the chart becomes."""

import pytest
from go_tools import HELM, KUBE_SCORE, NotToBeHad
from rendered import Rendered, render, values_file


@pytest.fixture(scope="session")
def helm() -> str:
    try:
        return HELM.built()
    except NotToBeHad as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def kube_score() -> str:
    try:
        return KUBE_SCORE.built()
    except NotToBeHad as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session", params=["minimal", "everything"])
def rendered(helm: str, request: pytest.FixtureRequest) -> Rendered:
    """The chart with as little as can be said, and with all that can be switched on."""
    return render(helm, values_file(request.param))


@pytest.fixture(scope="session")
def everything(helm: str) -> Rendered:
    return render(helm, values_file("everything"))
