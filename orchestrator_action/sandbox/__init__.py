"""Child processes: how each is started, and the walls it is started in."""
