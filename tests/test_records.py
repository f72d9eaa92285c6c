"""Records: what is written is what is read, damaged ones are refused, tables have a row for each measurement."""

import json
import math
import shutil
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy
import pytest

from lmcbook.errors import InputError
from lmcbook.lab.budget import describe_plan
from lmcbook.lab.config import PairConfig
from lmcbook.lab.recipes import RECIPES
from lmcbook.lab.records import (
    BARRIERS,
    RecordIndex,
    barriers_table,
    check_writable,
    curves_table,
    layers_table,
    left_out,
    migrate,
    pairs_table,
    read_record,
    read_records,
    summaries_table,
    write_record,
)
from tests.helpers.synthetic_records import COEFFICIENTS, make_layerwise_record, make_record, width_sweep


def test_a_record_comes_back_as_it_was_written(tmp_path):
    record = make_record(2)
    path = write_record(record, tmp_path)
    assert read_record(path) == record
    assert path.parent == tmp_path / "embedded"
    assert path.name == f"mlp-digits_x2_wd0.003_s0-1_identity_interpolation_{record.digest}.json"


def test_the_same_record_gives_the_same_bytes_and_leaves_nothing_else_behind(tmp_path):
    first, second = (write_record(make_record(2), tmp_path / name) for name in "ab")
    assert first.read_bytes() == second.read_bytes()
    assert [path.name for path in first.parent.iterdir()] == [first.name]


def test_numbers_survive_bit_for_bit(tmp_path):
    record = make_record()
    numbers = [0.1 + 0.2, 1 / 3, 5e-324, 1.7976931348623157e308, -0.0]
    record = replace(record, data={**record.data, "numbers": numbers})
    read = read_record(write_record(record, tmp_path)).data["numbers"]
    assert [each.hex() for each in read] == [each.hex() for each in numbers]


def test_numbers_that_are_not_finite_are_null_and_listed(tmp_path):
    record = make_record()
    record = replace(record, data={**record.data, "slope": [1.0, math.nan], "beta": {"end": math.inf}})
    assert record.not_finite == ("data.beta.end", "data.slope[1]")
    read = read_record(write_record(record, tmp_path))
    assert read.data["slope"] == [1.0, None] and read.data["beta"] == {"end": None}
    assert read.not_finite == record.not_finite


def test_numpy_values_and_tuples_become_plain_ones():
    record = make_record()
    record = replace(record, data={**record.data, "a": numpy.float32(0.5), "b": numpy.arange(3), "c": (1, 2)})
    assert (record.data["a"], record.data["b"], record.data["c"]) == (0.5, [0, 1, 2], [1, 2])
    with pytest.raises(InputError, match=r"data\.bad is a object; a record holds numbers"):
        replace(record, data={**record.data, "bad": object()})


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text.replace("0.96", "0.97", 1), "was edited or damaged, its content does not match its SHA-256"),
        (lambda text: text[:-200], "is damaged, it is not whole JSON; delete it"),
        (lambda text: "[1, 2]", "is damaged, it has no schema"),
        (lambda text: text.replace("0.96", "NaN", 1), "was edited or damaged, its content does not match its SHA-256"),
        (lambda text: text.replace("mlp-digits", "\\udc00", 1), "was edited or damaged, its content does not match"),
        (
            lambda text: text.replace("mlp-digits", "mlp -digits", 1),
            "was edited or damaged, its content does not match",
        ),
        (lambda text: text.replace('"sha256": "', '"sha256": "0', 1), "was edited or damaged, its content does not"),
        (lambda text: "[" * 100_000, "is damaged, it is not whole JSON; delete it"),
        (lambda text: text.replace('"schema": 1', '"schema": 2'), "has schema 2; this lmcbook reads up to 1: install"),
    ],
)
def test_a_damaged_record_is_named_and_refused(tmp_path, damage, message):
    path = write_record(make_record(), tmp_path)
    changed = damage(path.read_text())
    assert changed != path.read_text()
    path.write_text(changed)
    with pytest.raises(InputError, match=message) as error:
        read_records(tmp_path)
    assert path.name in str(error.value)


