"""An agent without a model: it applies the diffs that an issue holds."""
