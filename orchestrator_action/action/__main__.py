"""`python -I -m orchestrator_action.action`: a step of the Action."""

import os
import sys

from orchestrator_action.process.own_environment import take_secrets

take_secrets()

from orchestrator_action.action.main import main  # noqa: E402 - its imports take a tenth of a second

code = main()
sys.stdout.flush()
os._exit(code)  # threads that wait for a forge that does not answer keep nobody waiting
