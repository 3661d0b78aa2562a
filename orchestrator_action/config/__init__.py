"""Configuration: YAML and flags become one Config, every fault at once."""
