"""opencode, with the model of any vendor."""
