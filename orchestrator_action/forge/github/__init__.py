"""GitHub, by REST and GraphQL through PyGithub."""
