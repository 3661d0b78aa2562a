"""Where issues, pulls, comments and checks live: GitHub, or a folder."""
