"""Times attention of PyTorch and of TileCL on one NVIDIA GPU, taking turns, and sets the one against the other.

    swift build -c release --product tilecl
    python3 Benchmarks/Peers/gpu_attention_peers.py .build/release/tilecl > report.json

`Benchmarks/compare` runs this and shows the report. Peers are PyTorch's scaled_dot_product_attention with cuDNN and
with its FlashAttention-2, and compiled FlexAttention with a block mask; FlashAttention-3, FlashInfer and NATTEN where
this Python has them, which the report tells. Their tensors are random, in the problem's dtype. A line for each problem
goes to the standard error, JSON to the output.

FlexAttention takes seconds to compile for each problem. So worker processes compile all of them first, at the same time
and before anything is timed, and leave the result in PyTorch's cache, as `tilecl` does in its own. They run once what
they compile.
"""

import subprocess
import sys

import clocks
import peers
import torch
from attention_masks import visibility
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.attention.flex_attention import create_block_mask, flex_attention
from torch.nn.functional import scaled_dot_product_attention


class Problem:
    """Tensors of a problem, and its peers."""

    def __init__(self, specification):
        self.specification = specification
        batch, length = specification["batch"], specification["keyLength"]
        self.is_backward = specification["pass"] == "backward"
        self.is_causal = specification["mask"]["kind"] == "causal"
        self.is_grouped = specification["queryHeads"] != specification["keyValueHeads"]
        dtype = getattr(torch, specification["dtype"])
        shapes = [
            (batch, specification["queryHeads"], specification["queryLength"]),
            (batch, specification["keyValueHeads"], length), (batch, specification["keyValueHeads"], length)]
        self.tensors = [
            torch.randn(*shape, specification["headDimension"], device="cuda", dtype=dtype,
                        requires_grad=self.is_backward) for shape in shapes]

    def timed(self, forward):
        """What is timed: `forward`, or for a backward pass the gradients of its result."""
        if not self.is_backward:
            def run():
                with torch.no_grad():
                    return forward()
            return run
        output = forward()
        gradient = torch.randn_like(output)
        return lambda: torch.autograd.grad(output, self.tensors, gradient, retain_graph=True)

    def dense(self, backend):
        def forward():
            with sdpa_kernel(backend):
                return scaled_dot_product_attention(
                    *self.tensors, is_causal=self.is_causal, enable_gqa=self.is_grouped)
        return self.timed(forward)

    def flex(self):
        # Compiled for many shapes, FlexAttention would fall back to a version that is not fused.
        torch.compiler.reset()
        compiled = torch.compile(flex_attention, dynamic=False)
        visible = visibility(self.specification)
        lengths = [self.specification[name] for name in ("queryLength", "keyLength")]
        mask = visible and create_block_mask(visible, None, None, *lengths, device="cuda")
        return self.timed(lambda: compiled(
            *self.tensors, score_mod=self.score(), block_mask=mask, enable_gqa=self.is_grouped))

    def score(self):
        kind = self.specification["score"]
        if kind.startswith("softcap"):
            cap = self.specification["softcap"]
            return lambda score, b, h, i, j: cap * torch.tanh(score / cap)
        if kind.startswith("alibi"):
            heads = self.specification["queryHeads"]
            slopes = torch.exp2(-8 * torch.arange(1, heads + 1, device="cuda") / heads)
            return lambda score, b, h, i, j: score - slopes[h] * (i - j).abs()
        return None

    def flash_attention_3(self):
        from flash_attn_interface import flash_attn_func
        # Tokens before heads.
        tensors = [tensor.transpose(1, 2) for tensor in self.tensors]

        def forward():
            output = flash_attn_func(*tensors, causal=self.is_causal)
            return output[0] if isinstance(output, tuple) else output
        return self.timed(forward)

    def flashinfer(self):
        import flashinfer
        # One sequence, tokens before heads.
        query, key, value = (tensor[0].transpose(0, 1).contiguous() for tensor in self.tensors)
        if len(query) == 1:
            return self.timed(lambda: flashinfer.single_decode_with_kv_cache(query[0], key, value))
        return self.timed(lambda: flashinfer.single_prefill_with_kv_cache(query, key, value, causal=self.is_causal))

    def natten(self):
        import natten
        mask = self.specification["mask"]
        side, kernel = mask["side"], 2 * mask["radius"] + 1
        # A grid of tokens before heads. At the edges NATTEN moves its window inwards, where TileCL's is cut.
        tensors = [
            tensor.transpose(1, 2).reshape(-1, side, side, tensor.shape[1], tensor.shape[3]).contiguous()
            for tensor in self.tensors]
        return self.timed(lambda: natten.na2d(*tensors, kernel_size=(kernel, kernel)))


