"""The tests of the commands, run with the program that apt installed instead of in process."""

from __future__ import annotations

from tests.host.machine import CHECKOUT, PACKAGES, Host

BROAD = ("test_containers.py", "test_json.py")  # of tests/unit/cli; the frozen program gets them all
PYTEST = "python3 -m pytest -p xdist -p timeout -p no:cacheprovider -n 2"


def test_the_installed_program_does_what_the_code_does(host: Host) -> None:
    """With the host's Python; of the environment's packages none is compiled for another that these tests need."""
    tests = " ".join(f"tests/unit/cli/{name}" for name in BROAD)
    environment = {
        "PYTHONPATH": f"{CHECKOUT}:{PACKAGES}",
        "PYTHONDONTWRITEBYTECODE": "yes",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "yes",
    }
    said = host.run(f"cd {CHECKOUT} && {PYTEST} --program=/usr/bin/ds01 {tests}", env=environment, timeout=600).stdout
    assert " passed" in said and "skipped" not in said, said
