"""Plotly's own JavaScript as its Python package has it, and what a content security policy has to say of it."""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from functools import cache

from plotly.offline import get_plotlyjs

__all__ = ["script", "style_hashes"]

# Plotly adds an empty <style> that it fills rule by rule, and one with the rules of its maps.
_OWN_STYLES = re.compile(r"\.textContent='([^'\\]+)',document\.head\.appendChild")


@cache
def script() -> bytes:
    """The script."""
    return get_plotlyjs().encode()


@cache
def style_hashes() -> tuple[str, ...]:
    """Sources of ``style-src`` that allow the style elements of plotly's own and no others."""
    texts = ["", *_OWN_STYLES.findall(script().decode())]
    return tuple(f"'sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in texts)
