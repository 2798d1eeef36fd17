"""Updates each state as soon as that can be, so that what its update reads is soon forgotten."""

from collections.abc import Iterable
from dataclasses import dataclass

from edgetrain.compiler.graph import Graph, Node, Value
from edgetrain.compiler.passes.base import narrows
from edgetrain.compiler.plan import arena_bytes


@dataclass(frozen=True, slots=True)
class EarlyUpdates:
    """What serves updates alone runs as soon as an output's computation allows: update by update,
    each with all that only it needs, and after every reader of the old state.  What a rule computes
    layer by layer then lives layer by layer.  What takes less than what it is made of stays in its
    place, if an output needs all of that anyway.  Kept where the arena gets smaller.

    Exact: the same nodes on the same numbers.
    """

    name: str = "early-updates"
    exact: bool = True

    def apply(self, graph: Graph) -> Graph:
        moved = graph.with_nodes(_Order(graph).nodes, graph.constants)
        return moved if arena_bytes(moved) < arena_bytes(graph) else graph


class _Order:
    """The nodes of a graph in their new order; what stays in its place is the trunk."""

    def __init__(self, graph: Graph) -> None:
        self._makers = {value: i for i, n in enumerate(graph.nodes) for value in n.outputs}
        self._graph = graph
        trunk: set[int] = set()
        for value in graph.outputs:
            if value in self._makers:
                trunk |= self._with_ancestors(self._makers[value])
        lasting = graph.lasting
        for i, node in enumerate(graph.nodes):
            if narrows(node, lasting) and self._with_ancestors(i) - {i} <= trunk:
                trunk.add(i)
        pending = self._updates(trunk)
        order: list[int] = []
        done: set[int] = set()

        def run(positions: Iterable[int]) -> None:
            fresh = [i for i in sorted(positions) if i not in done]
            order.extend(fresh)
            done.update(fresh)

        for turn in [*sorted(trunk), None]:
            if turn is not None:
                run([turn])
            while ready := [u for u, needs in pending.items() if needs & trunk <= done]:
                # The one that needs least frees its operands first.
                first = min(ready, key=lambda u: len(pending[u] - done))
                run(pending.pop(first))
        run(range(len(graph.nodes)))
        self.nodes: list[Node] = [graph.nodes[i] for i in order]

    def _updates(self, trunk: set[int]) -> dict[int, set[int]]:
        """Each node that updates states, with all nodes that must or should run by then."""
        found: dict[int, set[int]] = {}
        for state in self._graph.states:
            update = self._makers.get(state.next)
            if update is None or update in trunk:
                continue
            needs = found.setdefault(update, self._with_ancestors(update))
            for reader in self._readers(state.current):
                ancestors = self._with_ancestors(reader)
                # Who reads both old and new state runs later, and the plan keeps a copy for it.
                if update not in ancestors:
                    needs |= ancestors
        return found

    def _readers(self, value: Value) -> list[int]:
        return [i for i, node in enumerate(self._graph.nodes) if value in node.inputs]

    def _with_ancestors(self, position: int) -> set[int]:
        found: set[int] = set()
        pending = [position]
        while pending:
            each = pending.pop()
            if each not in found:
                found.add(each)
                inputs = self._graph.nodes[each].inputs
                pending += [self._makers[v] for v in inputs if v in self._makers]
        return found
