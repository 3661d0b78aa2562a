"""opencode, with the model of one of several vendors."""