# What else would be a peer, by the name of its package.
packages = {"flash_attn_interface": "FlashAttention-3", "flashinfer": "FlashInfer", "natten": "NATTEN"}
missing = peers.absent(packages)


def names(specification):
    """The peers that do the same as TileCL on a problem and are worth their time there."""
    kind, score = specification["mask"]["kind"], specification["score"]
    problem = specification["problem"]
    if score != "none":
        # The peer has one way to say it, and TileCL two.
        return ["FlexAttention"] if score.endswith("code") else []
    if kind in ("fusedWindows", "random"):
        return []
    if kind == "grid":
        is_first = "," not in problem
        return (["FlexAttention"] + (["NATTEN"] if "natten" not in missing else [])) if is_first else []
    if kind not in ("none", "causal"):
        return ["FlexAttention"]
    found = ["cuDNN"]
    is_usual = specification["headDimension"] in (64, 128)
    if specification["keyLength"] >= 16384 or specification["queryHeads"] != specification["keyValueHeads"]:
        found += ["FlashAttention-2"] if is_usual else []
        found += ["FlexAttention"] if is_usual or kind == "none" else []
    if "flash_attn_interface" not in missing:
        found.append("FlashAttention-3")
    if "flashinfer" not in missing and specification["batch"] == 1 and specification["pass"] == "forward":
        found.append("FlashInfer")
    return found


def find_peers(specification, choice):
    chosen = choice.names(specification, names(specification))
    if not chosen:
        return []
    problem = Problem(specification)
    makers = {
        "cuDNN": lambda: problem.dense(SDPBackend.CUDNN_ATTENTION),
        "FlashAttention-2": lambda: problem.dense(SDPBackend.FLASH_ATTENTION),
        "FlexAttention": problem.flex, "FlashAttention-3": problem.flash_attention_3,
        "FlashInfer": problem.flashinfer, "NATTEN": problem.natten}
    return [(name, makers[name]) for name in chosen]


def compile_ahead(arguments, choice, specifications):
    """Compiles FlexAttention and TileCL for all problems, in several processes."""
    problems = [s["problem"] for s in specifications if "FlexAttention" in choice.names(s, names(s))]
    count = min(arguments.workers, len(problems))
    device = ["--device", arguments.device] if arguments.device else []
    command = [sys.executable, __file__, arguments.tilecl] + device
    workers = [
        subprocess.Popen(command + ["--compile", "\n".join(problems[first::count])], stderr=subprocess.DEVNULL)
        for first in range(count)]
    # TileCL's kernels differ by head dimension, so these processes do not do the same.
    for dimension in {s["headDimension"] for s in specifications}:
        command = peers.bench_command("attention", arguments) + ["--prepare", "--filter", f" D{dimension}"]
        workers.append(subprocess.Popen(command))
    for worker in workers:
        worker.wait()


def main():
    parser = peers.options(__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=12, help="processes that compile ahead; 0 for none")
    parser.add_argument("--compile", help="compile the problems of these names, one a line, and time nothing")
    arguments = parser.parse_args()
    specifications = peers.specifications("attention", arguments)
    if arguments.compile is not None:
        for specification in specifications:
            if specification["problem"] in arguments.compile.split("\n"):
                Problem(specification).flex()()
        return
    choice = peers.Choice(arguments)
    compile_ahead(arguments, choice, choice.problems(specifications))
    about = {"torch": torch.__version__, "absentPeers": [packages[name] for name in missing]}
    peers.run(
        "attention", arguments, clocks.GPUClock(arguments), lambda specification: find_peers(specification, choice),
        about)


if __name__ == "__main__":
    main()
