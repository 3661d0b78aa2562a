"""GitHub's Copilot CLI, with the model of a vendor."""
