"""Times attention of PyTorch and of TileCL on the CPU, taking turns, and sets the one against the other.

    python3 -m venv venv && venv/bin/pip install torch
    swift build -c release --product tilecl
    venv/bin/python Benchmarks/Peers/cpu_attention_peers.py .build/release/tilecl > report.json

`Benchmarks/compare` runs this and shows the report. Peers are PyTorch's scaled_dot_product_attention, forward and
backward, and compiled FlexAttention with a block mask, which has no backward pass on the CPU. A line for each problem
goes to the standard error, JSON to the output.

In a virtual machine that names AMX and does not have it, ONEDNN_MAX_CPU_ISA=AVX512_CORE_BF16 lets PyTorch compute in
bf16 all the same; the report tells which limit was set.
"""

import clocks
import peers
import torch
from attention_masks import visibility
from torch.nn.attention.flex_attention import create_block_mask, flex_attention
from torch.nn.functional import scaled_dot_product_attention


def tensors(specification):
    shapes = [(specification["queryHeads"], specification["queryLength"])]
    shapes += 2 * [(specification["keyValueHeads"], specification["keyLength"])]
    dtype = getattr(torch, specification["dtype"])
    is_backward = specification["pass"] == "backward"
    return [
        torch.randn(specification["batch"], *shape, specification["headDimension"]).to(dtype)
        .requires_grad_(is_backward) for shape in shapes]


def is_grouped(specification):
    return specification["queryHeads"] != specification["keyValueHeads"]


def dense(specification):
    query, key, value = tensors(specification)
    options = {
        "is_causal": specification["mask"]["kind"] == "causal", "enable_gqa": is_grouped(specification)}
    if specification["pass"] == "forward":
        @torch.no_grad
        def run():
            return scaled_dot_product_attention(query, key, value, **options)
        return run
    output = scaled_dot_product_attention(query, key, value, **options)
    gradient = torch.randn_like(output)
    return lambda: torch.autograd.grad(output, (query, key, value), gradient, retain_graph=True)


def flex(specification):
    torch.compiler.reset()
    compiled = torch.compile(flex_attention, dynamic=False)
    query, key, value = tensors(specification)
    visible = visibility(specification)
    lengths = specification["queryLength"], specification["keyLength"]
    mask = visible and create_block_mask(visible, None, None, *lengths, device="cpu")

    @torch.no_grad
    def run():
        return compiled(query, key, value, block_mask=mask, enable_gqa=is_grouped(specification))
    return run


def find_peers(specification, choice):
    found = {}
    if specification["mask"]["kind"] in ("none", "causal"):
        found["SDPA"] = lambda: dense(specification)
    if specification["pass"] == "forward":
        found["FlexAttention"] = lambda: flex(specification)
    return [(name, found[name]) for name in choice.names(specification, found)]


def main():
    parser = peers.options(__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    clock, choice = clocks.CPUClock(arguments), peers.Choice(arguments)
    peers.run(
        "attention", arguments, clock, lambda specification: find_peers(specification, choice),
        clocks.cpu_conditions(arguments))


if __name__ == "__main__":
    clocks.fork()
    main()
