"""Records: what is damaged or exchanged is named, what is foreign or hidden is left alone, none is read for another."""

import json
import random

import pytest

from lmcbook.errors import InputError
from lmcbook.lab.addresses import record_files
from lmcbook.lab.records import Record, RecordIndex, read_record, read_records, write_record
from tests.faults.damage import DAMAGES
from tests.helpers.synthetic_records import make_record

HARMLESS = {"a link outside"}


@pytest.fixture
def written(tmp_path):
    records = [make_record(width) for width in (1, 2)]
    return records, [write_record(record, tmp_path) for record in records]


def found(folder, record) -> Record | None:
    return RecordIndex(folder).find(record.config)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_record_is_named(tmp_path, written, damage):
    records, files = written
    DAMAGES[damage](files[0], files[1], random.Random(0))
    if damage in HARMLESS:
        assert found(tmp_path, records[0]) == records[0] and read_records(tmp_path) == records
        return
    for read in (lambda: read_records(tmp_path), lambda: found(tmp_path, records[0]), lambda: read_record(files[0])):
        with pytest.raises(InputError) as error:
            read()
        assert files[0].name in str(error.value) and "\n" not in str(error.value)


def test_a_record_under_another_s_name_is_never_taken_for_it(tmp_path, written):
    records, files = written
    files[0].write_bytes(files[1].read_bytes())
    with pytest.raises(InputError, match=rf"holds the measurement of {files[1].name}: give it that name"):
        found(tmp_path, records[0])
    assert found(tmp_path, records[1]) == records[1]


@pytest.mark.parametrize("name", [".ipynb_checkpoints/x_0123456789abcdef.json", ".writing-x.json", "x.py"])
def test_what_is_hidden_or_no_json_is_left_alone(tmp_path, written, name):
    records, files = written
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("[]")
    assert read_records(tmp_path) == records and record_files(tmp_path) == sorted(files)


@pytest.mark.parametrize("value", ["NaN", "-Infinity", '"\\ud800"', "[" * 900 + "]" * 900, "[" * 100_000])
def test_a_record_of_what_is_no_json_is_named(tmp_path, written, value):
    _, (file, _) = written
    content = json.loads(file.read_text())
    text = json.dumps({**content, "provenance": {"seconds": 0.5}})
    file.write_text(text.replace("0.5", value, 1))
    with pytest.raises(InputError, match=file.name):
        read_records(tmp_path)
