"""Fixtures of linear cross-entropy's options, with gradients.

Logits are whole matrices in float64. The cross-entropy of classes and of probabilities, with class weights and label
smoothing, is PyTorch's own; what PyTorch does not have (z-loss, token weights, a divisor) is added to its losses of
tokens. Autograd differentiates all of it.
"""

import math

import torch
from torch.nn.functional import cross_entropy

from fixture import DTYPES, Case


def cross_entropy_options(
    name: str,
    dtype: str = "float32",
    *,
    tokens: int = 13,
    hidden: int = 10,
    vocabulary: int = 70,
    targets: str = "classes",
    count: int = 0,
    reduction: str = "sum",
    bias: bool = False,
    scale: float = 1.0,
    softcap: float | None = None,
    label_smoothing: float = 0.0,
    z_loss_weight: float = 0.0,
    class_weights: bool = False,
    token_weights: bool = False,
    shift: int = 0,
    sequence_length: int | None = None,
    upstream: tuple[str, ...] = (),
) -> None:
    """One problem with its options, its results, and the gradients of a sum of results.

    - targets: classes, probabilities of all classes, or `count` classes with their probabilities ("top").
    - upstream: the results beside the loss whose gradients are given: lse, log_probabilities, entropy.
    """
    case = Case(
        "linear_cross_entropy", f"options_{name}", dtype=dtype, targets=targets, count=count, reduction=reduction, scale=scale,
        softcap=softcap, label_smoothing=label_smoothing, z_loss_weight=z_loss_weight, ignore_index=-100, shift=shift,
        sequence_length=sequence_length or tokens)
    leaves = {
        "embeddings": case.normals("embeddings", [tokens, hidden], 2.0),
        "classifier": case.normals("classifier", [vocabulary, hidden], 1 / math.sqrt(hidden))}
    if bias:
        leaves["bias"] = case.normals("bias", [vocabulary])
    for leaf in leaves.values():
        leaf.requires_grad_()

    logits = scale * (leaves["embeddings"] @ leaves["classifier"].T + leaves.get("bias", 0))
    if softcap is not None:
        logits = softcap * torch.tanh(logits / softcap)
    lse = torch.logsumexp(logits, dim=-1)

    def weights(name: str, size: int) -> torch.Tensor:
        case.tensors[name] = (torch.rand([size], generator=case.generator) + 0.25).float()
        return case.tensors[name].double()

    weight = weights("class_weights", vocabulary) if class_weights else None
    losses, counts, labels = judged(case, logits, weight)
    counted = counts > 0
    losses = torch.where(counted, losses + z_loss_weight * lse**2, 0.0)
    if token_weights:
        losses = losses * weights("token_weights", tokens)
    divisor = 1.0
    if reduction == "mean":
        divisor = counts.sum().item()
    elif reduction == "divided":
        divisor = 37.5
        case.tensors["divisor"] = torch.tensor([divisor], dtype=torch.float32)
    loss = losses if reduction == "none" else losses.sum() / divisor

    probabilities = torch.softmax(logits, dim=-1)
    results = {"loss": loss, "lse": lse, "entropy": -(probabilities * torch.log_softmax(logits, dim=-1)).sum(-1)}
    argmax = logits.argmax(-1)
    case.tensors["argmax"] = argmax.to(torch.int32)
    if labels is not None:
        picked = logits.gather(1, labels.clamp(min=0)[:, None])[:, 0] - lse
        results["log_probabilities"] = torch.where(labels >= 0, picked, 0.0)
        right = (argmax == labels).sum() / max(int((labels >= 0).sum()), 1)
        case.tensors["accuracy"] = right.float().reshape([])

    total = torch.zeros([], dtype=torch.float64)
    for result in ("loss", *upstream):
        gradient = torch.randn(results[result].shape, generator=case.generator, dtype=torch.float64).float()
        case.tensors[f"{result}_upstream"] = gradient
        total = total + (gradient.double() * results[result]).sum()
    gradients = torch.autograd.grad(total, list(leaves.values()))
    for leaf, gradient in zip(leaves, gradients):
        case.tensors[f"{leaf}_gradient"] = gradient.float()
    case.tensors |= {result: values.detach().float() for result, values in results.items()}
    case.save()