@pytest.mark.parametrize("said", ["plain", 'with "quotes"', "with  blanks", "\\", "naïve", "a\nline", '"sha256":"0",'])
@pytest.mark.parametrize("indent", [None, 4])
def test_a_record_may_be_laid_out_anew_and_hold_any_text(tmp_path, said, indent):
    record = replace(make_record(), data={**make_record().data, "said": said})
    path = write_record(record, tmp_path)
    path.write_text(json.dumps(json.loads(path.read_text()), indent=indent))
    assert read_record(path) == record


@pytest.mark.parametrize("content", ['{"cards": []}', "[1, 2", '{"schema": 1, "mine": true}', "\xff"])
def test_nobody_is_told_to_delete_a_file_that_is_no_record(tmp_path, content):
    (tmp_path / "package-lock.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(InputError, match=r"package-lock\.json.* holds records alone: move others out") as error:
        read_records(tmp_path)
    assert "delete it" not in str(error.value)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mlp-gone_flowers", "gpt-digits"])
def test_records_whose_dataset_or_recipe_is_gone_are_left_out_and_named(tmp_path, name):
    """They say how far their networks are trained by a recipe, which nobody can make here; the others are read."""
    known, other = make_record(2), replace(make_record(1), recipe=name)
    paths = [write_record(record, tmp_path) for record in (known, other)]
    assert read_records(tmp_path) == [known]
    [line] = left_out(tmp_path)
    assert line.startswith(f"left out: 1 record of {name}, which is not known here: ") and str(paths[1]) in line
    told = describe_plan("embedded", device="cpu", folder=tmp_path)
    assert line in told.splitlines() and "records are there" in told


def test_trials_of_ones_own_are_no_part_of_the_book(tmp_path, monkeypatch):
    """Records of recipes that the book does not plan are read where they are asked for, not unasked."""
    monkeypatch.setenv("LMCBOOK_RECORDS", str(tmp_path / "committed"))
    monkeypatch.setenv("LMCBOOK_RUNS", str(tmp_path / "runs"))
    own = replace(make_record(1), recipe="mlp-cifar10")
    assert own.recipe not in RECIPES
    write_record(make_record(2), tmp_path / "runs" / "records")
    write_record(own, tmp_path / "runs" / "records")
    assert [record.recipe for record in read_records()] == ["mlp-digits"]
    assert [record.recipe for record in read_records(recipe="mlp-cifar10")] == ["mlp-cifar10"]
    assert len(read_records(tmp_path / "runs" / "records")) == 2


def test_a_folder_that_cannot_be_written_is_refused_up_front(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(InputError, match=r"records folder is .*file.*must be a folder that can be written"):
        check_writable(tmp_path / "file" / "records")
    with pytest.raises(NotADirectoryError):
        write_record(make_record(), tmp_path / "file")


def test_a_full_disk_is_found_before_anything_is_trained_for_it(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=16 * 1024))
    with pytest.raises(InputError, match=r"must be a folder that can be written \(No space left on device\)"):
        check_writable(tmp_path)


def test_the_first_folder_wins_and_the_source_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("LMCBOOK_RECORDS", str(tmp_path / "committed"))
    monkeypatch.setenv("LMCBOOK_RUNS", str(tmp_path / "runs"))
    committed = [make_record(1), make_record(2)]
    for record in committed:
        write_record(record, tmp_path / "committed")
    write_record(make_record(2, provenance={"seconds": 9.0}), tmp_path / "runs" / "records")
    read = read_records()
    assert [(record.config.training.width_multiplier, record.source) for record in read] == [
        (1, "committed"),
        (2, "measured here"),
    ]
    assert read[1].provenance["seconds"] == 9.0
    found = RecordIndex().find(committed[0].config)
    assert found is not None and found.source == "committed"
    assert RecordIndex().find(make_record(4).config) is None


def test_records_are_chosen_by_scale_recipe_and_alignment(tmp_path):
    for record in width_sweep(widths=(1, 2), pairs=1):
        write_record(record, tmp_path)
    write_record(make_record(1, recipe="vgg11-digits", scale="desk"), tmp_path)
    assert len(read_records(tmp_path)) == 9
    assert {record.recipe for record in read_records(tmp_path, scale="desk")} == {"vgg11-digits"}
    assert len(read_records(tmp_path, recipe=("mlp-digits",), alignment="random")) == 4
    assert read_records(tmp_path, measurement="layerwise") == []
    assert read_records(tmp_path / "missing") == []


def test_the_same_pair_at_two_scales_counts_once(tmp_path):
    for scale in ("embedded", "desk"):
        write_record(make_record(scale=scale), tmp_path)
    assert len(read_records(tmp_path)) == 1
    assert [record.scale for record in read_records(tmp_path, scale="desk")] == ["desk"]
    found = RecordIndex(tmp_path).find(make_record().config, scale="embedded")
    assert found is not None and found.scale == "embedded"


def test_records_of_an_older_version_of_the_code_are_left_out(tmp_path):
    old = replace(make_record(), digest="0123456789abcdef")
    assert old.outdated and not make_record().outdated
    write_record(old, tmp_path)
    assert read_records(tmp_path) == []
    assert read_records(tmp_path, outdated=True) == [old]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"recipe": "../evil"}, "recipe is '../evil'; it must be a name"),
        ({"data": {"curve": {}}}, "an interpolation record needs 'curve' and 'barriers'"),
        ({"data": {"curve": {}, "barriers": {}}}, "data lacks .*coefficients.*loss_barrier"),
        ({"measurement": "layerwise"}, "measurement is 'layerwise'; its configuration says 'interpolation'"),
    ],
)
def test_a_record_checks_itself_at_birth(change, message):
    with pytest.raises(InputError, match=message):
        replace(make_record(), **change)


