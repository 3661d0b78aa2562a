"""`orchestrator-phase`, which an agent calls to claim its phases. Standard library only."""