def judged(
    case: Case, logits: torch.Tensor, weight: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
    """The tokens' losses, what each counts for in a mean, and their classes (-1 for an ignored one) if they have one."""
    p = case.parameters
    tokens, vocabulary = logits.shape
    options = {"weight": weight, "label_smoothing": p["label_smoothing"], "reduction": "none"}
    if p["targets"] == "classes":
        targets = case.integers(0, vocabulary, [tokens])
        targets[case.integers(0, tokens, [tokens // 5])] = p["ignore_index"]
        case.tensors["targets"] = targets.to(torch.int32)
        labels = shifted(targets, p)
        losses = cross_entropy(logits, labels, ignore_index=p["ignore_index"], **options)
        counted = labels != p["ignore_index"]
        safe = torch.where(counted, labels, 0)
        counts = torch.where(counted, 1.0 if weight is None else weight[safe], 0.0)
        return losses, counts, torch.where(counted, labels, -1)

    if p["targets"] == "probabilities":
        raw = torch.rand([tokens, vocabulary], generator=case.generator, dtype=torch.float64) ** 6
        stored = (raw / raw.sum(-1, keepdim=True)).to(DTYPES[p["dtype"]])
        case.tensors["probabilities"] = stored
        whole = stored.double()
    else:
        classes = torch.stack([
            torch.randperm(vocabulary, generator=case.generator)[: p["count"]] for _ in range(tokens)])
        raw = torch.rand([tokens, p["count"]], generator=case.generator, dtype=torch.float64)
        stored = (raw / raw.sum(-1, keepdim=True)).to(DTYPES[p["dtype"]])
        case.tensors |= {"targets": classes.to(torch.int32), "probabilities": stored}
        whole = torch.zeros(tokens, vocabulary, dtype=torch.float64).scatter_(1, classes, stored.double())
    # Each token counts once, as PyTorch counts it.
    return cross_entropy(logits, whole, **options), torch.ones(tokens, dtype=torch.float64), None


def shifted(targets: torch.Tensor, p: dict) -> torch.Tensor:
    """Of each token the target that judges it: that of the token `shift` further in its sequence."""
    moved = torch.full_like(targets, p["ignore_index"])
    for token in range(len(targets)):
        place = token % p["sequence_length"] + p["shift"]
        if 0 <= place < p["sequence_length"]:
            moved[token] = targets[token + p["shift"]]
    return moved


def make_cross_entropy_options() -> None:
    cross_entropy_options("bias_f32", bias=True, reduction="mean")
    cross_entropy_options("softcap_scale_bf16", "bfloat16", softcap=5.0, scale=0.5, bias=True)
    cross_entropy_options("smoothing_f32", label_smoothing=0.1, reduction="none")
    cross_entropy_options("smoothing_softcap_f16", "float16", label_smoothing=0.2, softcap=4.0)
    cross_entropy_options("z_loss_f32", z_loss_weight=0.01, reduction="mean", upstream=("lse",))
    cross_entropy_options("class_weights_f32", class_weights=True, label_smoothing=0.3, reduction="mean")
    cross_entropy_options("token_weights_f16", "float16", token_weights=True, reduction="divided")
    cross_entropy_options("probabilities_f32", targets="probabilities", label_smoothing=0.1, class_weights=True)
    cross_entropy_options("probabilities_bf16", "bfloat16", targets="probabilities", reduction="mean")
    cross_entropy_options("top_f32", targets="top", count=4, bias=True, z_loss_weight=0.02)
    cross_entropy_options("shift_f32", tokens=24, sequence_length=8, shift=1, reduction="mean")
    cross_entropy_options("shift_back_f32", tokens=24, sequence_length=12, shift=-2)
    cross_entropy_options(
        "upstream_f32", upstream=("lse", "log_probabilities", "entropy"), softcap=6.0, reduction="none")
    cross_entropy_options(
        "every_f32", tokens=30, sequence_length=10, shift=1, bias=True, scale=1.5, softcap=7.0,
        label_smoothing=0.15, z_loss_weight=0.003, class_weights=True, token_weights=True, reduction="divided",
        upstream=("lse", "log_probabilities", "entropy"))