def test_curves_have_a_row_for_each_coefficient():
    table = curves_table(width_sweep(widths=(1, 2), pairs=2, alignments=("identity",)))
    assert len(table) == 2 * 2 * 2 * len(COEFFICIENTS)
    columns = [
        "dataset",
        "architecture",
        "width_multiplier",
        "weight_decay",
        "seed_a",
        "seed_b",
        "alignment",
        "coefficient",
        "split",
    ]
    assert {*columns, "loss", "accuracy", "inverse_temperature", "calibrated_loss"} <= set(table.columns)
    assert sorted(table["coefficient"].unique()) == COEFFICIENTS


def test_barriers_have_a_row_for_each_pair():
    record = make_record(2, depth_of_dip=0.25)
    row = barriers_table([record]).iloc[0]
    assert row["midpoint_accuracy_barrier"] == pytest.approx(0.25)
    assert row["endpoint_accuracy"] == pytest.approx(0.96) and row["merged_accuracy"] == pytest.approx(0.71)
    assert row["inverse_temperature_midpoint"] == record.data["curve"]["inverse_temperature"][12]
    assert set(BARRIERS) <= set(barriers_table([record]).columns)


def test_tables_say_which_networks_have_batch_norm():
    plain, vgg = make_record(), make_record(recipe="vgg11-digits")
    # two layers with batch norm: neither the number of layers nor LEWC's exponent tells it from a plain network
    given = replace(plain.config.training, num_layers=2, normalisation="batch")
    normalised = replace(plain, config=replace(plain.config, training=given), digest="", lewc_exponent=2)
    assert barriers_table([plain, normalised, vgg])["batch_norm"].tolist() == [False, True, True]


def test_layers_have_a_row_for_each_metric():
    interpolation = make_record()
    config = PairConfig(training=interpolation.config.training, measurement="layerwise")
    layers = [{"layer": f"hidden{depth}", "depth": depth, "metrics": {"cosine": 0.5, "norm": 2.0}} for depth in (1, 2)]
    record = replace(interpolation, config=config, measurement="", digest="", data={"layers": layers})
    table = layers_table([record, interpolation])
    assert len(table) == 4 and list(table["depth"]) == [1, 1, 2, 2] and set(table["metric"]) == {"cosine", "norm"}


def test_every_table_says_the_exponent_of_lewc():
    """2 where the network has batch norm, which its configuration need not show: a record stores it."""
    normalised = replace(make_record(num_layers=6), lewc_exponent=2)
    interpolated = [make_record(num_layers=6), normalised, make_record(recipe="vgg11-digits")]
    inside = [make_layerwise_record(num_layers=3), make_layerwise_record(recipe="resnet20-digits")]
    inside.append(replace(make_layerwise_record(num_layers=3), lewc_exponent=2))
    for table in (curves_table, barriers_table, pairs_table):
        assert [table([record])["lewc_exponent"].unique().tolist() for record in interpolated] == [[6], [2], [2]]
    for table in (layers_table, summaries_table):
        assert [table([record])["lewc_exponent"].unique().tolist() for record in inside] == [[3], [2], [2]]


