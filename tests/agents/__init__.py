"""Agents, on what real programs print."""
