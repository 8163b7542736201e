"""Times linear cross-entropy of PyTorch and of TileCL on one device, taking turns, and sets the one against the other.

    swift build -c release --product tilecl
    python3 Benchmarks/Peers/linear_cross_entropy_peers.py .build/release/tilecl > report.json

`Benchmarks/compare --operation linear-cross-entropy` runs this and shows the report. On every device, peers are
PyTorch's own product and cross_entropy, as they are (eager) and compiled, both of which hold the logits. On an NVIDIA
GPU, where this Python has them, also Apple's Cut Cross-Entropy (cut_cross_entropy, whose exact mode only the version of
its repository has) and Liger-Kernel (liger_kernel, with its usual memory and with sixteen times as much); the report
tells what is absent and which versions there are. Embeddings, classifier and targets are drawn as
`LinearCrossEntropyBenchData` in the tool's sources says. A line for each problem goes to the standard error, JSON to the
output.
"""

import functools
import importlib.metadata

import clocks
import peers
import torch
from torch.nn.functional import cross_entropy

packages = {"cut_cross_entropy": "CCE", "liger_kernel": "Liger"}
missing = peers.absent(packages)


class Problem:
    """Tensors of a problem, and its peers."""

    def __init__(self, specification, device):
        tokens, width, vocabulary = (specification[name] for name in ("tokens", "hiddenSize", "vocabulary"))
        dtype = getattr(torch, specification["dtype"])
        self.has_gradients = specification["pass"] == "gradients"

        def normal(rows):
            return torch.randn(rows, width, device=device)
        generator = torch.Generator(device).manual_seed(7)
        self.targets = torch.randint(vocabulary, (tokens,), device=device, generator=generator)
        self.classifier = normal(vocabulary).mul_(width**-0.5).to(dtype)
        embeddings = normal(tokens)
        if specification["data"] == "peaked":
            embeddings = (self.classifier[self.targets].float() * width**0.5 + embeddings) / 2
        self.embeddings = embeddings.to(dtype)
        for tensor in (self.embeddings, self.classifier):
            tensor.requires_grad_(self.has_gradients)

    def timed(self, loss):
        """What is timed: `loss` of embeddings and classifier, or with it the gradients by both."""
        tensors = self.embeddings, self.classifier
        if self.has_gradients:
            return lambda: torch.autograd.grad(loss(*tensors), tensors)

        def run():
            with torch.no_grad():
                return loss(*tensors)
        return run

    def logits_loss(self, embeddings, classifier):
        return cross_entropy((embeddings @ classifier.t()).float(), self.targets)

    def eager(self):
        return self.timed(self.logits_loss)

    def compiled(self):
        torch.compiler.reset()
        return self.timed(torch.compile(self.logits_loss))

    def cce(self, implementation):
        from cut_cross_entropy import linear_cross_entropy
        return self.timed(
            lambda embeddings, classifier: linear_cross_entropy(
                embeddings, classifier, self.targets, impl=implementation))

    def liger(self, memory):
        from liger_kernel.transformers.functional import liger_fused_linear_cross_entropy
        return self.timed(
            lambda embeddings, classifier: liger_fused_linear_cross_entropy(
                embeddings, classifier, self.targets, chunk_mem_const=memory))


def names(specification, device):
    """The peers that do the same as TileCL on a problem: what cannot leave anything out is beside what may, too."""
    is_exact = specification["filter"] == "exact"
    found = ["eager", "compiled"]
    if device == "cuda" and "cut_cross_entropy" not in missing:
        found.append("CCE exact" if is_exact else "CCE")
    if device == "cuda" and "liger_kernel" not in missing and specification["pass"] == "gradients":
        found += ["Liger", "Liger x16"]
    return found


def find_peers(specification, choice, device):
    chosen = choice.names(specification, names(specification, device))
    if not chosen:
        return []
    # Made by the first that runs: on a CPU that is each one in its own process, since threads do not survive a fork.
    problem = functools.cache(lambda: Problem(specification, device))
    makers = {
        "eager": lambda: problem().eager(), "compiled": lambda: problem().compiled(),
        "CCE": lambda: problem().cce("cce"), "CCE exact": lambda: problem().cce("cce_exact"),
        "Liger": lambda: problem().liger(1), "Liger x16": lambda: problem().liger(16)}
    return [(name, makers[name]) for name in chosen]


def main():
    parser = peers.options(__doc__.splitlines()[0])
    parser.add_argument("--kind", choices=["cpu", "gpu"], default="gpu", help="of device (default: gpu)")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    choice = peers.Choice(arguments)
    if arguments.kind == "cpu":
        device, clock, about = "cpu", clocks.CPUClock(arguments), clocks.cpu_conditions(arguments)
    else:
        device, clock, about = "cuda", clocks.GPUClock(arguments), {"torch": torch.__version__}
        about["absentPeers"] = [packages[name] for name in missing]
        about["versions"] = {packages[name]: version(name) for name in packages if name not in missing}
    peers.run(
        "linear-cross-entropy", arguments, clock,
        lambda specification: find_peers(specification, choice, device), about)


def version(package):
    try:
        return importlib.metadata.version(package.replace("_", "-"))
    except importlib.metadata.PackageNotFoundError:
        return "without a version"


if __name__ == "__main__":
    clocks.fork()
    main()
