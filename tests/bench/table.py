"""Figures as they come: printed as a table at once, held against their targets, and kept for the JSON."""


class Results:
    """All sections of one run."""

    def __init__(self, **facts):
        self.facts = facts
        self.tables: dict[str, list[dict]] = {}
        self.targets: list[dict] = []

    def table(self, name: str, title: str, columns: dict[str, str]) -> "Table":
        """Begins a section; `columns` maps the name of each figure to its format."""
        print(f"\n{title}\n")
        return Table(self.tables.setdefault(name, []), columns)

    def target(self, what: str, figure: float, limit: float, at_least: bool = False):
        """Holds a figure against its target."""
        met = figure >= limit if at_least else figure <= limit
        self.targets.append({"what": what, "figure": figure, "limit": limit, "atLeast": at_least, "met": met})
        relation = "at least" if at_least else "at most"
        print(f"  target: {what}: {figure:.2f}, {relation} {limit:g}: {'met' if met else 'MISSED'}")

    @property
    def missed(self) -> list[dict]:
        return [target for target in self.targets if not target["met"]]

    def verdict(self) -> str:
        lines = [f"targets: {len(self.targets) - len(self.missed)} of {len(self.targets)} met"]
        lines += [f"  missed: {it['what']}: {it['figure']:.2f}, limit {it['limit']:g}" for it in self.missed]
        return "\n".join(lines)

    def to_value(self) -> dict:
        return {**self.facts, "tables": self.tables, "targets": self.targets}


class Table:
    """One section's table, printed row by row."""

    def __init__(self, rows: list[dict], columns: dict[str, str]):
        self.rows, self.columns = rows, columns
        widths = {name: max(len(name), 8) for name in columns}
        self.widths = {**widths, next(iter(columns)): 34}
        print("  " + "  ".join(self.cell(name, name) for name in columns))

    def row(self, **figures):
        self.rows.append(figures)
        texts = {name: "" if figures.get(name) is None else format(figures[name], form) for name, form in self.columns.items()}
        print("  " + "  ".join(self.cell(name, texts[name]) for name in self.columns), flush=True)

    def cell(self, name: str, text: str) -> str:
        width = self.widths[name]
        return text.ljust(width) if name == next(iter(self.columns)) else text.rjust(width)
