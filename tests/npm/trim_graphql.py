"""Cut GitHub's published GraphQL schema down to what we ask and write.

    python -m tests.npm.trim_graphql        writes tests/npm/github.graphql

The source is npm's @octokit/graphql-schema (1.3 MB); what remains is committed, so that the tests need no
npm to validate documents and answers. A test trims again and compares whenever npm's file is there.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from graphql import (
    DocumentNode,
    FieldDefinitionNode,
    InterfaceTypeDefinitionNode,
    ObjectTypeDefinitionNode,
    UnionTypeDefinitionNode,
    parse,
    print_ast,
)

HERE = Path(__file__).parent
SOURCE = HERE / "node_modules" / "@octokit" / "graphql-schema" / "schema.graphql"
TRIMMED = HERE / "github.graphql"

FIELDS: dict[str, dict[str, tuple[str, ...]]] = {
    "Query": {"repository": ("owner", "name"), "viewer": ()},
    "Mutation": {
        "addComment": ("input",),
        "addLabelsToLabelable": ("input",),
        "createCheckRun": ("input",),
        "markPullRequestReadyForReview": ("input",),
        "removeLabelsFromLabelable": ("input",),
        "updateCheckRun": ("input",),
        "updateIssueComment": ("input",),
    },
    "Repository": {
        "id": (),
        "issue": ("number",),
        "issues": ("after", "first", "labels", "orderBy", "states"),
        "label": ("name",),
        "nameWithOwner": (),
    },
    "IssueConnection": {"nodes": (), "pageInfo": ()},
    "PageInfo": {"endCursor": (), "hasNextPage": (), "hasPreviousPage": ()},
    "Issue": {
        "author": (),
        "body": (),
        "comments": (),
        "createdAt": (),
        "id": (),
        "labels": ("first",),
        "lastEditedAt": (),
        "locked": (),
        "number": (),
        "parent": (),
        "repository": (),
        "state": (),
        "timelineItems": ("itemTypes", "last"),
        "title": (),
        "updatedAt": (),
        "url": (),
    },
    "IssueCommentConnection": {"totalCount": ()},
    "IssueTimelineItemsConnection": {"nodes": (), "pageInfo": ()},
    "LabeledEvent": {"actor": (), "createdAt": (), "label": ()},
    "UnlabeledEvent": {"actor": (), "createdAt": (), "label": ()},
    "RenamedTitleEvent": {"actor": (), "createdAt": (), "currentTitle": (), "previousTitle": ()},
    "PullRequest": {"id": (), "isDraft": (), "labels": ("first",)},
    "CheckRun": {"conclusion": (), "externalId": (), "id": ()},
    "CreateCheckRunPayload": {"checkRun": (), "clientMutationId": ()},
    "UpdateCheckRunPayload": {"checkRun": (), "clientMutationId": ()},
    "Label": {"id": (), "name": ()},
    "LabelConnection": {"nodes": ()},
    "Labelable": {"labels": ("first",)},
    "IssueComment": {"id": (), "fullDatabaseId": (), "author": ()},
    "IssueCommentEdge": {"node": ()},
    "Actor": {"login": ()},
    "User": {"login": ()},
    "Bot": {"login": ()},
    "AddCommentPayload": {"clientMutationId": (), "commentEdge": ()},
    "UpdateIssueCommentPayload": {"clientMutationId": (), "issueComment": ()},
    "AddLabelsToLabelablePayload": {"clientMutationId": (), "labelable": ()},
    "MarkPullRequestReadyForReviewPayload": {"clientMutationId": (), "pullRequest": ()},
    "RemoveLabelsFromLabelablePayload": {"clientMutationId": (), "labelable": ()},
}
UNIONS = {"IssueTimelineItems": frozenset({"LabeledEvent", "RenamedTitleEvent", "UnlabeledEvent"})}
WHOLE = frozenset(
    {
        "AddCommentInput", "AddLabelsToLabelableInput", "RemoveLabelsFromLabelableInput",
        "MarkPullRequestReadyForReviewInput", "UpdateIssueCommentInput", "BigInt", "DateTime", "IssueOrder",
        "IssueOrderField", "IssueState", "IssueTimelineItemsItemType", "OrderDirection", "URI",
        "CreateCheckRunInput", "UpdateCheckRunInput", "CheckRunAction", "CheckRunOutput", "CheckRunOutputImage",
        "CheckAnnotationData", "CheckAnnotationRange", "CheckAnnotationLevel", "CheckConclusionState",
        "RequestableCheckStatusState", "GitObjectID",
    }
)  # fmt: skip

NEWER = """
type IssueDependenciesSummary {
  blockedBy: Int!
}

extend type Issue {
  issueDependenciesSummary: IssueDependenciesSummary!
}
"""
"""What GitHub's schema has since 2025 and npm's copy does not. Source: docs.github.com, GraphQL API, "Issue"."""


def trim(text: str) -> str:
    """The types and fields we use, without prose, directives and arguments we never give."""
    kept: list[Any] = []
    definitions: Any = parse(text, no_location=True).definitions
    for node in definitions:
        name = getattr(getattr(node, "name", None), "value", "")
        if isinstance(node, (ObjectTypeDefinitionNode, InterfaceTypeDefinitionNode)) and name in FIELDS:
            fields = tuple(_field(f, name) for f in node.fields or () if f.name.value in FIELDS[name])
            interfaces = tuple(i for i in node.interfaces or () if i.name.value in FIELDS)
            kept.append(replace(node, fields=fields, interfaces=interfaces, directives=(), description=None))
        elif isinstance(node, UnionTypeDefinitionNode) and name in UNIONS:
            types = tuple(t for t in node.types or () if t.name.value in UNIONS[name])
            kept.append(replace(node, types=types, directives=(), description=None))
        elif name in WHOLE and "Extension" not in type(node).__name__:
            whole = {
                part: tuple(_bare(f) for f in getattr(node, part))
                for part in ("fields", "values")
                if hasattr(node, part)
            }
            kept.append(replace(node, directives=(), description=None, **whole))
    return print_ast(DocumentNode(definitions=tuple(kept))) + "\n" + NEWER


def _field(field: FieldDefinitionNode, of: str) -> FieldDefinitionNode:
    wanted = FIELDS[of][field.name.value]
    given = tuple(_bare(a) for a in field.arguments or () if a.name.value in wanted)
    return replace(field, arguments=given, directives=(), description=None)


def _bare(argument: Any) -> Any:
    return replace(argument, directives=(), description=None)


if __name__ == "__main__":
    TRIMMED.write_text(trim(SOURCE.read_text(encoding="utf-8")), encoding="utf-8")
