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
    InputValueDefinitionNode,
    InterfaceTypeDefinitionNode,
    ObjectTypeDefinitionNode,
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
        "markPullRequestReadyForReview": ("input",),
        "removeLabelsFromLabelable": ("input",),
        "updateIssueComment": ("input",),
    },
    "Repository": {"issue": ("number",), "label": ("name",)},
    "Issue": {"id": (), "lastEditedAt": (), "labels": ("first",)},
    "PullRequest": {"id": (), "isDraft": (), "labels": ("first",)},
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
WHOLE = frozenset(
    {
        "AddCommentInput", "AddLabelsToLabelableInput", "RemoveLabelsFromLabelableInput",
        "MarkPullRequestReadyForReviewInput", "UpdateIssueCommentInput", "BigInt", "DateTime",
    }
)  # fmt: skip


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
        elif name in WHOLE and "Extension" not in type(node).__name__:
            whole: dict[str, Any] = (
                {"fields": tuple(_bare(f) for f in getattr(node, "fields", ()))} if "Input" in name else {}
            )
            kept.append(replace(node, directives=(), description=None, **whole))
    return print_ast(DocumentNode(definitions=tuple(kept))) + "\n"


def _field(field: FieldDefinitionNode, of: str) -> FieldDefinitionNode:
    wanted = FIELDS[of][field.name.value]
    given = tuple(_bare(a) for a in field.arguments or () if a.name.value in wanted)
    return replace(field, arguments=given, directives=(), description=None)


def _bare(argument: InputValueDefinitionNode) -> InputValueDefinitionNode:
    return replace(argument, directives=(), description=None)


if __name__ == "__main__":
    TRIMMED.write_text(trim(SOURCE.read_text(encoding="utf-8")), encoding="utf-8")
