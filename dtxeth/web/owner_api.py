"""The resources of an owner node, named once for both sides."""

from __future__ import annotations

from typing import Final

FILES: Final = "/files"
"""Files: listed by ``GET``, added to by ``POST``."""
FILE: Final = "/files/{file}"
"""One file: described by ``GET``, deleted by ``DELETE``."""
CONTENT: Final = "/files/{file}/content"
"""Its plaintext."""
HEALTH: Final = "/files/{file}/health"
"""Its health."""
RENEWAL: Final = "/files/{file}/renewal"
"""Its renewal."""
NAMESPACES: Final = "/namespaces"
"""Namespaces: listed by ``GET``, added to by ``POST``."""
AUTHORIZATIONS: Final = "/authorizations"
"""Applications for files, and what became of them."""
APPROVAL: Final = "/authorizations/{authorization}/approval"
"""The approval of an application."""
REJECTION: Final = "/authorizations/{authorization}/rejection"
"""The rejection of an application."""

PAGE: Final = 100
"""Rows of a page unless more are asked for."""
MAX_PAGE: Final = 1000
"""Most rows of a page."""
MAX_DOCUMENT: Final = 64 * 1024
"""Most bytes of a body that is no file."""
