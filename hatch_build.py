"""The README as PyPI shows it: what it links to in the repository is linked to at its page."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface


class CustomMetadataHook(MetadataHookInterface):
    """Hands the long description to the build."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set `readme`, with absolute links."""
        page = metadata["urls"]["Homepage"]
        files = f"{page}/blob/main"
        raw = page.replace("https://github.com/", "https://raw.githubusercontent.com/") + "/main"
        text = Path(self.root, "README.md").read_text(encoding="utf-8")
        text = re.sub(r"\]\((?![a-z]+:|#)([^)\s]+)\)", rf"]({files}/\1)", text)
        text = re.sub(r'\b(src|srcset)="(?![a-z]+:)([^"]+)"', rf'\1="{raw}/\2"', text)
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
