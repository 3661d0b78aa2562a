"""`python -I -m orchestrator_action.action`: a step of the Action."""

import os
import sys

from orchestrator_action.action.main import main

code = main()
sys.stdout.flush()
os._exit(code)  # threads that wait for a forge that does not answer keep nobody waiting
