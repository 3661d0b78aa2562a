"""Claude Code as the WorkflowManager, with our plugin."""
