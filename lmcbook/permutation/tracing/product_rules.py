"""What sums of products do to units: linear maps, products of matrices, attention."""

from lmcbook.permutation.tracing.calls import Axes, Call, Rule, Value, unknown
from lmcbook.permutation.tracing.layouts import Layout, length


def contraction(call: Call, operands: list[tuple[Axes, str]], result: str) -> Axes:
    """Products summed over the labels that ``result`` lacks: axes of one label move together."""
    labelled: dict[str, Layout] = {}
    for axes, labels in operands:
        for label, layout in zip(labels, axes, strict=True):
            # an axis of length one is broadcast
            if length(layout) > 1 or label not in labelled:
                before = labelled.get(label)
                together = before is not None and length(before) > 1
                labelled[label] = call.tie(before, layout) if together else layout
    return tuple(labelled[label] for label in result)


def _letters(count: int) -> str:
    return "ABCDEFGHIJKLMNOPQRSTUVW"[:count]


def linear(call: Call) -> Axes:
    inputs, weight, bias = call.given("input"), call.given("weight"), call.axes("bias")
    batch = _letters(len(inputs) - 1)
    operands = [(inputs, batch + "i"), (weight, "oi"), *([(bias, "o")] if bias is not None else [])]
    return contraction(call, operands, batch + "o")


def matmul(call: Call) -> Axes:
    left = call.given("self")
    right = call.given(next(name for name in ("other", "vec", "tensor", "mat2") if name in call.arguments))
    batch = _letters(max(len(left), len(right), 2) - 2)

    def labels(axes: Axes, row: str, column: str, alone: str) -> str:
        return alone if len(axes) == 1 else batch[len(batch) - len(axes) + 2 :] + row + column

    both = [(left, labels(left, "m", "k", "k")), (right, labels(right, "k", "n", "k"))]
    result = batch + ("m" if len(left) > 1 else "") + ("n" if len(right) > 1 else "")
    return contraction(call, both, result)


def added_matmul(call: Call) -> Axes:
    first, second = ("batch1", "batch2") if "batch1" in call.arguments else ("mat1", "mat2")
    added, left, right = call.given("self"), call.given(first), call.given(second)
    result = "bmn" if len(left) == 3 else "mn"
    product = contraction(call, [(left, result[:-1] + "k"), (right, result[:-2] + "kn")], result)
    return contraction(call, [(product, result), (added, result[len(result) - len(added) :])], result)


def einsum(call: Call) -> Value:
    equation = call.arguments["equation"].replace(" ", "")
    if "..." in equation or "->" not in equation:
        return unknown(call)
    inputs, result = equation.split("->")
    operands = [call.of(node) for node in call.arguments["tensors"]]
    return contraction(call, list(zip(operands, inputs.split(","), strict=True)), result)


def attention(call: Call) -> Axes:
    """Heads are the batch's last axis: whatever computes query, key and value may exchange whole heads."""
    query, key, value, mask = call.given("query"), call.given("key"), call.given("value"), call.axes("attn_mask")
    batch = _letters(len(query) - 2)
    if call.arguments.get("is_causal"):
        call.stay(query[-2], key[-2])
    if call.arguments.get("enable_gqa"):
        call.stay(query[-3], key[-3], value[-3])
        key, value = (*key[:-3], query[-3], *key[-2:]), (*value[:-3], query[-3], *value[-2:])
    scores = contraction(call, [(query, batch + "le"), (key, batch + "se")], batch + "ls")
    if mask is not None:
        labels = (batch + "ls")[len(batch) + 2 - len(mask) :]
        scores = contraction(call, [(scores, batch + "ls"), (mask, labels)], batch + "ls")
    return contraction(call, [(scores, batch + "ls"), (value, batch + "sv")], batch + "lv")


PRODUCT_RULES: dict[str, Rule] = {
    **dict.fromkeys(("matmul", "bmm", "mm", "mv", "dot", "vdot"), matmul),
    **dict.fromkeys(("addmm", "baddbmm"), added_matmul),
    "linear": linear,
    "einsum": einsum,
    "scaled_dot_product_attention": attention,
}
