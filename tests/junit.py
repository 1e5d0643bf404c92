"""JUnit reports, as pytest writes them and as the runner reads them."""

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree


def put_together(reports: Sequence[Path], into: Path) -> None:
    """Several reports as one."""
    suites = ElementTree.Element("testsuites")
    for report in reports:
        suites.extend(ElementTree.parse(report).getroot().iter("testsuite"))
    ElementTree.ElementTree(suites).write(into, encoding="utf-8", xml_declaration=True)
