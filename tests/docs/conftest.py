"""The site, built once for all tests that look at it."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.docs.pages import DOCS, ROOT

# Sphinx, which seldom looks for garbage: it keeps nearly all that it makes, and looking takes a tenth of its time
SPHINX = """
import gc, sys
from sphinx.cmd.build import main
gc.set_threshold(200_000, 50, 100)
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The site's folder; the build is cut off from the network where the machine allows that."""
    out = tmp_path_factory.mktemp("site")
    command = [
        sys.executable,
        "-c",
        SPHINX,
        "-W",
        "-q",
        "-b",
        "html",
        "-d",
        str(out / "trees"),
        str(DOCS),
        str(out / "html"),
    ]
    alone = ["unshare", "-rn"] if shutil.which("unshare") else []
    if alone and subprocess.run([*alone, "true"], capture_output=True).returncode:
        alone = []
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'envs'}"}
    done = subprocess.run([*alone, *command], env=environment, capture_output=True, text=True, timeout=590)
    assert done.returncode == 0, done.stderr
    return out / "html"
