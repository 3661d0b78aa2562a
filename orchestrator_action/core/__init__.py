"""Decisions without effects: no clock, no files, no processes; standard library only."""
