"""Parameters: every bad one gives one line that says what it was, what it may be and the way out."""

import json
import shlex
import types
from pathlib import Path

import hypothesis
import hypothesis.strategies as st
import numpy
import pytest

from lmcbook.errors import InputError
from lmcbook.lab import plan
from lmcbook.pages import parameters
from lmcbook.pages.spelling import argument
from tests.helpers.command_lines import as_papermill_reads


def namespace(**changes):
    """What a notebook's globals() hold before its second cell, with parameters as papermill would inject them."""
    ipython = {"In": ["", "x = 1"], "Out": {}, "_": "", "__name__": "__main__", "exit": print, "figures": types}
    return ipython | {name: each.default for name, each in parameters.COMMON.items()} | changes


def check(**changes):
    return parameters.check("01_width", namespace(**changes))


def test_the_defaults_ask_for_all_of_the_embedded_scale():
    request = check()
    assert request.selection == plan.Selection("embedded")
    assert request.measuring == {"folder": None, "device": "auto", "require_cached": False}
    assert request.command == "papermill notebooks/01_width.ipynb 01_width.ipynb"


def test_given_values_come_back_checked(tmp_path):
    request = check(
        recipe="mlp-mnist",
        width_multipliers=[0.25, 1],
        seeds=[0, 1, 2, 3],
        weight_decay=0,
        epochs=3,
        device="cpu",
        records=str(tmp_path / "new"),
    )
    assert request.selection == plan.Selection(
        recipes=("mlp-mnist",),
        width_multipliers=(0.25, 1.0),
        seed_pairs=((0, 1), (2, 3)),
        weight_decays=(0.0,),
        epochs=3,
    )
    assert request.folder == tmp_path / "new" and request.folder.is_dir()
    assert request.command == (
        "papermill notebooks/01_width.ipynb 01_width.ipynb -p recipe mlp-mnist"
        ' -y "width_multipliers: [0.25, 1]" -y "seeds: [0, 1, 2, 3]" -p weight_decay 0 -p epochs 3'
    )


def test_dataset_and_network_make_a_recipe():
    assert check(dataset="mnist", network="mlp").selection.recipes == ("mlp-mnist",)
    assert check(seeds=[[4, 5]]).selection.seed_pairs == ((4, 5),)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"widht_multipliers": [1]},
            r"parameter widht_multipliers is unknown; did you mean width_multipliers\? It may",
        ),
        ({"momentum": 0.9}, "parameter momentum is unknown; it may be one of: scale, recipe, dataset"),
        ({"scale": "huge"}, "scale is 'huge'; it may be one of: embedded, desk, paper"),
        ({"scale": None}, "scale is None; it may be one of: embedded"),
        ({"recipe": "mlp-cats"}, "recipe is 'mlp-cats'.*dataset"),
        ({"recipe": "gpt-digits"}, "recipe is 'gpt-digits'; it may be one of: mlp-digits"),
        ({"recipe": 3}, "recipe is 3; it must be a name"),
        ({"recipe": "mlp-digits", "network": "mlp"}, "recipe is 'mlp-digits' and network is 'mlp'; give a recipe, or"),
        ({"dataset": "mnist"}, "dataset is 'mnist' and network is not given; give both"),
        ({"network": "mlp"}, "network is 'mlp' and dataset is not given; give both"),
        ({"width_multipliers": [0]}, "width_multipliers is 0; it must be a number above 0"),
        ({"width_multipliers": "wide"}, "width_multipliers is 'wide'; it must be a number above 0"),
        ({"width_multipliers": []}, "width_multipliers is an empty list; leave it None"),
        ({"width_multipliers": [1, 1.0]}, "each value may stand there once"),
        ({"seeds": [0, 0]}, r"seeds has the pair \(0, 0\); its two seeds must differ"),
        ({"seeds": [[0, 1], [1, 2]]}, "no seed may be in two pairs"),
        ({"seeds": [0, 1, 2]}, r"seeds is \[0, 1, 2\]; it must be pairs of seeds"),
        ({"seeds": [[0, 1], 2]}, "it must be pairs of seeds"),
        ({"seeds": 7}, "seeds is 7; it must be pairs of seeds"),
        ({"seeds": [0, -1]}, "seeds is -1; it must be a whole number at least 0"),
        ({"weight_decay": -1e-4}, "weight_decay is -0.0001; it must be a number at least 0"),
        ({"weight_decay": [float("nan")]}, "weight_decay is nan; it must be a number"),
        ({"epochs": "many"}, "epochs is 'many'; it must be a whole number at least 1"),
        ({"epochs": True}, "epochs is True; it must be a whole number"),
        ({"device": "tpu"}, "device is 'tpu'; it may be one of: auto, cpu, cuda"),
        ({"require_cached": "perhaps"}, "require_cached is 'perhaps'; it must be true or false"),
        ({"records": 5}, "records is 5; it must be the path of a folder"),
    ],
)
def test_a_bad_parameter_gives_one_line(changes, message):
    with pytest.raises(InputError, match=message) as error:
        check(**changes)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "spelt", "meant"),
    [
        ("require_cached", "true", True),
        ("require_cached", "True", True),
        ("require_cached", "no", False),
        ("weight_decay", "5e-05", (5e-05,)),  # YAML 1.1 takes it for a text, for it has no point
        ("weight_decay", ["1e-3", "3e-3"], (1e-3, 3e-3)),
        ("weight_decay", "1e-3,3e-3", (1e-3, 3e-3)),
        ("weight_decay", " [1e-3, 3e-3] ", (1e-3, 3e-3)),
        ("weight_decay", "null", None),
        ("width_multipliers", "[0.25, 0.5]", (0.25, 0.5)),
        ("width_multipliers", "(.25, 2,)", (0.25, 2.0)),
        ("width_multipliers", "0.25", (0.25,)),
        ("width_multipliers", numpy.array([0.25, 2]), (0.25, 2.0)),
        ("seeds", "[[0,1]]", ((0, 1),)),
        ("seeds", "0,1,2,3", ((0, 1), (2, 3))),
        ("seeds", numpy.array([[0, 1]]), ((0, 1),)),
        ("epochs", "3", 3),
        ("epochs", 3.0, 3),
        ("epochs", numpy.int64(3), 3),
        ("epochs", "None", None),
        ("recipe", "null", None),
    ],
)
def test_a_parameter_is_taken_in_every_spelling(name, spelt, meant):
    request = check(**{name: spelt})
    places = {"width_multipliers": "width_multipliers", "seeds": "seed_pairs", "weight_decay": "weight_decays"}
    found = request.require_cached if name == "require_cached" else None
    if name != "require_cached":
        found = getattr(request.selection, {"recipe": "recipes"}.get(name, places.get(name, name)))
    assert found == meant


