"""Times attention of PyTorch and of TileCL on the CPU, taking turns, and sets the one against the other.

    python3 -m venv venv && venv/bin/pip install torch
    swift build -c release --product tilecl
    venv/bin/python Benchmarks/Peers/cpu_attention_peers.py .build/release/tilecl > report.json

`Benchmarks/compare` runs this and shows the report. Peers are PyTorch's scaled_dot_product_attention, forward and
backward, and compiled FlexAttention with a block mask, which has no backward pass on the CPU. A line for each problem goes
to the standard error, JSON to the output.
"""

import attention_peers
import torch
from torch.nn.attention.flex_attention import create_block_mask, flex_attention
from torch.nn.functional import scaled_dot_product_attention


def tensors(specification):
    shape = [specification["batch"], specification["queryHeads"], specification["queryLength"]]
    dtype = getattr(torch, specification["dtype"])
    is_backward = specification["pass"] == "backward"
    return [
        torch.randn(*shape, specification["headDimension"]).to(dtype).requires_grad_(is_backward) for _ in range(3)]


def dense(specification):
    query, key, value = tensors(specification)
    is_causal = specification["mask"]["kind"] == "causal"
    if specification["pass"] == "forward":
        @torch.no_grad
        def run():
            return scaled_dot_product_attention(query, key, value, is_causal=is_causal)
        return run
    output = scaled_dot_product_attention(query, key, value, is_causal=is_causal)
    gradient = torch.randn_like(output)
    return lambda: torch.autograd.grad(output, (query, key, value), gradient, retain_graph=True)


def flex(specification):
    torch.compiler.reset()
    compiled = torch.compile(flex_attention, dynamic=False)
    query, key, value = tensors(specification)
    visible = attention_peers.visibility(specification)
    lengths = specification["queryLength"], specification["keyLength"]
    mask = visible and create_block_mask(visible, None, None, *lengths, device="cpu")

    @torch.no_grad
    def run():
        return compiled(query, key, value, block_mask=mask)
    return run


def find_peers(specification):
    found = []
    if specification["mask"]["kind"] in ("none", "causal"):
        found.append(("SDPA", lambda: dense(specification)))
    if specification["pass"] == "forward":
        found.append(("FlexAttention", lambda: flex(specification)))
    return found


def main():
    parser = attention_peers.options(__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    about = {"torch": torch.__version__, "threads": arguments.threads}
    clock = attention_peers.Clock(arguments.repetitions, arguments.sustained)
    attention_peers.run(arguments, clock, find_peers, about)


if __name__ == "__main__":
    main()
