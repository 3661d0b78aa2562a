"""What is written back to the forge, from re-read state only."""
