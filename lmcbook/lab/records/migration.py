"""Records of an older version of the package, brought up to date where what they say can be said right from them alone.

Until November 2026 the prediction of LEWC used the number of layers as its exponent in every network. Under batch norm
the exponent is 2 (`lmcbook.evaluation.lewc_exponent`). Halfway between the networks both exponents mean the ensemble of
equal weights, so that the right prediction follows from what is in the record; at other coefficients the ensemble that
LEWC merges to is another, which was not measured: its columns become null there.
"""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

from lmcbook.evaluation.scale import sum_of_powers
from lmcbook.lab.addresses import record_files
from lmcbook.lab.records.files import read_record, write_record_at
from lmcbook.lab.records.record import Record

EXPONENT = "LEWC's exponent is 2 under batch norm: prediction at the midpoint mended, lewc_ensemble_ elsewhere null"


def migrate(folder: Path | str) -> Iterator[Path]:
    """Rewrite the records below ``folder`` that predict with a wrong exponent; gives each file's path, once written.

    A record keeps its address and its file's name, and notes in its provenance what was changed. A second call finds
    nothing to do.

    Raises:
        InputError: a file is damaged, edited, or of a later version of the format.
        OSError: a file cannot be written.
    """
    for path in record_files(folder):
        record = read_record(path)
        mended = with_right_exponent(record)
        if mended is not record:
            written = write_record_at(mended, path.with_name(mended.file_name))
            if written != path:  # older names do not say of which images a record is
                path.unlink()
            yield written


def with_right_exponent(record: Record) -> Record:
    """The record with LEWC's prediction under batch norm; itself where that is right or is not spoken of."""
    exponent = record.lewc_exponent
    depth = record.data.get("curve", {}).get("num_layers")
    if exponent is None or depth in (None, exponent):
        return record
    data = deepcopy(record.data)
    curve, barriers = data["curve"], data["barriers"]
    del curve["num_layers"]
    curve["lewc_exponent"] = exponent
    coefficients = curve["coefficients"]
    for name in [name for name in curve if name.startswith("lewc_ensemble_")]:
        columns = zip(coefficients, curve[name], strict=True)
        curve[name] = [value if coefficient in (0, 0.5, 1) else None for coefficient, value in columns]
    fitted = curve["ensemble_inverse_temperature"][coefficients.index(0.5)]
    barriers["predicted_inverse_temperature_midpoint"] = fitted / sum_of_powers((0.5, 0.5), exponent)
    return replace(record, data=data, provenance={**record.provenance, "migrated": [EXPONENT]})
