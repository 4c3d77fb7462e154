"""`python -m tests.docs`: writes the generated pages anew."""

from __future__ import annotations

from tests.docs.pages import DOCS, PAGES

for name, page in PAGES.items():
    (DOCS / name).write_text(page(), "utf-8")
    print(f"docs/{name}")
