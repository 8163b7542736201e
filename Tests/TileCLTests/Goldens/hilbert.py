"""A generalised Hilbert curve over any grid, as a map from cells to their positions on the curve.

The curve is the one of J. Cerveny's "gilbert2d": it starts at (0, 0), its first axis is the longer side, a rectangle
longer than 1.5 times its width is cut across in two, any other one is cut in three, and cuts prefer even lengths.
Usual implementations walk the curve with signed vectors. This one goes the other way: it asks in which piece a cell
lies, counts the cells of the pieces before it and descends, in coordinates local to each piece.
"""


def half(length: int, sign: int) -> int:
    """Half of a side, rounded towards the grid's origin if the side runs towards it, else away from it.

    The published curve halves signed components with a division that rounds down, hence the dependence on direction.
    """
    return length // 2 if sign > 0 else (length + 1) // 2


def position(u: int, v: int, a: int, b: int, sign_a: int = 1, sign_b: int = 1) -> int:
    """The position of the cell (u, v) on the curve that fills an a x b rectangle and runs along its first side."""
    if b == 1:
        return u
    if a == 1:
        return v
    first, second = half(a, sign_a), half(b, sign_b)
    if 2 * a > 3 * b:
        if first % 2 and a > 2:
            first += 1
        if u < first:
            return position(u, v, first, b, sign_a, sign_b)
        return first * b + position(u - first, v, a - first, b, sign_a, sign_b)

    if second % 2 and b > 2:
        second += 1
    # Up the left of the near part, along the whole far part, back down the right of the near part.
    if v >= second:
        return first * second + position(u, v - second, a, b - second, sign_a, sign_b)
    if u < first:
        return position(v, u, second, first, sign_b, sign_a)
    before = first * second + a * (b - second)
    return before + position(second - 1 - v, a - 1 - u, second, a - first, -sign_b, -sign_a)


def permutation(height: int, width: int) -> list[int]:
    """For each position on the curve, the row-major index of its cell."""
    cells = [(x, y) for y in range(height) for x in range(width)]
    if width >= height:
        positions = [position(x, y, width, height) for x, y in cells]
    else:
        positions = [position(y, x, height, width) for x, y in cells]
    order = sorted(range(len(cells)), key=positions.__getitem__)
    assert sorted(positions) == list(range(len(cells))), "the curve must visit every cell once"

    # Steps go to a neighbour; an odd longer side beside an even shorter one forces a single diagonal step.
    steps = [
        (abs(cells[i][0] - cells[j][0]), abs(cells[i][1] - cells[j][1])) for i, j in zip(order, order[1:])
    ]
    assert all(max(step) == 1 for step in steps), "the curve must not jump"
    assert steps.count((1, 1)) <= 1, "the curve must not cut more than one corner"
    return order