def test_the_exponent_is_stored_and_read_back(tmp_path):
    record = replace(make_record(num_layers=6), lewc_exponent=2)
    assert read_record(write_record(record, tmp_path)).lewc_exponent == 2


def of_old_times(recipe: str, num_layers: int):
    """An interpolation record from before the exponent was stored: L everywhere, also under batch norm."""
    record = make_record(recipe=recipe)
    data = json.loads(json.dumps(record.data))
    data["curve"]["num_layers"] = num_layers
    data["curve"]["lewc_ensemble_loss"] = [0.1 * index for index in range(25)]
    data["barriers"]["predicted_inverse_temperature_midpoint"] = 1.1 * 2 ** (num_layers - 1)
    return replace(record, data=data)


def test_records_with_a_wrong_exponent_are_mended_where_it_can_be_done_exactly(tmp_path):
    wrong, right = of_old_times("resnet20-digits", 20), of_old_times("mlp-digits", 4)
    paths = [write_record(record, tmp_path) for record in (wrong, right)]
    before = paths[1].read_bytes()
    assert list(migrate(tmp_path)) == [paths[0]]
    mended = read_record(paths[0])
    assert mended.data["barriers"]["predicted_inverse_temperature_midpoint"] == pytest.approx(2 * 1.1)
    curve = mended.data["curve"]
    assert curve["lewc_exponent"] == 2 and "num_layers" not in curve
    assert curve["lewc_ensemble_loss"] == [
        0.1 * index if index in (0, 12, 24) else None for index in range(len(COEFFICIENTS))
    ]
    assert mended.digest == wrong.digest and "exponent" in mended.provenance["migrated"][0]
    untouched = {name: values for name, values in curve.items() if "lewc" not in name}
    assert untouched.items() <= wrong.data["curve"].items()
    assert paths[1].read_bytes() == before
    assert list(migrate(tmp_path)) == [], "a second call finds nothing to do"


@pytest.mark.parametrize("place", ["", "embedded", "embedded/deep"])
def test_records_are_migrated_where_they_lie(tmp_path, place):
    """A folder of records may be one scale's alone, or hold others: none leaves its folder, nor the folder given."""
    folder = tmp_path / "given"
    written = write_record(of_old_times("resnet20-digits", 20), tmp_path / "elsewhere")
    (folder / place).mkdir(parents=True)
    path = written.rename(folder / place / written.name)
    before = {file for file in tmp_path.rglob("*")}
    assert list(migrate(folder)) == [path] and {file for file in tmp_path.rglob("*")} == before


def test_no_committed_record_predicts_what_the_theorem_calls_wrong(committed_records):
    interpolations = [record for record in committed_records if record.measurement == "interpolation"]
    assert interpolations
    for record in interpolations:
        curve, barriers = record.data["curve"], record.data["barriers"]
        of_ensemble = curve["ensemble_inverse_temperature"][curve["coefficients"].index(0.5)]
        expected = of_ensemble * 2 ** ((record.config.training.num_layers or 2) - 1)
        assert barriers["predicted_inverse_temperature_midpoint"] == pytest.approx(expected), record.file_name


def test_tables_without_records_have_their_columns():
    some = barriers_table([make_record()])
    assert {*some.columns} - {*barriers_table([]).columns} <= {"predicted_inverse_temperature_midpoint"}
    assert "coefficient" in curves_table([]).columns and "metric" in layers_table([]).columns
    assert curves_table([])["batch_norm"].dtype == layers_table([])["batch_norm"].dtype == bool


def test_a_record_is_readable_by_people(tmp_path):
    text = write_record(make_record(), tmp_path).read_text()
    assert len(text.splitlines()) < 150 and json.loads(text)["schema"] == 1


@pytest.mark.slow
def test_reading_needs_no_torch():
    modules = ("lab.records", "lab.on_demand", "pages.parameters", "pages.figures", "pages.tables", "pages.claims")
    code = f"import sys, {', '.join(f'lmcbook.{module}' for module in modules)}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
