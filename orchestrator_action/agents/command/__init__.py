"""Any program as the WorkflowManager."""
