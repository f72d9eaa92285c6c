"""Shards: disjoint, together the whole plan, no network in two of them, and about as much work in each."""

from dataclasses import replace

import pytest

from lmcbook.__main__ import main
from lmcbook.errors import InputError
from lmcbook.lab import budget, paths, plan
from lmcbook.lab.budget import costs, shards, todo
from lmcbook.lab.records import RecordIndex
from lmcbook.lab.session import same_networks
from lmcbook.training.config import company, trains_together


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scale", "count"), [("embedded", 1), ("embedded", 3), pytest.param("paper", 4, marks=pytest.mark.slow)]
)
def test_shards_are_disjoint_and_together_the_whole_plan(scale, count, monkeypatch):
    planned = budget.planned_of(scale)
    # shards begin at different times, on different machines: a part that moved meanwhile would be nobody's
    for module, name in ((costs, "costs_of"), (costs, "costs_from_records"), (todo, "read_records")):
        monkeypatch.setattr(module, name, lambda *_, **__: pytest.fail("something else than the plan was asked"))
    parts = shards.dealt(planned, count)
    owner = {one.pair.digest: number for number, part in enumerate(parts) for one in part}
    assert sum(map(len, parts)) == len(planned) and owner.keys() == {one.pair.digest for one in planned}
    assert [[one for one in planned if owner[one.pair.digest] == number] for number in range(count)] == parts

    networks = [{config for one in part for config in same_networks(one.pair)} for part in parts]
    assert sum(map(len, networks)) == len(set.union(*networks)), "two shards would train the same network"
    companies = [{company(config) for config in each if trains_together(config)} for each in networks]
    assert sum(map(len, companies)) == len(set.union(*companies)), "what is trained in one go is in two shards"

    recipes = [{one.recipe for one in part} for part in parts]
    assert scale != "paper" or all("resnet50-imagenet" in each for each in recipes)
    loads = [shards._seconds([one for one in part if one.recipe != "resnet50-imagenet"]) for part in parts]
    assert max(loads) < 1.1 * min(loads), "whoever has not these images has some machines idle"


@pytest.mark.parametrize(
    "shard", ["0/3", "4/3", "a/b", "1", "1/0", "-1/3", "1/3/4", "", " 1/3", "1/3\n", "1.0/3", "²/3"]
)
def test_a_shard_of_another_form_is_refused(shard):
    with pytest.raises(InputError, match=r"shard is .*; it must be K/N with K from 1 to N, at most 9999"):
        budget.planned_of("embedded", shard=shard)


@pytest.fixture
def two_groups(pico_pair, monkeypatch) -> list[plan.PlannedPair]:
    """Two pairs that are trained in one go, and one that is trained by itself."""
    apart = replace(pico_pair, training=replace(pico_pair.training, width_multiplier=17.0, epochs=1))
    planned = [
        plan.PlannedPair(scale="embedded", recipe="mlp-digits", pair=pair)
        for pair in (pico_pair, apart, replace(pico_pair, seeds=(2, 3)))
    ]
    monkeypatch.setattr(plan, "pairs", lambda scale, notebooks=None, precision=None: planned)
    return planned


@pytest.mark.slow
def test_run_and_plan_work_off_and_tell_of_one_shard(two_groups, capsys):
    parts = shards.dealt(two_groups, 2)
    assert sorted(map(len, parts)) == [1, 2]
    for number, part in enumerate(parts, 1):
        assert shards.shard_of(two_groups, f"{number}/2") == part
        assert main(["run", "--device", "cpu", "--threads", "1", "--shard", f"{number}/2"]) == 0
        told = capsys.readouterr().out.splitlines()
        assert told[0] == f"shard {number}/2: {len(part)} records of the plan"
        assert told[-1] == f"{len(part)} records written, 0 still missing"
        index = RecordIndex(paths.fresh_records())
        here = sum(index.find(one.pair) is not None for one in two_groups)
        assert here == sum(map(len, parts[:number]))
    assert main(["plan", "--device", "cpu", "--shard", "1/2"]) == 0
    count = len(parts[0])
    assert capsys.readouterr().out.startswith(f"scale embedded, shard 1/2: {count} of {count} records are there\n")


def test_a_shard_more_than_there_is_work_has_nothing_to_do(two_groups, capsys):
    assert main(["run", "--device", "cpu", "--threads", "1", "--shard", "3/3"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "0 records written, 0 still missing"
