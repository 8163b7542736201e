"""Times attention of PyTorch and of TileCL on one NVIDIA GPU, in one run, and sets the one against the other.

    swift build -c release --product tilecl
    python3 Benchmarks/Peers/gpu_attention_peers.py .build/release/tilecl > Benchmarks/Results/attention-DEVICE.json

The problems are those of `tilecl bench attention`, under its names: bf16, forward, one set of random tensors each. Peers are
PyTorch's scaled_dot_product_attention with cuDNN and with its FlashAttention-2, and compiled FlexAttention with a block
mask. All are timed alike: a burst is the median of 20 launches, each between two events, after three that warm up;
sustained is the mean over a second of launches back to back. A table goes to the standard error, JSON to the output.
"""

import json
import re
import statistics
import subprocess
import sys
import time

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.attention.flex_attention import create_block_mask, flex_attention
from torch.nn.functional import scaled_dot_product_attention

compiled_flex_attention = torch.compile(flex_attention)


def burst_milliseconds(run, launches=20):
    for _ in range(3):
        run()
    times = []
    for _ in range(launches):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        run()
        end.record()
        torch.cuda.synchronize()
        times.append(start.elapsed_time(end))
    return statistics.median(times)


def sustained_milliseconds(run, seconds=1.0):
    torch.cuda.synchronize()
    start, launches = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        for _ in range(20):
            run()
        torch.cuda.synchronize()
        launches += 20
    return (time.perf_counter() - start) / launches * 1e3


def peers(name):
    """The peers that run a problem of that name: pairs of a name and a function."""
    torch.compiler.reset()  # Compiled for many shapes, FlexAttention would fall back to a version that is not fused.
    dimension = int(re.search(r" D(\d+)", name)[1])
    length = int(match[1]) if (match := re.search(r" S(\d+)", name)) else 256 * 256
    heads, key_heads = (32, 8) if name.startswith("gqa") else (16, 16)
    batch = 16384 // length if name.startswith(("dense", "causal")) else 1
    query, key, value = (
        torch.randn(batch, count, length, dimension, device="cuda", dtype=torch.bfloat16)
        for count in (heads, key_heads, key_heads))
    is_causal, is_grouped = "causal" in name, heads != key_heads

    visible = None
    if is_causal:
        visible = lambda b, h, i, j: i >= j
    elif name.startswith("window"):
        visible = lambda b, h, i, j: i // 1024 == j // 1024
    elif name.startswith("hwa"):
        visible = lambda b, h, i, j: i // 256 == j // 256
    elif name.startswith("band"):
        visible = lambda b, h, i, j: abs(i - j) < 700
    mask = visible and create_block_mask(visible, None, None, length, length, device="cuda")

    def flex():
        return compiled_flex_attention(query, key, value, block_mask=mask, enable_gqa=is_grouped)

    found = [("FlexAttention", flex)]
    if visible is None or is_causal:
        def dense(backend):
            def run():
                with sdpa_kernel(backend):
                    return scaled_dot_product_attention(
                        query, key, value, is_causal=is_causal, enable_gqa=is_grouped)
            return run
        found += [("cuDNN", dense(SDPBackend.CUDNN_ATTENTION)), ("FlashAttention-2", dense(SDPBackend.FLASH_ATTENTION))]
    return found


def main(tool):
    command = [tool, "bench", "attention", "--variants", "hopper", "--json"]
    ours = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    results = []
    print(f"{'problem':32} {'TileCL':>16}  peers, with TileCL's speed over theirs", file=sys.stderr)
    for own in ours:
        row = {"problem": own["problem"], "tilecl": own, "peers": {}}
        burst, sustained = own["eventMilliseconds"], own["sustainedMilliseconds"]
        text = f"{own['problem']:32} {burst:7.4f} {sustained:7.4f}"
        for name, run in peers(own["problem"]):
            try:
                with torch.no_grad():
                    times = burst_milliseconds(run), sustained_milliseconds(run)
            except RuntimeError as error:
                row["peers"][name] = {"error": str(error).splitlines()[0]}
                continue
            row["peers"][name] = {
                "burstMilliseconds": times[0], "sustainedMilliseconds": times[1],
                "burstRatio": times[0] / burst, "sustainedRatio": times[1] / sustained}
            text += f"  {name} {times[0] / burst:.2f} {times[1] / sustained:.2f}"
        print(text, file=sys.stderr, flush=True)
        results.append(row)
    report = {
        "date": time.strftime("%Y-%m-%d"), "device": torch.cuda.get_device_name(), "torch": torch.__version__,
        "driver": ours[0]["driver"], "results": results}
    json.dump(report, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main(sys.argv[1])
