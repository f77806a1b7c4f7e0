"""What the author of a rule for rewriting imports: `rule` for pairs of expressions, `node_rule`, `graph_rule`.

A rule is known, and applied to every function made from then on, as soon as its function is decorated.
"""

from refgraph.ops.families import Elemwise as Elemwise
from refgraph.ops.families import Reals as Reals
from refgraph.ops.reductions import Reduction as Reduction
from refgraph.rewrite.engine import Facts as Facts
from refgraph.rewrite.rule import PHASES as PHASES
from refgraph.rewrite.rule import RULES as RULES
from refgraph.rewrite.rule import GraphRule as GraphRule
from refgraph.rewrite.rule import NodeRule as NodeRule
from refgraph.rewrite.rule import PairRule as PairRule
from refgraph.rewrite.rule import graph_rule as graph_rule
from refgraph.rewrite.rule import node_rule as node_rule
from refgraph.rewrite.rule import rule as rule
