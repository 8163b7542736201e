"""Fixtures of attention's options, masks, user code and sequences, with gradients.

Scores are written out as whole matrices in float64, and autograd differentiates them. What FlexAttention can express (it
has no sinks, and no backward pass on a CPU) is computed by it too, and both must agree.
"""

import math
import warnings

import torch
from torch.nn.attention.flex_attention import AuxRequest, create_block_mask, flex_attention

import hilbert
from fixture import Case

FLOAT64 = torch.float64


# MARK: Masks


def line_mask(kind: str, queries: int, keys: int, p: dict) -> torch.Tensor:
    """What a mask of positions shows: [Sq, Sk]."""
    i, j = torch.arange(queries)[:, None], torch.arange(keys)[None, :]
    at = i + keys - queries
    match kind:
        case "none":
            return torch.ones(queries, keys, dtype=torch.bool)
        case "causal":
            return j <= at
        case "sliding_window":
            return (j >= at - p["left"]) & (j <= at + p["right"])
        case "prefix":
            return (j < p["prefix_length"]) | (j <= at)
        case "documents":
            starts = torch.tensor(p["cumulative_lengths"][1:-1])
            same = torch.bucketize(i, starts, right=True) == torch.bucketize(j, starts, right=True)
            return same & (j <= i) if p["is_causal"] else same
        case "grid_window" | "grid_sliding_window" | "grid_neighborhood":
            return grid_mask(kind, p)
    raise ValueError(kind)


def grid_mask(kind: str, p: dict) -> torch.Tensor:
    """What a mask of a grid's cells shows, the cells being row-major: the product of what its axes show."""
    visible = torch.ones(1, 1, dtype=torch.bool)
    for axis, side in enumerate(p["extents"]):
        a, b = torch.arange(side)[:, None], torch.arange(side)[None, :]
        if kind == "grid_window":
            along = a // p["window"] == b // p["window"]
        elif kind == "grid_sliding_window":
            along = (a - b).abs() <= p["radius"]
        else:
            along = neighborhood(side, p["kernel"], p["dilation"], p["causal_axes"][axis])
        rows, columns = visible.shape
        visible = (visible[:, None, :, None] & along[None, :, None, :]).reshape(rows * side, columns * side)
    return visible


