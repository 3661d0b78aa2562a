"""`python -I -m orchestrator_action.action.load`: have Python write the byte code of all that a step runs.

It goes to the folder of `-X pycache_prefix`, which the steps that hold a token read it from.
"""

from orchestrator_action.action import judging, main, modes
from orchestrator_action.forge.github import forge
from orchestrator_action.run.installed_program import load_all

__all__ = ["forge", "judging", "main", "modes"]

if __name__ == "__main__":
    load_all()
