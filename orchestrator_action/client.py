"""The agent's command."""


def main() -> None:
    """Run the agent's command."""
