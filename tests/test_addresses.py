"""Addresses: records of a dataset that can be imported anew are of its images; all others stay where they were."""

from dataclasses import replace
from pathlib import Path

import pytest

from lmcbook.data import dataset_sha256, files
from lmcbook.errors import InputError
from lmcbook.lab import addresses
from lmcbook.lab.budget.todo import missing_of
from lmcbook.lab.on_demand import collect, present
from lmcbook.lab.plan import PlannedPair, jobs
from lmcbook.lab.records import Record, RecordIndex, left_out, pairs_table, read_record, read_records, write_record
from lmcbook.pages.widgets.source import sources
from tests.helpers.small_dataset import put_in_place
from tests.helpers.synthetic_records import make_layerwise_record, make_record

ROOT = Path(__file__).resolve().parents[1]


def import_flowers(seed: int) -> str:
    """Put images that ``seed`` decides in the place of those of the dataset ``flowers``; returns their SHA-256."""
    put_in_place("flowers", ("daisy", "rose"), seed)
    return dataset_sha256("flowers")


def of_flowers(record: Record, images: str) -> Record:
    """The same record, as if it had been measured on ``images`` of the dataset ``flowers``."""
    config = replace(record.config, training=replace(record.config.training, dataset="flowers"))
    return replace(record, recipe="mlp-flowers", config=config, digest="", dataset_sha256=images)


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """The folder of fresh records of an empty lab."""
    for name in ("DATA", "RUNS", "RECORDS"):
        monkeypatch.setenv(f"LMCBOOK_{name}", str(tmp_path / name.lower()))
    return tmp_path / "runs" / "records"


@pytest.fixture
def old(folder) -> Record:
    """The record of images that were replaced by others after it was written."""
    record = of_flowers(make_record(), import_flowers(seed=0))
    write_record(record, folder)
    assert RecordIndex(folder).find(record.config) == record
    import_flowers(seed=1)
    return record


def planned(record: Record) -> PlannedPair:
    return PlannedPair(scale=record.scale, recipe=record.recipe, pair=record.config)


def test_a_record_of_other_images_is_not_found(old, folder):
    assert RecordIndex(folder).find(old.config) is None
    assert present([planned(old)]) == []
    assert missing_of([planned(old)], folder) == [planned(old)]
    with pytest.raises(InputError, match="1 of 1 records are neither in"):
        collect([planned(old)], require_cached=True)


def test_a_record_of_other_images_is_outdated(old, folder):
    assert read_records(folder) == []
    assert read_records(folder, outdated=True) == [old]


def test_records_of_several_images_lie_beside_each_other(old, folder):
    new = replace(old, dataset_sha256=dataset_sha256("flowers"))
    path = write_record(new, folder)
    assert path.stem.endswith(f"_{new.digest}-{new.dataset_sha256[:16]}")
    assert present([planned(old)]) == [new] and read_records(folder) == [new]
    assert len(read_records(folder, outdated=True)) == 2
    import_flowers(seed=0)
    assert collect([planned(old)], require_cached=True) == [old]


def test_without_its_images_a_record_is_found_and_left_out_of_the_tables(old, folder):
    files.path_of("flowers").unlink()
    assert addresses.images_now("flowers") is None
    assert present([planned(old)]) == collect([planned(old)], require_cached=True) == [old]
    assert read_records(folder) == [] and old.file_name in left_out(folder)[0]
    assert missing_of([planned(old)], folder) == []


def test_images_that_no_record_is_of_are_not_read(folder, monkeypatch):
    monkeypatch.setattr("lmcbook.lab.records.index.images_now", lambda dataset: pytest.fail(f"{dataset} is read"))
    assert RecordIndex(folder).find(of_flowers(make_record(), import_flowers(seed=0)).config) is None


def test_without_the_images_records_of_several_are_named(old, folder):
    new = replace(old, dataset_sha256=dataset_sha256("flowers"))
    write_record(new, folder)
    files.path_of("flowers").unlink()
    with pytest.raises(InputError, match="records of 2 sets of images") as error:
        present([planned(old)])
    assert old.file_name in str(error.value) and new.file_name in str(error.value)
    assert read_records(folder) == [] and "2 records of mlp-flowers" in left_out(folder)[0]


def test_what_was_measured_of_other_images_is_not_put_beside_a_pair(old):
    other = of_flowers(make_layerwise_record(), "e" * 64)
    own = replace(other, dataset_sha256=old.dataset_sha256)
    assert pairs_table([old, other])["lewc_cosine"].isna().all()
    assert pairs_table([old, own])["lewc_cosine"].notna().all()


def test_an_explorer_shows_pairs_of_the_same_images(old):
    others = [replace(old, dataset_sha256=character * 64) for character in "ef"]
    wider = replace(others[1], config=replace(old.config, training=replace(old.config.training, width_multiplier=2)))
    [source] = sources([*others, replace(wider, digest="")], "interpolation", recipes=["mlp-flowers"])
    assert {record.dataset_sha256 for record in source.records} == {"f" * 64}


def test_a_job_of_other_images_has_another_receipt(old):
    names = []
    for seed in (0, 1, 0):
        import_flowers(seed)
        names.append(list(jobs([planned(old)])))
    assert names[0] == names[2] != names[1]


def test_images_of_a_pinned_dataset_are_no_part_of_an_address(tmp_path):
    record = make_record()
    assert addresses.is_pinned("digits") and not addresses.is_pinned("imagenet") and not addresses.is_pinned("flowers")
    assert record.address == record.digest == replace(record, dataset_sha256="e" * 64).address


@pytest.mark.slow
def test_committed_records_lie_at_their_addresses():
    paths = sorted((ROOT / "records").rglob("*.json"))[::10]
    assert paths and [path.name for path in paths] == [read_record(path).file_name for path in paths]
    assert all(RecordIndex(ROOT / "records").find(read_record(path).config) for path in paths[::10])
