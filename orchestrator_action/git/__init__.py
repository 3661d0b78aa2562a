"""Repositories: hardened calls of git, checkouts, remotes, audit trails."""
