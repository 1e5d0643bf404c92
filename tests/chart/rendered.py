"""The Helm chart's objects, as a cluster would be given them."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).resolve().parents[2] / "deploy" / "helm" / "latchkey"
KUBERNETES = "1.34.0"
"""The cluster that it is rendered for: Helm, built by itself, takes an old one for granted."""
SERVICES = ("invites", "membership", "billing", "notifier", "console")

Object = dict[str, Any]


@dataclass(frozen=True)
class Rendered:
    """What became of the chart with some values."""

    text: str

    @cached_property
    def objects(self) -> list[Object]:
        return [document for document in yaml.safe_load_all(self.text) if document]

    def of_kind(self, *kinds: str) -> Iterator[Object]:
        return (each for each in self.objects if each["kind"] in kinds)

    def one(self, kind: str, component: str) -> Object:
        """The only one of its kind that belongs to a component."""
        [found] = [each for each in self.of_kind(kind) if component_of(each) == component]
        return found

    @property
    def pods(self) -> list[tuple[Object, Object]]:
        """What starts pods, and the pod's specification."""
        return [(each, each["spec"]["template"]["spec"]) for each in self.of_kind("Deployment", "Job")]


def render(helm: str, *options: str, chart: Path = CHART) -> Rendered:
    """Raises RefusedByHelm where the values do not fit."""
    command = [helm, "template", "demo", str(chart), "--namespace=latchkey", f"--kube-version={KUBERNETES}"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise RefusedByHelm(done.stderr)
    return Rendered(done.stdout)


class RefusedByHelm(Exception):
    """The chart cannot be rendered with these values."""


def values_file(name: str) -> str:
    """The option for one of the sets of values that the chart is tested with."""
    return f"--values={CHART}/ci/{name}-values.yaml"


def component_of(an_object: Object) -> str:
    return str(an_object["metadata"]["labels"]["app.kubernetes.io/component"])


def service_of(an_object: Object) -> str | None:
    """Whose image and settings a pod has; none for the job that creates the topics."""
    component = component_of(an_object).removesuffix("-migrations")
    return component if component in SERVICES else None


def environment_of(pod: Object) -> dict[str, str]:
    [container] = pod["containers"]
    return {each["name"]: each["value"] for each in container["env"]}


def secret_settings_of(pod: Object) -> set[str]:
    """The settings that a pod reads from files."""
    items = [item for volume in pod["volumes"] if "secret" in volume for item in volume["secret"]["items"]]
    return {item["path"].upper() for item in items}
