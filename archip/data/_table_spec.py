"""How a table is declared in YAML: which columns are genes, which are metrics, and what can be searched for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from archip.core.errors import UserError, nearest
from archip.core.record import METRICS
from archip.core.registry import validate
from archip.core.yaml_file import read_yaml

__all__ = [
    "Cell",
    "GeneColumn",
    "GraphCode",
    "Join",
    "MetricColumn",
    "Networks",
    "Search",
    "TableSpec",
    "read_spec",
    "table_names",
]

_SHIPPED = Path(__file__).parent / "tables"
_STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True)
class GeneColumn:
    """A column that holds one gene, or several in one text.

    Attributes:
        column: of the file; ``name[i]`` is column i of a matrix of an npz file.
        name: of the gene, by default the column's; of several genes a number from 1 is appended.
        split: what separates several genes; ``""``: every character is one. Where texts differ in length, a gene
            ``n_<name>`` has the length, and genes that a row lacks are inactive.
        pattern: a regular expression whose named groups are the genes of each part of the text.
        values: what is allowed, as a list, or code → value; by default what occurs, or of codes in an npz file the
            names in its array `names`.
        ordered: whether neighbouring values are similar; by default whether they are numbers.
    """

    __pydantic_config__ = _STRICT

    column: str
    name: str | None = None
    split: str | None = None
    pattern: str | None = None
    values: list[str | int | float] | dict[str | int, str | int | float] | None = None
    ordered: bool | None = None


@dataclass(frozen=True)
class Cell:
    """A column with cells written as NAS-Bench-201 does: ``|op~0|+|op~0|op~1|+…``, a node's parts naming its sources.

    Attributes:
        operators: all of them, in order of their codes.
        zero, identity: the operators that pass nothing and that pass everything on; with them, cells of one official
            "unique string" count as the same network.
    """

    __pydantic_config__ = _STRICT

    column: str
    operators: Annotated[list[str], Field(min_length=2)]
    zero: str | None = None
    identity: str | None = None


@dataclass(frozen=True)
class GraphCode:
    """Columns with directed acyclic graphs as in NAS-Bench-101: vertices from input to output.

    Attributes:
        vertices: column with their number.
        edges: column with the upper triangle of the adjacency matrix, (0, 1) the highest bit: an integer, or bits as
            text.
        operators: matrix of the inner vertices' operator codes, or a column of names joined by ``-``.
        names: operators in order of their codes.
        hash: column with the first 64 bits of the official hash, which is the same for isomorphic graphs; for tables
            that have all graphs.
        max_edges: of a graph of the space.
    """

    __pydantic_config__ = _STRICT

    vertices: str
    edges: str
    operators: str
    names: list[str]
    hash: str | None = None
    max_edges: int = 9


@dataclass(frozen=True)
class Join:
    """Another file, with a row for each value of the key column `by`.

    Attributes:
        key: how it calls the key column, if not `by`.
        partial: it has only some of the rows; the rest miss its columns.
        optional: the table can do without; what needs the file then says so.
        where: as of the table.
        prefix: put before the names of its columns, where they would clash with others.
    """

    __pydantic_config__ = _STRICT

    file: str
    by: str
    key: str | None = None
    partial: bool = False
    optional: bool = False
    where: dict[str, str | int | float] = field(default_factory=dict)
    prefix: str = ""


@dataclass(frozen=True)
class MetricColumn:
    """A column of a metric; a ``*`` in its name stands for the ``*`` in the metric's name.

    Attributes:
        unit: of the column, as in problem files, or a factor to SI units.
        may_miss: cells may be empty (or NaN): such rows lack the metric.
        additive: missing values are filled by a sum of one share for each gene, fitted to the rows that have one.
    """

    __pydantic_config__ = _STRICT

    column: str
    unit: float | str = 1.0
    may_miss: bool = False
    additive: bool = False


@dataclass(frozen=True)
class Early:
    """A cheaper fidelity: its metric, and its cost as a share of a full training."""

    __pydantic_config__ = _STRICT

    metric: str
    cost: Annotated[float, Field(gt=0, lt=1)]
    seconds: str | None = None


@dataclass(frozen=True)
class Search:
    """What is searched for: the metric that a strategy sees, and those of the final answer.

    Attributes:
        full: metric shown after a full training.
        test: metrics of the answer; the first counts, the others are reported beside it.
        early: metric shown after a short training.
        seconds: metric with the time of the full training; of the short one it stands in `early`.
    """

    __pydantic_config__ = _STRICT

    full: str
    test: Annotated[list[str], Field(min_length=1)]
    early: Early | None = None
    seconds: str | None = None


@dataclass(frozen=True)
class Statistic:
    """A number that is known of every row without training; `log`: its logarithm (signed) is taken."""

    __pydantic_config__ = _STRICT

    column: str
    log: bool = False


@dataclass(frozen=True)
class Networks:
    """How rows become networks with layers, for what needs their costs.

    Attributes:
        space: the space of networks whose genotypes the rows are.
        options: of the space.
        genes: gene of the table → gene of the space, where the names differ; a ``*`` stands for the same text in both.
        values: value in the table → value in the space, where they differ.
        inputs: search → ``CxHxW:OUTPUTS``, shape of the input and number of outputs; ``"*"`` is any search.
        options_of: search → further options of the space, for tasks that end in another way.
    """

    __pydantic_config__ = _STRICT

    space: str
    inputs: Annotated[dict[str, str], Field(min_length=1)]
    options: dict[str, Any] = field(default_factory=dict)
    genes: dict[str, str] = field(default_factory=dict)
    values: dict[str | int, str | int | float] = field(default_factory=dict)
    options_of: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for search in self.options_of:
            if search not in self.inputs:
                raise UserError(f"{search!r} has no input", "networks.options_of", nearest(search, self.inputs))


@dataclass(frozen=True)
class TableSpec:
    """A table as declared.

    Attributes:
        source: the publication.
        official: where the official data are, for users who lack the files.
        rows: of an npz file, the array whose length is the number of rows; by default the longest.
        where: column → value: only the rows of the file that have these values are the table's.
        genes, cell, graph: how rows are keyed; one of the three.
        duplicates: what several rows of one key are: an error, or measurements to be averaged.
        searches: name → what can be searched for; the first is the default.
        aliases: short name → metric.
        networks: what the rows are as networks with layers; None where archip cannot build them.
    """

    __pydantic_config__ = _STRICT

    title: str
    source: str
    official: str
    file: str
    metrics: dict[str, MetricColumn]
    searches: Annotated[dict[str, Search], Field(min_length=1)]
    rows: str | None = None
    where: dict[str, str | int | float] = field(default_factory=dict)
    join: list[Join] = field(default_factory=list)
    genes: list[GeneColumn] = field(default_factory=list)
    cell: Cell | None = None
    graph: GraphCode | None = None
    duplicates: Annotated[str, Field(pattern="^(refuse|mean)$")] = "refuse"
    statistics: list[Statistic] = field(default_factory=list)
    aliases: dict[str, str] = field(default_factory=dict)
    networks: Networks | None = None

    def __post_init__(self) -> None:
        if sum(map(bool, (self.genes, self.cell, self.graph))) != 1:
            raise UserError("rows are keyed in no way or in several", "genes", "one of genes, cell and graph")
        for name in self.metrics:
            if name.rpartition(".")[2] not in METRICS:
                right = nearest(name.rpartition(".")[2], METRICS)
                raise UserError(
                    f"{name!r} does not end in a known metric", f"metrics.{name}", f"<any>.<metric>: {right}"
                )


def table_names() -> list[str]:
    """The tables that archip knows."""
    return sorted(path.stem for path in _SHIPPED.glob("*.yaml"))


def read_spec(table: str) -> tuple[TableSpec, Path]:
    """The declaration of a known table, or the one in a YAML file; and the file's path.

    Raises:
        UserError: no such table, or a declaration that cannot be meant.
    """
    path = Path(table).expanduser() if table.endswith((".yaml", ".yml")) else _SHIPPED / f"{table}.yaml"
    if path.parent == _SHIPPED and table not in table_names():
        raise UserError(
            f"unknown table {table!r}", right=nearest(table, table_names()) + "; or the path of a YAML file"
        )
    content: Any = read_yaml(path)
    if not isinstance(content, Mapping):
        raise UserError("a table is declared by a mapping of keys", str(path), "see docs/bench.md")
    try:
        return validate(TableSpec, content), path
    except UserError as error:
        raise error.in_file(path) from None


def listed(names: Sequence[str], most: int = 12) -> str:
    """Names for a message, the first few."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
