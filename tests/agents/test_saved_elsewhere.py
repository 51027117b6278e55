"""Files of agents in another process, one for all tests: what is imported for them there, and that they go on."""

import subprocess
import sys
from pathlib import Path

import pytest

from rllab.agents import Evolution, load, off_policy
from tests.agents.test_agents_contract import KINDS, make
from tests.proofs.agents import all_of

pytestmark = pytest.mark.slow
BICYCLE = "rllab_envs:rllab/BicycleBalance-v0"
ELSEWHERE = f"found_beside_the_file:{BICYCLE.split(':')[1]}"
STEPS = 170
PROGRAM = """
import pathlib, sys
sys.path.insert(0, sys.argv[1])
import torch
torch.set_num_threads(1)
from rllab.agents import load, off_policy
try:
    load("rider.pt")
except ValueError as error:
    print(error, pathlib.Path("RAN").exists(), sep="; ")
for environment in sys.argv[3:5]:
    agent = load("rider.pt", environment=environment)
    print(type(agent).__name__, agent.environment, pathlib.Path("RAN").exists())
import tests.proofs.toy_environments  # a file imports no module
off_policy.BLOCK = 45
for path in sys.argv[5:]:
    agent = load(path)
    agent.learn(int(sys.argv[2]))
    agent.save(path)
"""


@pytest.fixture(scope="module")
def there(tmp_path_factory):
    """Return what the program printed, and the agents as they were saved for it, by the file it went on from."""
    folder = tmp_path_factory.mktemp("there")
    (folder / "found_beside_the_file.py").write_text("open('RAN', 'w').close()\nimport rllab_envs\n")
    rider = Evolution(BICYCLE, hidden=())
    vars(rider)["environment"] = ELSEWHERE  # past the agent's own check, which would import it here
    rider.save(folder / "rider.pt")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(off_policy, "BLOCK", 45)
        agents = {str(folder / kind.__name__): make(kind, seed=6) for kind in KINDS}
        for path, agent in agents.items():
            agent.learn(STEPS)
            agent.save(path)
    checkout = str(Path(__file__).parents[2])
    command = [sys.executable, "-c", PROGRAM, checkout, str(STEPS), BICYCLE, ELSEWHERE, *agents]
    said = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=240, check=True).stdout
    return said.splitlines(), agents


def test_a_file_imports_no_module_but_who_loads_it_may(there):
    refused, taken, trapped = there[0]
    assert "is of the module found_beside_the_file, which is not imported because a file says so" in refused
    assert refused.endswith("; False")
    assert taken.split() == ["Evolution", BICYCLE, "False"]
    assert trapped.split() == ["Evolution", ELSEWHERE, "True"]  # the trap is a real one


def test_they_go_on_bit_for_bit(there, monkeypatch):
    monkeypatch.setattr(off_policy, "BLOCK", 45)
    for path, agent in there[1].items():
        agent.learn(STEPS)
        assert all_of(load(path)) == all_of(agent)
