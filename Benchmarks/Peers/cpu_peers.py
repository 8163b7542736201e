"""Times PyTorch on the problems of the CPU benchmarks and writes them as JSON.

    python3 -m venv venv && venv/bin/pip install torch
    venv/bin/python Benchmarks/Peers/cpu_peers.py > peers.json

A result has the name of the benchmark it stands beside. FLOP are counted the same way: multiplications and additions
of the formula, visible pairs alone under a causal mask. Times are medians over repeated runs after two warm-up runs.
"""

import argparse
import json
import multiprocessing
import platform
import statistics
import sys
import time
from functools import partial

import torch
import torch.nn.functional as functional


def median_seconds(run, budget):
    """The median time of `run`, repeated for about `budget` seconds, at least 3 and at most 1000 times."""
    for _ in range(2):
        run()
    times = []
    deadline = time.perf_counter() + budget
    while len(times) < 3 or (time.perf_counter() < deadline and len(times) < 1000):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def attention(dtype, dimension, causal, heads=4, length=2048):
    query, key, value = (torch.rand(1, heads, length, dimension).mul(2).sub(1).to(dtype) for _ in range(3))
    return lambda: functional.scaled_dot_product_attention(query, key, value, is_causal=causal)


def linear_cross_entropy(dtype, tokens, hidden, vocabulary):
    embeddings = torch.rand(tokens, hidden).mul(2).sub(1).to(dtype)
    classifier = torch.rand(vocabulary, hidden).mul(2).sub(1).mul(hidden**-0.5).to(dtype)
    targets = torch.arange(tokens).mul(61).remainder(vocabulary)
    # PyTorch holds the logits; there is no fused form of this in it.
    return lambda: functional.cross_entropy((embeddings @ classifier.t()).float(), targets)


def int4_matmul(dtype, rows, columns, depth, group):
    codes = torch.randint(0, 256, (columns, depth // 2), dtype=torch.uint8)
    unpacked = torch.stack((codes & 15, codes >> 4), dim=-1).reshape(columns, depth).to(torch.int32)
    packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(unpacked, 1)
    parameters = torch.rand(depth // group, columns, 2).mul(0.01).to(dtype)
    activations = torch.rand(rows, depth).mul(2).sub(1).to(dtype)
    return lambda: torch.ops.aten._weight_int4pack_mm_for_cpu(activations, packed, group, parameters)


def int8_matmul(dtype, rows, columns, depth):
    # One scale a row: PyTorch has no grouped INT8 product on the CPU.
    codes = torch.randint(-127, 128, (columns, depth), dtype=torch.int8)
    scales = torch.rand(columns).mul(0.01).to(dtype)
    activations = torch.rand(rows, depth).mul(2).sub(1).to(dtype)
    return lambda: torch.ops.aten._weight_int8pack_mm(activations, codes, scales)


def problems():
    """Name, FLOP of a run, and what makes the run."""
    for dtype in (torch.float32, torch.bfloat16):
        kind = str(dtype).removeprefix("torch.")
        for dimension in (64, 128):
            for mask, pairs in (("dense", 2048 * 2048), ("causal", 2048 * 2049 // 2)):
                make = partial(attention, dtype, dimension, mask == "causal")
                yield f"attention/{kind}/{mask} H4 S2048 D{dimension}", 4 * 4 * dimension * pairs, make
        make = partial(linear_cross_entropy, dtype, 512, 512, 32_000)
        yield f"linear_cross_entropy/{kind}/forward N512 D512 V32000", 2 * 512 * 512 * 32_000, make
        for rows in (1, 16, 128):
            size, flop = f"M{rows} N4096 K4096", 2 * rows * 4096 * 4096
            make = partial(int4_matmul, dtype, rows, 4096, 4096, 128)
            yield f"quantized_matmul/{kind}/int4 group 128 {size}", flop, make
            yield f"quantized_matmul/{kind}/int8 whole row {size}", flop, partial(int8_matmul, dtype, rows, 4096, 4096)


def measure(make, arguments, answer):
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(1)
    try:
        answer.send({"seconds": median_seconds(make(), arguments.seconds)})
    except (RuntimeError, NotImplementedError) as error:
        answer.send({"error": str(error).splitlines()[0]})


def measure_apart(make, arguments):
    """Measures in a process of its own: a kernel that this processor does not have ends the process, not the table."""
    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.Process(target=measure, args=(make, arguments, sender))
    process.start()
    sender.close()
    try:
        return receiver.recv()
    except EOFError:
        process.join()
        return {"error": f"the process ended with status {process.exitcode}"}
    finally:
        process.join()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--seconds", type=float, default=3, help="time for each problem")
    arguments = parser.parse_args()

    results = []
    for name, flop, make in problems():
        result = {"name": name} | measure_apart(make, arguments)
        if "seconds" in result:
            result["gflops"] = flop / result["seconds"] * 1e-9
        results.append(result)
        print(name, result.get("error") or f"{result['seconds'] * 1e3:.3f} ms", file=sys.stderr)
    host = {"torch": torch.__version__, "threads": arguments.threads, "machine": platform.machine()}
    json.dump({"host": host, "results": results}, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    multiprocessing.set_start_method("fork")
    main()
