"""Made-up records of what one network tells: errors of a known size."""

from dataclasses import replace

from lmcbook.lab.records import Record
from tests.helpers.synthetic_records import make_record


def told_records(
    width: float = 4.0,
    *,
    recipe: str = "mlp-digits",
    seeds: tuple[int, int] = (0, 1),
    found: float = 0.5,
    error: float = 0.1,
    lost: float = 0.2,
    lost_error: float = 0.05,
    weight_decay: float = 3e-3,
) -> list[Record]:
    """The interpolation, common_mode and self_merge records of one pair of three layers.

    Reciprocal orthogonality of both layers is ``found``, told ``error`` more; the pair loses ``lost``, copies
    ``lost_error`` more, a hundredth less and more in two draws; β of copies is twice the pair's; exponents 2 and 3.5
    are told half more by κ and a quarter more by copies.
    """
    base = make_record(width, recipe=recipe, seeds=seeds, weight_decay=weight_decay)

    def of_layer(depth: int, exponent: float) -> dict:
        metrics = {"reciprocal_orthogonality": found, "exponent": exponent + 0.1, "kappa": 0.1, "predicted": found}
        for name in "ab":
            metrics |= {f"predicted_from_{name}": found + error, f"exponent_from_{name}": exponent + 0.5}
            metrics |= {"varying_orthogonality": found / 2, f"varying_from_{name}": found / 2 + error}
        return {"layer": f"layer{depth}", "depth": depth, "metrics": metrics}

    first = {"layer": "layer1", "depth": 1, "metrics": {"firing_a": 0.5}, "left_out": "it reads the images"}
    split = {"layers": [first, of_layer(2, 2.0), of_layer(3, 3.5)]}

    def worth(loses: float, more: float, beta: float) -> dict:
        depths = ((1, 1.0), (2, 2.0 + more), (3, 3.5 + more))
        layers = [{"layer": f"layer{depth}", "depth": depth, "decay_exponent": each} for depth, each in depths]
        layers[1]["reciprocal_orthogonality"] = found
        numbers = {"accuracy": 0.9 - loses, "loss": 1.0, "inverse_temperature": beta, "calibrated_loss": 0.3 + loses}
        return {**numbers, "layers": layers}

    def study(own: object, merged: list[dict], loses: float) -> dict:
        return {"own": own, "merged": merged, "accuracy_barrier": loses, "calibrated_loss_barrier": loses}

    own = worth(0.0, 0.0, 1.0)
    loses = lost + lost_error
    copies = study(own, [worth(loses + each, 0.25, 8.0) for each in (-0.01, 0.01)], loses)
    merge = study([own, own], [worth(lost, 0.0, 4.0)], lost)
    merges = {
        "a": {"none": copies, "lewc_mean": copies},
        "b": {"none": copies, "lewc_mean": copies},
        "pair": {"none": merge, "lewc_mean": merge},
    }
    return [
        base,
        *(
            replace(base, config=replace(base.config, measurement=kind), measurement=kind, digest="", data=data)
            for kind, data in (("common_mode", split), ("self_merge", merges))
        ),
    ]


def told_sweep() -> list[Record]:
    """Six pairs whose errors and losses differ: told in the right order, but for the last two."""
    found = [0.3, 0.4, 0.5, 0.6, 0.7, 0.8]
    errors = [0.1, 0.1, 0.1, 0.1, 0.15, -0.05]
    return [
        record
        for index, (each, error) in enumerate(zip(found, errors, strict=True))
        for record in told_records(
            2.0**index, seeds=(0, 1), found=each, error=error, lost=each / 2, lost_error=error / 2
        )
    ]
