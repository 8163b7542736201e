"""Times attention of PyTorch and of TileCL on the CPU, taking turns, and sets the one against the other.

    python3 -m venv venv && venv/bin/pip install torch
    swift build -c release --product tilecl
    venv/bin/python Benchmarks/Peers/cpu_attention_peers.py .build/release/tilecl > report.json

`Benchmarks/compare` runs this and shows the report. Peers are PyTorch's scaled_dot_product_attention, forward and
backward, and compiled FlexAttention with a block mask, which has no backward pass on the CPU. A line for each problem
goes to the standard error, JSON to the output.

Each peer is timed in a process of its own: an instruction that this processor does not have ends that process alone. In
a virtual machine that names AMX and does not have it, ONEDNN_MAX_CPU_ISA=AVX512_CORE_BF16 lets PyTorch compute in bf16
all the same; the report tells which limit was set.
"""

import multiprocessing
import os
import signal

import attention_peers
import torch
from torch.nn.attention.flex_attention import create_block_mask, flex_attention
from torch.nn.functional import scaled_dot_product_attention


class Clock(attention_peers.Clock):
    """Times in processes of their own, single runs too by the host's clock."""

    single_time = "wall"

    def __init__(self, repetitions, sustained, threads):
        super().__init__(repetitions, sustained)
        self.threads = threads

    def measure(self, make):
        receiver, sender = multiprocessing.Pipe(duplex=False)
        process = multiprocessing.Process(target=self.answer, args=(make, sender))
        process.start()
        sender.close()
        try:
            answer = receiver.recv()
        except EOFError:
            answer = None
        process.join()
        if answer is None:
            code = process.exitcode
            raise RuntimeError(signal.strsignal(-code) if code < 0 else f"the process ended with status {code}")
        if isinstance(answer, str):
            raise RuntimeError(answer)
        return answer

    def answer(self, make, sender):
        torch.set_num_threads(self.threads)
        try:
            sender.send(self.milliseconds(make()))
        except Exception as error:  # Whatever it is, the report names it.
            sender.send(str(error) or type(error).__name__)


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
    visible = attention_peers.visibility(specification)
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
    parser = attention_peers.options(__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    about = {"torch": torch.__version__, "threads": arguments.threads}
    if "ONEDNN_MAX_CPU_ISA" in os.environ:
        about["instructions"] = os.environ["ONEDNN_MAX_CPU_ISA"]
    clock = Clock(arguments.repetitions, arguments.sustained, arguments.threads)
    choice = attention_peers.Choice(arguments)
    attention_peers.run(arguments, clock, lambda specification: find_peers(specification, choice), about)


if __name__ == "__main__":
    # A copy of this process, in which PyTorch has started no threads.
    multiprocessing.set_start_method("fork")
    main()
