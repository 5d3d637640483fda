"""Pages that need nothing else: a template with its figures, and plotly's own JavaScript in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from archip.core.units import format_quantity

__all__ = ["page"]


def page(template: str, figures: Mapping[str, Mapping[str, Any]], **about: Any) -> str:
    """The HTML of a template; `figures` are drawn into the elements of their names, where there are such."""
    from jinja2 import Environment, PackageLoader
    from plotly.offline import get_plotlyjs

    environment = Environment(loader=PackageLoader("archip.export"), autoescape=True)
    environment.filters["quantity"] = format_quantity
    texts = {name: _safe_json(figure) for name, figure in figures.items()}
    return environment.get_template(template).render(figures=texts, plotly=get_plotlyjs(), **about)


def _safe_json(value: Any) -> str:
    """JSON that cannot end the script element it stands in."""
    return json.dumps(value).replace("<", "\\u003c")
