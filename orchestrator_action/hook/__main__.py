"""`python -I -m orchestrator_action.hook`: the same door by the module's name."""

from orchestrator_action.hook.main import exit_at_once, main

exit_at_once(main())
