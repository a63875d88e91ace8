"""make sbom: by the rules of SPDX 2.3, complete, and true of the program that was built."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
BINARY = ROOT / os.environ.get("RS_BINARY", "build/reservation-sweeper")
MOMENT = 1700000000
ELEMENT = r"SPDXRef-[a-zA-Z0-9.-]+"
PACKAGE_FIELDS = {"SPDXID", "name", "downloadLocation", "filesAnalyzed", "versionInfo", "licenseDeclared", "copyrightText"}
FILE_FIELDS = {"SPDXID", "fileName", "checksums", "licenseConcluded", "copyrightText"}
LICENCE = r"[A-Za-z0-9.-]+"
RELATIONS = {"DESCRIBES", "GENERATED_FROM", "DYNAMIC_LINK", "CONTAINS"}


def made(program: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(MOMENT)}
    command = [ROOT / "tools" / "sbom", "7.8.9", "--program", program]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def sbom() -> dict[str, Any]:
    done = made(BINARY)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_document(sbom: dict[str, Any]) -> None:
    assert (sbom["spdxVersion"], sbom["dataLicense"], sbom["SPDXID"]) == ("SPDX-2.3", "CC0-1.0", "SPDXRef-DOCUMENT")
    assert sbom["name"] == "reservation-sweeper-7.8.9"
    assert re.fullmatch(r"urn:uuid:[0-9a-f-]{36}", sbom["documentNamespace"])
    assert sbom["creationInfo"]["created"] == "2023-11-14T22:13:20Z"
    assert all(re.match("(Tool|Person|Organization): .", name) for name in sbom["creationInfo"]["creators"])


def test_every_element_is_whole(sbom: dict[str, Any]) -> None:
    for package in sbom["packages"]:
        assert package.keys() >= PACKAGE_FIELDS and package["filesAnalyzed"] is False
        assert re.fullmatch(rf"{LICENCE}( AND {LICENCE})*", package["licenseDeclared"]), package
        for reference in package.get("externalRefs", []):
            assert re.fullmatch(r"pkg:deb/\w+/[^@?]+@[^@?:+]+\?arch=\w+&distro=\S+", reference["referenceLocator"])
    for file in sbom["files"]:
        assert file.keys() >= FILE_FIELDS
        assert {"SHA1", "SHA256"} == {c["algorithm"] for c in file["checksums"]}


def test_relationships_lead_somewhere(sbom: dict[str, Any]) -> None:
    ids = [element["SPDXID"] for element in [*sbom["packages"], *sbom["files"]]]
    assert len(ids) == len(set(ids)) and all(re.fullmatch(ELEMENT, element) for element in ids)
    for relation in sbom["relationships"]:
        assert relation["relationshipType"] in RELATIONS
        assert {relation["spdxElementId"], relation["relatedSpdxElement"]} <= {*ids, "SPDXRef-DOCUMENT"}
    reached = {relation["relatedSpdxElement"] for relation in sbom["relationships"]}
    assert reached == set(ids)


def test_it_is_of_this_program(sbom: dict[str, Any]) -> None:
    program = sbom["packages"][0]
    digest = hashlib.sha256(BINARY.read_bytes()).hexdigest()
    assert program["checksums"] == [{"algorithm": "SHA256", "checksumValue": digest}]
    assert program["versionInfo"] == "7.8.9" and program["licenseDeclared"] == "MIT"


def test_every_library_has_its_package(sbom: dict[str, Any]) -> None:
    """The libraries that the program itself asks for, by what dpkg says of each, and the C library."""
    versions = {package["name"]: package["versionInfo"] for package in sbom["packages"]}
    linked = subprocess.run(["ldd", BINARY], check=True, capture_output=True, text=True).stdout
    for library in ("libhiredis", "libpq", "libevent_core", "libevent_extra", "libjansson", "libyaml", "libssl", "libc"):
        assert re.search(rf"\b{library}[-.]", linked), library
    for name in ("libhiredis", "libpq5", "libevent-core", "libevent-extra", "libjansson4", "libyaml-0", "libssl3", "libc6"):
        (found,) = [package for package in versions if package.startswith(name)]
        installed = subprocess.run(
            ["dpkg-query", "-W", "-f", "${Version}", found], check=True, capture_output=True, text=True
        )
        assert installed.stdout == versions[found]


def test_what_is_copied_is_there(sbom: dict[str, Any]) -> None:
    """The texts that the program was made of, by the build's own lists."""
    named = {file["fileName"].removeprefix("./"): file["checksums"] for file in sbom["files"]}
    wanted = {p for kind in ("lua/*.lua", "sql/*.sql", "web/*.html", "web/*.css", "web/*.js") for p in ROOT.glob(kind)}
    assert set(named) == {str(p.relative_to(ROOT)) for p in wanted} - {"sql/schema.sql"}
    for name, checksums in named.items():
        digest = {c["algorithm"]: c["checksumValue"] for c in checksums}
        assert digest["SHA1"] == hashlib.sha1((ROOT / name).read_bytes()).hexdigest()


def test_the_same_twice() -> None:
    assert made(BINARY).stdout == made(BINARY).stdout


def test_what_is_no_program_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("no program\n")
    assert made(text).returncode != 0
