"""Times matrix products of PyTorch and of TileCL on one device, taking turns, and sets the one against the other.

    swift build -c release --product tilecl
    python3 Benchmarks/Peers/matmul_peers.py .build/release/tilecl --kind cpu > report.json

`Benchmarks/compare --operation matmul` runs this and shows the report. PyTorch multiplies by cuBLAS on an NVIDIA GPU, in
fp32 without TF32, and by oneDNN or MKL on a CPU. A line for each problem goes to the standard error, JSON to the output.
"""

import clocks
import peers
import torch


def product(specification, device):
    dtype = getattr(torch, specification["dtype"])
    rows, columns, depth = (specification[name] for name in ("rows", "columns", "depth"))

    def operand(height, width, is_transposed):
        shape = (width, height) if is_transposed else (height, width)
        tensor = torch.randn(shape, device=device).to(dtype)
        return tensor.t() if is_transposed else tensor
    a = operand(rows, depth, specification["transposeA"])
    b = operand(depth, columns, specification["transposeB"])
    result = torch.empty(rows, columns, device=device, dtype=dtype)

    @torch.no_grad
    def run():
        return torch.mm(a, b, out=result)
    return run


def main():
    parser = peers.options(__doc__.splitlines()[0])
    parser.add_argument("--kind", choices=["cpu", "gpu"], default="gpu", help="of device (default: gpu)")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    choice = peers.Choice(arguments)
    if arguments.kind == "cpu":
        device, clock, name, about = "cpu", clocks.CPUClock(arguments), "PyTorch", clocks.cpu_conditions(arguments)
    else:
        device, clock, name, about = "cuda", clocks.GPUClock(arguments), "cuBLAS", {"torch": torch.__version__}
        torch.backends.cuda.matmul.allow_tf32 = False

    def find_peers(specification):
        return [(peer, lambda: product(specification, device)) for peer in choice.names(specification, [name])]
    peers.run("matmul", arguments, clock, find_peers, about)


if __name__ == "__main__":
    clocks.fork()
    main()
