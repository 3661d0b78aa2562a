"""Where issues, pull requests, comments and checks live: one folder for each kind."""
