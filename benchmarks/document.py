"""Where the benchmarks write their tables: docs/PERFORMANCE.md, between two markers for each."""

from pathlib import Path

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "PERFORMANCE.md"


def write(name: str, results: str) -> None:
    """Put `results` (Markdown) between the markers `<!-- name: begin -->` and `<!-- name: end -->`."""
    before, begin, rest = DOCUMENT.read_text().partition(f"<!-- {name}: begin -->\n")
    _, end, after = rest.partition(f"<!-- {name}: end -->")
    if not (begin and end):
        raise SystemExit(f"{DOCUMENT} has no place for the table: put the two markers of {name} there.")
    DOCUMENT.write_text(f"{before}{begin}{results}\n{end}{after}")
