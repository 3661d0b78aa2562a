"""Agents: TaskContext to Command, and output lines to progress. They start nothing."""
