"""Processes: start, limit, measure, end; nothing of a task outlives it."""
