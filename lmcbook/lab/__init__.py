"""The lab: trains from a plan, stores what is trained, measures pairs and keeps records. Stands on the core alone.

The names below are loaded when they are first used, so that plans and records can be read without torch.
"""

from typing import TYPE_CHECKING

from lmcbook.errors.on_demand import names_on_demand

if TYPE_CHECKING:
    from lmcbook.lab.config import PairConfig
    from lmcbook.lab.on_demand import collect, present, recorded
    from lmcbook.lab.records import Record, read_records
    from lmcbook.lab.store import ensure, ensure_many

__all__ = ["PairConfig", "Record", "collect", "ensure", "ensure_many", "present", "read_records", "recorded"]

__getattr__, __dir__ = names_on_demand(
    __name__,
    {
        "config": "PairConfig",
        "on_demand": "collect present recorded",
        "records": "Record read_records",
        "store": "ensure ensure_many",
    },
)
