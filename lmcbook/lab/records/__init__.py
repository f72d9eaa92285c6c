"""Records: one measurement each, as a small JSON file with its configuration and provenance; read back as tables.

A record is written once, by `lmcbook.lab.missing`, and only read afterwards. The file carries the SHA-256 of its own
content, so that an edited or damaged one is refused. No torch is imported here: figures and tables must start fast.
Tables are loaded when they are first used: they need pandas, which comes with the book; measuring does without.
"""

from typing import TYPE_CHECKING

from lmcbook.errors.on_demand import names_on_demand
from lmcbook.lab.provenance import provenance

if TYPE_CHECKING:
    from lmcbook.lab.records.files import check_writable, left_out, read_record, read_records, write_record
    from lmcbook.lab.records.flatness import FLATNESS, LINES, lines_table
    from lmcbook.lab.records.frames import barriers_table, curves_table, histograms_table, layers_table, units_table
    from lmcbook.lab.records.index import RecordIndex
    from lmcbook.lab.records.migration import migrate
    from lmcbook.lab.records.one_network import ONE_NETWORK, cross_talk_table, exponents_table, self_merges_table
    from lmcbook.lab.records.record import BARRIERS, COMMITTED, MEASURED_HERE, SCHEMA, Record
    from lmcbook.lab.records.repairs import REPAIRED, repair_curves_table, repairs_table
    from lmcbook.lab.records.summaries import SUMMARIES, pairs_table, summaries_table

__all__ = [
    "BARRIERS",
    "COMMITTED",
    "FLATNESS",
    "LINES",
    "MEASURED_HERE",
    "ONE_NETWORK",
    "REPAIRED",
    "SCHEMA",
    "SUMMARIES",
    "Record",
    "RecordIndex",
    "barriers_table",
    "check_writable",
    "cross_talk_table",
    "curves_table",
    "exponents_table",
    "histograms_table",
    "layers_table",
    "left_out",
    "lines_table",
    "migrate",
    "pairs_table",
    "provenance",
    "read_record",
    "read_records",
    "repair_curves_table",
    "repairs_table",
    "self_merges_table",
    "summaries_table",
    "units_table",
    "write_record",
]

__getattr__, __dir__ = names_on_demand(
    __name__,
    {
        "files": "check_writable left_out read_record read_records write_record",
        "flatness": "FLATNESS LINES lines_table",
        "frames": "barriers_table curves_table histograms_table layers_table units_table",
        "index": "RecordIndex",
        "migration": "migrate",
        "one_network": "ONE_NETWORK cross_talk_table exponents_table self_merges_table",
        "record": "BARRIERS COMMITTED MEASURED_HERE SCHEMA Record",
        "repairs": "REPAIRED repair_curves_table repairs_table",
        "summaries": "SUMMARIES pairs_table summaries_table",
    },
)
