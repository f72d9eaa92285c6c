"""May two networks be averaged? Reading them, checking them, measuring their merge, and saying what to do."""

from typing import TYPE_CHECKING

from lmcbook.errors.on_demand import names_on_demand

if TYPE_CHECKING:
    from lmcbook.connecting.checkpoints import Network, read_network
    from lmcbook.connecting.connection import Connection
    from lmcbook.connecting.measure import connect
    from lmcbook.connecting.merged import MergedNetwork, merge_networks
    from lmcbook.connecting.preflight import Finding

__all__ = ["Connection", "Finding", "MergedNetwork", "Network", "connect", "merge_networks", "read_network"]

__getattr__, __dir__ = names_on_demand(
    __name__,
    {
        "checkpoints": "Network read_network",
        "connection": "Connection",
        "measure": "connect",
        "merged": "MergedNetwork merge_networks",
        "preflight": "Finding",
    },
)
