"""Times PyTorch on the problems of the CPU benchmarks and writes them as JSON.

    python3 -m venv venv && venv/bin/pip install torch --index-url https://download.pytorch.org/whl/cpu
    venv/bin/python Benchmarks/Peers/cpu_peers.py > peers.json

A result has the name of the benchmark it stands beside. FLOP are counted the same way: multiplications and additions
of the formula, visible pairs alone under a causal mask. Times are medians over repeated runs after two warm-up runs.
"""

import argparse
import json
import platform
import statistics
import sys
import time

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


def attention():
    heads, length = 4, 2048
    for dtype in (torch.float32, torch.bfloat16):
        for dimension in (64, 128):
            query, key, value = (torch.rand(1, heads, length, dimension).mul(2).sub(1).to(dtype) for _ in range(3))
            for causal in (False, True):
                pairs = length * (length + 1) / 2 if causal else length * length

                def run():
                    return functional.scaled_dot_product_attention(query, key, value, is_causal=causal)

                mask = "causal" if causal else "dense"
                yield f"{mask} H{heads} S{length} D{dimension}", dtype, run, 4 * heads * dimension * pairs


def linear_cross_entropy():
    tokens, hidden, vocabulary = 512, 512, 32_000
    for dtype in (torch.float32, torch.bfloat16):
        embeddings = torch.rand(tokens, hidden).mul(2).sub(1).to(dtype)
        classifier = torch.rand(vocabulary, hidden).mul(2).sub(1).mul(hidden**-0.5).to(dtype)
        targets = torch.arange(tokens).mul(61).remainder(vocabulary)

        # PyTorch holds the logits; there is no fused form of this in it.
        def run():
            return functional.cross_entropy((embeddings @ classifier.t()).float(), targets)

        yield f"forward N{tokens} D{hidden} V{vocabulary}", dtype, run, 2 * tokens * hidden * vocabulary


def quantized_matmul():
    columns, depth, group = 4096, 4096, 128
    codes = torch.randint(0, 16, (columns, depth), dtype=torch.int32)
    packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(codes, 1)
    parameters = torch.rand(depth // group, columns, 2).mul(0.01).bfloat16()
    signed = torch.randint(-127, 128, (columns, depth), dtype=torch.int8)
    scales = torch.rand(columns).mul(0.01)
    for rows in (1, 16, 128):
        activations = torch.rand(rows, depth).mul(2).sub(1)
        flop = 2 * rows * columns * depth

        def int4(dtype):
            inputs = activations.to(dtype)
            return lambda: torch.ops.aten._weight_int4pack_mm_for_cpu(inputs, packed, group, parameters.to(dtype))

        def int8(dtype):
            inputs = activations.to(dtype)
            return lambda: torch.ops.aten._weight_int8pack_mm(inputs, signed, scales.to(dtype))

        for dtype in (torch.float32, torch.bfloat16):
            yield f"int4 group {group} M{rows} N{columns} K{depth}", dtype, int4(dtype), flop
            # One scale a row: PyTorch has no grouped INT8 product on the CPU.
            yield f"int8 whole row M{rows} N{columns} K{depth}", dtype, int8(dtype), flop


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--seconds", type=float, default=3, help="time for each problem")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(1)

    results = []
    for operation in (attention, linear_cross_entropy, quantized_matmul):
        for problem, dtype, run, flop in operation():
            name = f"{operation.__name__}/{str(dtype).removeprefix('torch.')}/{problem}"
            try:
                seconds = median_seconds(run, arguments.seconds)
            except (RuntimeError, NotImplementedError) as error:
                # A build without a kernel for this processor or type is a gap in the table, not the end of it.
                results.append({"name": name, "error": str(error).splitlines()[0]})
                continue
            results.append({"name": name, "seconds": seconds, "gflops": flop / seconds * 1e-9})
            print(f"{name}: {seconds * 1e3:.3f} ms", file=sys.stderr)
    host = {"torch": torch.__version__, "threads": arguments.threads, "machine": platform.machine()}
    json.dump({"host": host, "results": results}, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
