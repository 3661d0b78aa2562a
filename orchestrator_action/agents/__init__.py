"""Programs that can be the WorkflowManager: one folder each."""
