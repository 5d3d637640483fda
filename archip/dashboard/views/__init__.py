"""What the pages show, as JSON values: a template draws them, and the page's ``.json`` twin gives them as they are."""
