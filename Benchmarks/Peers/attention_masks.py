"""The masks of `tilecl bench attention` as functions that FlexAttention takes."""


def visibility(specification):
    """Which keys a query sees, as a function of tensors of positions; None for all of them.

    Tokens of a grid lie row by row, which is how a program without token orders has them.
    """
    mask = specification["mask"]
    kind = mask["kind"]
    if kind == "causal":
        return lambda b, h, i, j: i >= j
    if kind == "chunks":
        size = mask["size"]
        return lambda b, h, i, j: i // size == j // size
    if kind == "band":
        reach = mask["reach"]
        return lambda b, h, i, j: (i - j).abs() <= reach
    if kind == "grid":
        side, radius = mask["side"], mask["radius"]
        return lambda b, h, i, j: (
            ((i // side - j // side).abs() <= radius) & ((i % side - j % side).abs() <= radius))
    return None
