"""Documents of which a part is made from the product: that part stands between two comments, and is rewritten here."""

from pathlib import Path

ROOT = Path(__file__).parents[1]


def with_part(text: str, name: str, part: str) -> str:
    """The text with what stands between `<!-- name -->` and `<!-- /name -->` replaced. `ValueError` without them."""
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    before, found, rest = text.partition(begin)
    _, also_found, after = rest.partition(end)
    if not (found and also_found):
        raise ValueError(f"the text has no part {name!r}")
    return f"{before}{begin}{part}{end}{after}"
