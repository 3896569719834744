"""``dtxeth health``: the whole network at a glance."""

from __future__ import annotations

from dtxeth.cli.context import DEFAULT_HOME, Home, Json, opened
from dtxeth.cli.output import show_record


def health(home: Home = DEFAULT_HOME, json: Json = False) -> None:
    """Show how healthy the whole network is: storage nodes and live files by level.

    The level is that of the worst file. `dtxeth node list --level red` and `dtxeth file health --level red` say more.
    """
    with opened(home) as network:
        state = network.health()
        show_record(
            {
                "level": state.level.name.lower(),
                "nodes": {level.name.lower(): count for level, count in state.nodes.items()},
                "lost_nodes": state.lost,
                "files": {level.name.lower(): count for level, count in state.files.items()},
            },
            as_json=json,
        )
