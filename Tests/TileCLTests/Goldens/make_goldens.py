#!/usr/bin/env python3
"""Makes the fixtures beside this file: inputs, and what PyTorch says the operations give.

    python3 -m venv VENV && VENV/bin/pip install -r requirements.txt && VENV/bin/python make_goldens.py

Inputs are drawn from a seeded normal distribution, rounded to the case's storage type and stored in it. PyTorch then
computes in float64 on exactly those values, and the results are stored as float32. Each file is one case; its metadata
hold the case's parameters as JSON under the key "case". Nothing here shares code with the library under test.
"""

import math

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import cross_entropy, kl_div, log_softmax, scaled_dot_product_attention

import hilbert
from attention_options import make_attention_options
from cross_entropy_options import make_cross_entropy_options
from fixture import FOLDER, Case


# MARK: Attention


def attention(
    name: str,
    dtype: str,
    *,
    batch: int = 1,
    heads: tuple[int, int] = (2, 2),
    lengths: tuple[int, int] = (19, 19),
    dimensions: tuple[int, int] = (16, 16),
    mask: str = "none",
    scale: float | None = None,
    factor: float = 1.0,
    **parameters,
) -> None:
    """softmax(scale Q K^T) V and the logarithm of the sum of exponentials of each row.

    What may be seen is always given to PyTorch as a boolean matrix: its own is_causal aligns top left where the
    lengths differ, the library bottom right. Rows that see nothing give 0, and -inf for the logarithm.
    """
    (query_heads, key_heads), (queries, keys), (width, value_width) = heads, lengths, dimensions
    case = Case("attention", name, dtype=dtype, mask=mask, scale=scale, **parameters)
    query = case.normals("query", [batch, query_heads, queries, width], factor)
    key = case.normals("key", [batch, key_heads, keys, width], factor)
    value = case.normals("value", [batch, key_heads, keys, value_width])

    visible = torch.ones(queries, keys, dtype=torch.bool)
    if mask == "causal":
        visible = visible.tril(diagonal=keys - queries)
    elif mask == "predicate":
        visible = block_pattern(case, queries, keys)
        case.tensors["visible"] = visible.to(torch.uint8)
    elif mask == "hilbert_window":
        window = torch.arange(queries) // parameters["window"] ** 2
        visible = window[:, None] == window[None, :]

    order = None
    if mask == "hilbert_window":
        order = torch.tensor(hilbert.permutation(parameters["height"], parameters["width"]))
    elif parameters.get("shuffled"):
        order = torch.randperm(queries, generator=case.generator)
    if order is not None:
        # The mask speaks of positions in the order; PyTorch sees the rows as they lie in memory.
        case.tensors["order"] = order.to(torch.int32)
        position = torch.argsort(order)
        visible = visible[position][:, position]

    with sdpa_kernel(SDPBackend.MATH):
        output = scaled_dot_product_attention(
            query, key, value, attn_mask=visible, scale=scale, enable_gqa=query_heads != key_heads)
    repeated = key.repeat_interleave(query_heads // key_heads, dim=1)
    scores = query @ repeated.transpose(-1, -2) * (1 / math.sqrt(width) if scale is None else scale)
    lse = torch.logsumexp(scores.masked_fill(~visible, -math.inf), dim=-1)
    case.tensors |= {"output": output.float(), "lse": lse.float()}
    case.save()


def block_pattern(case: Case, queries: int, keys: int) -> torch.Tensor:
    """A boolean matrix of empty, full and partly filled blocks."""
    rows, columns = case.parameters["query_block"], case.parameters["key_block"]
    grid = [math.ceil(queries / rows), math.ceil(keys / columns)]
    kinds = case.integers(0, 3, grid).repeat_interleave(rows, 0).repeat_interleave(columns, 1)[:queries, :keys]
    cells = case.integers(0, 2, [queries, keys])
    return (kinds == 1) | ((kinds == 2) & (cells == 1))


def make_attention() -> None:
    attention("dense_f32", "float32", batch=2, dimensions=(8, 16))
    attention("dense_uneven_f16", "float16", heads=(3, 3), lengths=(5, 43), dimensions=(24, 12))
    attention("dense_wide_bf16", "bfloat16", lengths=(9, 17), dimensions=(64, 64))
    attention("one_by_one_f32", "float32", heads=(1, 1), lengths=(1, 1), dimensions=(1, 1))
    attention("large_scores_f32", "float32", heads=(1, 1), dimensions=(8, 8), scale=0.75, factor=6)
    attention("small_scale_f16", "float16", heads=(1, 1), dimensions=(8, 8), scale=0.01)
    attention("causal_odd_f32", "float32", lengths=(37, 37), dimensions=(17, 9), mask="causal")
    attention("causal_more_keys_f16", "float16", lengths=(7, 45), dimensions=(20, 12), mask="causal")
    attention("causal_more_keys_bf16", "bfloat16", batch=2, lengths=(1, 33), mask="causal")
    attention("causal_more_queries_f32", "float32", lengths=(29, 7), mask="causal")
    attention("grouped_bf16", "bfloat16", heads=(6, 2), lengths=(5, 19), dimensions=(40, 40))
    attention("grouped_causal_f16", "float16", batch=2, heads=(4, 1), lengths=(18, 18), mask="causal")
    attention(
        "blocks_f32", "float32", lengths=(53, 61), dimensions=(7, 7), mask="predicate", query_block=16, key_block=16)
    attention(
        "blocks_uneven_f16", "float16", heads=(2, 1), lengths=(67, 45), dimensions=(16, 8), mask="predicate",
        query_block=32, key_block=16)
    attention("shuffled_causal_f32", "float32", lengths=(23, 23), mask="causal", shuffled=True)
    for dtype, height, width, window, block, heads in [
        ("float32", 8, 8, 4, 16, (1, 1)),
        ("float16", 13, 7, 3, 16, (2, 2)),
        ("bfloat16", 6, 11, 5, 32, (2, 1)),
        ("float32", 9, 10, 2, 16, (1, 1)),
    ]:
        attention(
            f"hilbert_{height}x{width}_window_{window}_{dtype}", dtype, heads=heads,
            lengths=(height * width, height * width), dimensions=(8, 8), mask="hilbert_window",
            height=height, width=width, window=window, block=block)

    curves = Case("attention_orders", "hilbert")
    sides = [(1, 1), (1, 7), (5, 1), (2, 2), (2, 3), (3, 2), (3, 3), (5, 5), (8, 8), (7, 13), (13, 7), (9, 10), (10, 9)]
    for height, width in sides + [(6, 20), (31, 4), (10, 10), (18, 11), (16, 16), (25, 17)]:
        curves.tensors[f"{height}x{width}"] = torch.tensor(hilbert.permutation(height, width), dtype=torch.int32)
    curves.save()


# MARK: Linear cross-entropy


def linear_cross_entropy(
    name: str,
    dtype: str,
    *,
    tokens: int,
    hidden: int,
    vocabulary: int,
    ignore_index: int = -100,
    ignored: float = 0.0,
    factor: float = 1.0,
) -> None:
    """The cross-entropy of E C^T, for each reduction, and the logarithm of the sum of exponentials of each row."""
    case = Case("linear_cross_entropy", name, dtype=dtype, ignore_index=ignore_index)
    embeddings = case.normals("embeddings", [tokens, hidden], factor)
    classifier = case.normals("classifier", [vocabulary, hidden], 1 / math.sqrt(hidden))
    targets = case.integers(0, vocabulary, [tokens])
    dropped = torch.rand([tokens], generator=case.generator, dtype=torch.float64) < ignored
    targets = torch.where(dropped, ignore_index, targets)

    logits = embeddings @ classifier.T
    case.tensors |= {"targets": targets.to(torch.int32), "lse": torch.logsumexp(logits, dim=-1).float()}
    for reduction in ["none", "mean", "sum"]:
        loss = cross_entropy(logits, targets, ignore_index=ignore_index, reduction=reduction)
        case.tensors[reduction] = loss.float()
    case.save()


def make_linear_cross_entropy() -> None:
    linear_cross_entropy("plain_f32", "float32", tokens=17, hidden=31, vocabulary=129)
    linear_cross_entropy("plain_f16", "float16", tokens=9, hidden=8, vocabulary=1000)
    linear_cross_entropy("plain_bf16", "bfloat16", tokens=31, hidden=20, vocabulary=257)
    linear_cross_entropy("single_f32", "float32", tokens=1, hidden=3, vocabulary=2)
    linear_cross_entropy("one_class_f16", "float16", tokens=3, hidden=5, vocabulary=1)
    linear_cross_entropy("ignored_f32", "float32", tokens=40, hidden=16, vocabulary=64, ignored=0.4)
    linear_cross_entropy("ignored_bf16", "bfloat16", tokens=65, hidden=17, vocabulary=127, ignored=0.7)
    # A class of the vocabulary stands for "ignore": it is left out as a target but stays in the sum.
    linear_cross_entropy(
        "ignored_class_f16", "float16", tokens=33, hidden=12, vocabulary=50, ignore_index=3, ignored=0.3)
    # The mean over no token is 0 / 0 here, and 0 by definition in the library.
    linear_cross_entropy("all_ignored_f32", "float32", tokens=5, hidden=4, vocabulary=7, ignored=1.1)
    # Exponentials of these logits overflow float32 unless the maximum is taken out first.
    linear_cross_entropy("large_logits_f32", "float32", tokens=16, hidden=24, vocabulary=130, factor=100)
    linear_cross_entropy("large_logits_bf16", "bfloat16", tokens=7, hidden=64, vocabulary=90, factor=60)


# MARK: Distillation


def linear_distillation(
    name: str,
    dtype: str,
    *,
    tokens: int,
    hidden: tuple[int, int],
    vocabulary: int,
    beta: float,
    temperature: float = 1.0,
    softcap: float | None = None,
    biased: bool = False,
) -> None:
    """Divergences of a student's tokens from a teacher's, and the gradients of their sums by what the student has.

    Both sides have the softcap and, where asked for, biases. Losses are multiplied by the squared temperature.
    """
    case = Case(
        "linear_distillation", name, dtype=dtype, beta=beta, temperature=temperature, softcap=softcap, biased=biased)
    sides = []
    for side, size in zip(["student", "teacher"], hidden):
        embeddings = case.normals(f"{side}_embeddings", [tokens, size])
        classifier = case.normals(f"{side}_classifier", [vocabulary, size], 2 / math.sqrt(size))
        bias = case.normals(f"{side}_bias", [vocabulary]) if biased else torch.zeros(vocabulary, dtype=torch.float64)
        sides.append([embeddings, classifier, bias])

    for divergence in ["forward", "reverse", "jensen_shannon"]:
        student = [tensor.clone().requires_grad_() for tensor in sides[0]]
        logarithms = []
        for embeddings, classifier, bias in [student, sides[1]]:
            logits = embeddings @ classifier.T + bias
            if softcap is not None:
                logits = softcap * torch.tanh(logits / softcap)
            logarithms.append(log_softmax(logits / temperature, dim=-1))
        log_p, log_q = logarithms
        # kl_div(a, b) is that of b from a.
        if divergence == "forward":
            terms = kl_div(log_p, log_q, reduction="none", log_target=True)
        elif divergence == "reverse":
            terms = kl_div(log_q, log_p, reduction="none", log_target=True)
        else:
            log_m = torch.logaddexp(log_q + math.log(beta), log_p + math.log(1 - beta))
            terms = beta * kl_div(log_m, log_q, reduction="none", log_target=True)
            terms = terms + (1 - beta) * kl_div(log_m, log_p, reduction="none", log_target=True)
        losses = temperature**2 * terms.sum(dim=-1)
        losses.sum().backward()
        case.tensors[f"{divergence}_loss"] = losses.detach().float()
        for part, tensor in zip(["embeddings", "classifier", "bias"], student):
            if part != "bias" or biased:
                case.tensors[f"{divergence}_{part}"] = tensor.grad.float()
    case.save()


def make_linear_distillation() -> None:
    linear_distillation("plain_f32", "float32", tokens=7, hidden=(6, 9), vocabulary=33, beta=0.5)
    linear_distillation(
        "options_bf16", "bfloat16", tokens=5, hidden=(8, 4), vocabulary=29, beta=0.3, temperature=2.5, softcap=6,
        biased=True)


# MARK: Quantized matrix multiplication


def quantized_matmul(
    name: str, dtype: str, *, rows: int, columns: int, depth: int, bits: int, group: int | None, scheme: str
) -> None:
    """X W^T where w = scale code + offset, with one scale and offset for each group of codes along a row of W.

    The offset puts zero at the middle of the codes in symmetric weights, and is any number in affine ones.
    """
    case = Case("quantized_matmul", name, dtype=dtype, bits=bits, group_size=group, scheme=scheme)
    activations = case.normals("activations", [rows, depth])
    groups = math.ceil(depth / (group or depth))
    codes = case.integers(0, 2**bits, [columns, depth])
    scales = (torch.rand([columns, groups], generator=case.generator) + 0.5) / 2 ** (bits - 1)
    offsets = -(2 ** (bits - 1)) * scales
    if scheme == "affine":
        offsets = 2 * torch.rand([columns, groups], generator=case.generator) - 1.5

    of_column = torch.arange(depth) // (group or depth)
    weights = scales.double()[:, of_column] * codes + offsets.double()[:, of_column]
    case.tensors |= {
        "codes": codes.to(torch.uint8),
        "scales": scales,
        "offsets": offsets,
        "output": (activations @ weights.T).float(),
    }
    case.save()


def make_quantized_matmul() -> None:
    for name, dtype, shape, bits, group, scheme in [
        ("int4_group32_f32", "float32", (1, 17, 96), 4, 32, "symmetric"),
        ("int4_group64_affine_f16", "float16", (5, 24, 128), 4, 64, "affine"),
        ("int4_group128_bf16", "bfloat16", (3, 8, 256), 4, 128, "symmetric"),
        ("int4_group128_affine_f32", "float32", (5, 9, 256), 4, 128, "affine"),
        ("int4_row_f16", "float16", (2, 12, 80), 4, None, "symmetric"),
        ("int4_odd_row_affine_bf16", "bfloat16", (4, 7, 33), 4, None, "affine"),
        ("int4_short_group_f32", "float32", (33, 19, 80), 4, 32, "symmetric"),
        ("int4_single_f32", "float32", (1, 1, 1), 4, None, "affine"),
        ("int8_group32_affine_f32", "float32", (7, 13, 64), 8, 32, "affine"),
        ("int8_group64_f16", "float16", (1, 20, 192), 8, 64, "symmetric"),
        ("int8_group128_affine_bf16", "bfloat16", (6, 8, 128), 8, 128, "affine"),
        ("int8_row_f32", "float32", (65, 15, 40), 8, None, "symmetric"),
        ("int8_short_group_affine_f16", "float16", (3, 18, 79), 8, 64, "affine"),
    ]:
        rows, columns, depth = shape
        quantized_matmul(
            name, dtype, rows=rows, columns=columns, depth=depth, bits=bits, group=group, scheme=scheme)


if __name__ == "__main__":
    # One thread, so that sums are taken in the same order on every machine.
    torch.set_num_threads(1)
    for stale in FOLDER.glob("*/*.safetensors"):
        stale.unlink()
    make_attention()
    make_attention_options()
    make_linear_cross_entropy()
    make_cross_entropy_options()
    make_linear_distillation()
    make_quantized_matmul()
    files = sorted(FOLDER.glob("*/*.safetensors"))
    print(f"{len(files)} fixtures, {sum(file.stat().st_size for file in files)} bytes, PyTorch {torch.__version__}")