def neighborhood(side: int, kernel: int, dilation: int, is_causal: bool) -> torch.Tensor:
    """The `kernel` nearest coordinates of the same residue, moved inwards at the ends; if causal those not after."""
    visible = torch.zeros(side, side, dtype=torch.bool)
    for a in range(side):
        residue = list(range(a % dilation, side, dilation))
        place = residue.index(a)
        if is_causal:
            near = residue[max(place - kernel + 1, 0) : place + 1]
        else:
            start = min(max(place - kernel // 2, 0), len(residue) - kernel)
            near = residue[start : start + kernel]
        visible[a, near] = True
    return visible


# MARK: User code

# Each takes what FlexAttention's functions take, then positions and captures.


def decay(score, head, position, other, captures):
    distance = (position - other).abs()
    return score * captures["gain"][head] + captures["bend"] * torch.sin(score) - captures["rate"][head] * distance


def distance_table(score, head, position, other, captures):
    place = position - other + captures["reach"]
    inside = (place >= 0) & (place <= 2 * captures["reach"])
    return score + torch.where(inside, captures["table"][place.clamp(0, 2 * captures["reach"])], 0.0)


def holes(head, position, other):
    return ((3 * position + 5 * other + head) % 7 != 2) & (position % 11 != 4)


# MARK: Cases


def attention_options(
    name: str,
    dtype: str = "float32",
    *,
    batch: int = 1,
    heads: tuple[int, int] = (2, 2),
    lengths: tuple[int, int] = (13, 13),
    dimensions: tuple[int, int] = (16, 16),
    mask: str = "none",
    scale: float | None = None,
    softcap: float | None = None,
    alibi: bool = False,
    bias: str | None = None,
    extents: tuple[int, ...] | None = None,
    relative: bool = False,
    sinks: bool = False,
    modification: str | None = None,
    mask_modification: str | None = None,
    head_masks: tuple[int, int] | None = None,
    order: str | None = None,
    packed: tuple[list[int], list[int]] | None = None,
    padded: tuple[list[int], list[int]] | None = None,
    factor: float = 1.0,
    **mask_parameters,
) -> None:
    """Output, LSE, and the gradients of sum(dO O) + sum(dLSE LSE) over the rows that have an LSE.

    `bias` names the axes, of "bhq", along which the bias is not shared.
    """
    (query_heads, key_heads), (queries, keys), (width, value_width) = heads, lengths, dimensions
    parameters = dict(
        dtype=dtype, mask=mask, scale=scale, softcap=softcap, relative=relative, extents=extents,
        modification=modification, mask_modification=mask_modification, head_masks=head_masks, bias=bias,
        packed=packed, padded=padded, **mask_parameters)
    case = Case("attention", name, **{key: value for key, value in parameters.items() if value is not None})

    leaves: dict[str, torch.Tensor] = {}

    def leaf(name: str, shape: list[int], values: torch.Tensor | None = None) -> torch.Tensor:
        """An input of which the gradient is asked; float32 with given values, else normal in the case's dtype."""
        if values is None:
            stored = case.normals(name, shape, factor if name in ("query", "key") else 1.0)
        else:
            case.tensors[name] = values.float()
            stored = case.tensors[name].double()
        leaves[name] = stored.requires_grad_()
        return leaves[name]

    def drawn(shape: list[int]) -> torch.Tensor:
        return torch.randn(shape, generator=case.generator, dtype=FLOAT64)

    query = leaf("query", [batch, query_heads, queries, width])
    key = leaf("key", [batch, key_heads, keys, width])
    value = leaf("value", [batch, key_heads, keys, value_width])
    slopes = leaf("alibi_slopes", [], drawn([query_heads]).abs() / 4) if alibi else None
    sink = leaf("sinks", [], drawn([query_heads])) if sinks else None
    offsets = None
    if bias is not None:
        own = zip("bhq", [batch, query_heads, queries])
        offsets = leaf("bias", [size if axis in bias else 1 for axis, size in own] + [keys])
    table = None
    if relative:
        table = leaf("relative_bias", [], drawn([query_heads, math.prod(2 * side - 1 for side in extents)]))
    captures: dict = {}
    if modification == "decay":
        captures = {
            "gain": leaf("gain", [], 1 + drawn([query_heads]) / 4),
            "rate": leaf("rate", [], drawn([query_heads]).abs() / 8),
            "bend": 0.375,
        }
    elif modification == "distance_table":
        captures = {"reach": 3, "table": leaf("table", [], drawn([7]))}

    # Positions of rows, and the rows that belong together.
    position, other = torch.arange(queries), torch.arange(keys)
    visible = line_mask(mask, queries, keys, mask_parameters | {"extents": extents})
    if head_masks is not None:
        visible = case.integers(0, 2, [head_masks[0], head_masks[1], queries, keys]) == 1
        case.tensors["visible"] = visible.to(torch.uint8)
    if order is not None:
        permutation = (
            torch.tensor(hilbert.permutation(*extents)) if order == "hilbert"
            else torch.randperm(queries, generator=case.generator))
        case.tensors["order"] = permutation.to(torch.int32)
        position = other = torch.argsort(permutation)
        # A mask of a grid speaks of cells, which are rows; any other one of positions.
        if not mask.startswith("grid"):
            visible = visible[..., position[:, None], position[None, :]]
    visible = visible.expand(batch, query_heads, queries, keys).clone()
    shift = torch.full([batch, queries, keys], keys - queries)
    positions = position.expand(batch, queries).clone()
    others = other.expand(batch, keys).clone()
    if packed is not None or padded is not None:
        together = torch.zeros(batch, queries, keys, dtype=torch.bool)
        for entry, rows, columns in spans(packed, padded):
            together[entry, rows, columns] = True
            m, n = rows.stop - rows.start, columns.stop - columns.start
            shift[entry, rows, columns] = n - m
            positions[entry, rows] = torch.arange(m)
            others[entry, columns] = torch.arange(n)
        visible = together[:, None].expand(batch, query_heads, queries, keys).clone()
        if mask == "causal":
            visible &= (others[:, None, :] <= positions[:, :, None] + shift)[:, None]
    if mask_modification == "holes":
        visible &= holes(
            torch.arange(query_heads)[None, :, None, None], positions[:, None, :, None], others[:, None, None, :])

    factor_of_scores = 1 / math.sqrt(width) if scale is None else scale

    def change(score, b, h, i, j):
        """Everything between the product and the softmax, in the form of FlexAttention's score_mod."""
        if softcap is not None:
            score = softcap * torch.tanh(score / softcap)
        if slopes is not None:
            score = score - slopes[h] * (positions[b, i] + shift[b, i, j] - others[b, j]).abs()
        if offsets is not None:
            score = score + offsets[
                b if "b" in bias else torch.zeros_like(b), h if "h" in bias else torch.zeros_like(h),
                i if "q" in bias else torch.zeros_like(i), j]
        if table is not None:
            score = score + table[h, relative_element(extents, i, j)]
        if modification is not None:
            function = {"decay": decay, "distance_table": distance_table}[modification]
            score = function(score, h, positions[b, i], others[b, j], captures)
        return score

    axes = [torch.arange(size) for size in (batch, query_heads, queries, keys)]
    b, h, i, j = (axis.reshape([-1 if place == n else 1 for n in range(4)]) for place, axis in enumerate(axes))
    repeated = [tensor.repeat_interleave(query_heads // key_heads, dim=1) for tensor in (key, value)]
    scores = change(query @ repeated[0].transpose(-1, -2) * factor_of_scores, b, h, i, j)
    output, lse = attend(scores, repeated[1], visible, sink)
    if sink is None:
        check_with_flex(query, key, value, change, visible, factor_of_scores, output, lse)

    output_gradient = case.normals("output_gradient", list(output.shape))
    case.tensors["lse_gradient"] = drawn(list(lse.shape)).float()
    has_lse = lse > -math.inf
    loss = (output_gradient * output).sum()
    loss = loss + (case.tensors["lse_gradient"].double() * torch.where(has_lse, lse, 0.0)).sum()
    loss.backward()
    for name, tensor in leaves.items():
        case.tensors[f"{name}_gradient"] = tensor.grad.float()
    case.tensors |= {"output": output.detach().float(), "lse": lse.detach().float()}
    case.save()


def spans(packed, padded):
    """Batch entry, rows and columns of each sequence."""
    if packed is not None:
        ends = list(zip(*packed))
        return [(0, slice(a, c), slice(b, d)) for (a, b), (c, d) in zip(ends, ends[1:])]
    return [(entry, slice(0, m), slice(0, n)) for entry, (m, n) in enumerate(zip(*padded))]


def relative_element(extents, i, j):
    """The element of a table for the offset between two cells of a grid."""
    element, steps = 0, 1
    for side in reversed(extents):
        element = element + (i % side - j % side + side - 1) * steps
        steps *= 2 * side - 1
        i, j = i // side, j // side
    return element


def attend(scores, value, visible, sink):
    """Softmax over what is visible and the sink; rows that have neither give 0, and -inf for the logarithm."""
    has_any = visible.any(-1) | torch.tensor(sink is not None)
    scores = scores.masked_fill(~visible, -math.inf)
    all_scores = scores
    if sink is not None:
        column = sink[None, :, None, None].expand(*scores.shape[:-1], 1)
        all_scores = torch.cat([scores, column], dim=-1)
    # Rows that have nothing are given finite scores, so that no NaN arises that autograd would carry on.
    lse = torch.logsumexp(torch.where(has_any[..., None], all_scores, 0.0), dim=-1)
    weights = torch.where(visible, torch.exp(scores - lse[..., None]), 0.0)
    return weights @ value, torch.where(has_any, lse, -math.inf)


def check_with_flex(query, key, value, change, visible, scale, output, lse):
    """Requires FlexAttention to give the same output and LSE."""
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # It says that it is not compiled.
        mask = create_block_mask(
            lambda b, h, i, j: visible[b, h, i, j], visible.shape[0], visible.shape[1], visible.shape[2],
            visible.shape[3], device="cpu")
        result, aux = flex_attention(
            query.detach(), key.detach(), value.detach(), score_mod=change, block_mask=mask, scale=scale,
            enable_gqa=query.shape[1] != key.shape[1], return_aux=AuxRequest(lse=True))
    torch.testing.assert_close(result, output.detach(), rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(aux.lse, lse.detach(), rtol=1e-10, atol=1e-12)


def make_attention_options() -> None:
    attention_options("gradients_f32", batch=2, dimensions=(7, 5))
    attention_options("gradients_grouped_causal_f32", heads=(4, 2), lengths=(9, 14), mask="causal")
    attention_options("gradients_more_queries_f32", lengths=(15, 6), mask="causal")
    attention_options("gradients_f16", "float16", heads=(4, 1), lengths=(7, 9), dimensions=(64, 64))
    attention_options(
        "gradients_causal_bf16", "bfloat16", heads=(2, 1), lengths=(7, 9), dimensions=(64, 64), mask="causal")
    for dtype, other in [("float32", "float32"), ("float16", "bfloat16")]:
        attention_options(f"softcap_{dtype}", dtype, softcap=2.5, factor=2)
        attention_options(f"alibi_{other}", other, lengths=(9, 14), alibi=True, mask="causal")
        attention_options(f"sinks_{dtype}", dtype, heads=(4, 2), lengths=(9, 11), sinks=True, mask="causal")
        attention_options(f"bias_{other}", other, bias="hq", batch=2, lengths=(7, 10), mask="causal")
    attention_options("alibi_both_ways_f32", lengths=(14, 9), alibi=True)
    attention_options("sinks_hidden_rows_f32", lengths=(12, 7), sinks=True, mask="causal")
    for axes in ["", "b", "h", "q", "bh", "bq", "bhq"]:
        attention_options(f"bias_{axes or 'shared'}_f32", batch=2, lengths=(6, 9), bias=axes, mask="causal")
    attention_options("relative_line_f32", extents=(13,), relative=True)
    attention_options(
        "relative_plane_hilbert_f32", lengths=(20, 20), extents=(4, 5), relative=True, order="hilbert", mask="causal")
    attention_options("relative_volume_f32", lengths=(24, 24), extents=(2, 3, 4), relative=True)
    attention_options("score_decay_f32", batch=2, heads=(4, 2), lengths=(9, 12), modification="decay")
    attention_options("score_table_f32", heads=(4, 4), modification="distance_table")
    attention_options("mask_holes_f32", heads=(4, 2), lengths=(11, 16), mask_modification="holes")
    attention_options("sliding_window_f32", lengths=(20, 24), mask="sliding_window", left=5, right=2)
    attention_options("prefix_f32", lengths=(15, 19), mask="prefix", prefix_length=7)
    attention_options(
        "documents_f32", lengths=(24, 24), mask="documents", cumulative_lengths=[0, 5, 5, 14, 24], is_causal=False)
    attention_options(
        "documents_causal_bf16", "bfloat16", heads=(1, 1), lengths=(24, 24), dimensions=(64, 64), mask="documents",
        cumulative_lengths=[0, 9, 10, 24], is_causal=True)
    attention_options("head_masks_f32", batch=2, heads=(4, 2), lengths=(10, 13), head_masks=(1, 4))
    attention_options(
        "batch_head_masks_f32", batch=2, lengths=(10, 13), head_masks=(2, 2))
    grid = dict(heads=(1, 1))
    attention_options("grid_window_f32", lengths=(42, 42), mask="grid_window", extents=(6, 7), window=3, **grid)
    attention_options(
        "grid_sliding_window_f32", lengths=(42, 42), mask="grid_sliding_window", extents=(7, 6), radius=2, **grid)
    attention_options(
        "grid_neighborhood_f32", lengths=(42, 42), mask="grid_neighborhood", extents=(6, 7), kernel=3, dilation=2,
        causal_axes=[False, False], **grid)
    attention_options(
        "grid_neighborhood_causal_f32", lengths=(36, 36), mask="grid_neighborhood", extents=(3, 3, 4), kernel=3,
        dilation=1, causal_axes=[True, False, False], **grid)
    attention_options(
        "packed_f32", heads=(2, 1), lengths=(17, 20), packed=([0, 4, 4, 11, 17], [0, 6, 9, 9, 20]))
    attention_options(
        "packed_causal_options_f32", heads=(2, 1), lengths=(17, 20), mask="causal", softcap=3.0, alibi=True, sinks=True,
        bias="h", modification="decay", packed=([0, 4, 4, 11, 17], [0, 6, 9, 12, 20]))
    attention_options("packed_causal_f16", "float16", lengths=(17, 17), mask="causal", packed=([0, 1, 9, 17],) * 2)
    attention_options(
        "padded_causal_f32", batch=3, heads=(2, 1), lengths=(8, 10), mask="causal", alibi=True,
        padded=([8, 3, 5], [10, 7, 0]))
    for dtype in ["float32", "float16"]:
        attention_options(
            f"everything_{dtype}", dtype, heads=(4, 2), lengths=(20, 20), extents=(4, 5), relative=True, mask="causal",
            softcap=4.0, alibi=True, bias="hq", sinks=True, modification="decay", mask_modification="holes",
            order="hilbert")
