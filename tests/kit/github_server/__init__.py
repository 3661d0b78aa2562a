"""A stateful GitHub on loopback: REST API, git over HTTP, permissions, paging, and faults on demand.

    with GitHubServer(bare_repository) as github:
        github.state.add_issue("Fix it", user="octo", labels=("orchestrate",))
        forge = GitHubForge(github.repository, github.token, base_url=github.url)

Every request and answer is checked against GitHub's published OpenAPI description.
"""

from tests.kit.github_server.faults import AFTER, BEFORE, Fault
from tests.kit.github_server.server import APP, PAT, TOKEN, GitHubServer, Request

__all__ = ["AFTER", "APP", "BEFORE", "PAT", "TOKEN", "Fault", "GitHubServer", "Request"]