NUMBERS = st.floats(min_value=1e-300, max_value=1e300) | st.integers(1, 10**6)
SEEDS = st.lists(st.integers(0, 99), min_size=2, max_size=6, unique=True).filter(lambda seeds: len(seeds) % 2 == 0)
GIVEN = st.fixed_dictionaries(
    {},
    optional={
        "scale": st.sampled_from(plan.SCALES),
        "recipe": st.sampled_from(("mlp-digits", "vgg11-mnist")),
        "width_multipliers": NUMBERS | st.lists(NUMBERS, min_size=1, max_size=4, unique_by=float),
        "weight_decay": NUMBERS | st.just(0) | st.lists(NUMBERS, min_size=1, max_size=4, unique_by=float),
        "epochs": st.integers(1, 10**6),
        "seeds": SEEDS | SEEDS.map(lambda seeds: [list(pair) for pair in zip(seeds[::2], seeds[1::2], strict=True)]),
    },
)


@pytest.mark.slow
@hypothesis.settings(deadline=None)
@hypothesis.given(st.sampled_from(sorted(parameters.NOTEBOOKS)), GIVEN)
def test_the_command_under_a_figure_asks_for_the_same_again(notebook, given):
    request = parameters.check(notebook, namespace(**given))
    words = shlex.split(request.command)
    assert words[:3] == ["papermill", f"notebooks/{notebook}.ipynb", f"{notebook}.ipynb"]
    assert parameters.check(notebook, namespace(**as_papermill_reads(words[3:]))) == request


@pytest.mark.parametrize("text", ["nan", "a b", "it's", "True", "1e5", "-3", 'say "x"', "naïve 😀", "$HOME", "a:b"])
def test_a_text_stays_a_text_through_shell_and_papermill(text):
    assert as_papermill_reads(shlex.split(argument("recipe", text))) == {"recipe": text}


def test_a_folder_that_cannot_be_written_is_refused_unless_only_read(tmp_path):
    (tmp_path / "file").write_text("")
    folder = str(tmp_path / "file" / "records")
    with pytest.raises(InputError, match="must be a folder that can be written"):
        check(records=folder)
    assert str(check(records=folder, require_cached=True).folder) == folder


def test_a_missing_gpu_is_found_before_any_work():
    import torch

    if torch.cuda.is_available():
        assert check(device="cuda").device == "cuda"
    else:
        with pytest.raises(InputError, match="device is 'cuda', but torch sees no GPU"):
            check(device="cuda")


def test_variables_are_checked_as_by_every_command(monkeypatch):
    monkeypatch.setenv("LMCBOOK_RECORDS", "/nonexistent")
    with pytest.raises(InputError, match="LMCBOOK_RECORDS is '/nonexistent', which is not there"):
        check()


def test_a_notebook_must_declare_all_of_its_parameters():
    short = namespace()
    del short["epochs"]
    with pytest.raises(InputError, match="the parameters cell lacks epochs"):
        parameters.check("01_width", short)
    with pytest.raises(InputError, match="notebook is '99_missing'; it may be one of: 01_width"):
        parameters.check("99_missing", namespace())


@pytest.mark.parametrize("notebook", parameters.NOTEBOOKS)
def test_a_notebook_declares_what_the_table_says_and_defines_nothing(notebook):
    path = Path(__file__).parents[1] / "notebooks" / f"{notebook}.ipynb"
    cells = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
    sources = ["".join(cell["source"]) for cell in cells]
    [declaration] = [
        source for source, cell in zip(sources, cells, strict=True) if "parameters" in cell["metadata"].get("tags", [])
    ]
    given: dict = {}
    exec(declaration, given)
    declared = parameters.NOTEBOOKS[notebook]
    assert {name: value for name, value in given.items() if not name.startswith("_")} == {
        name: parameter.default for name, parameter in declared.items()
    }
    lines = [line for source in sources for line in source.splitlines() if line.strip() and not line.startswith("#")]
    assert not [line for line in lines if line.split()[0] in ("def", "class", "import", "!pip")]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)
    assert f'parameters.check("{notebook}", globals())' in "\n".join(sources)
