"""A folder of readable files as a forge."""
