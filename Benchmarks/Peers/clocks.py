"""How PyTorch is timed: on a CPU in processes of their own, on an NVIDIA GPU by its events."""

import multiprocessing
import os
import signal

import peers
import torch


class CPUClock(peers.Clock):
    """Times in processes of their own, single runs too by the host's clock.

    An instruction that the processor does not have ends the one process alone.
    """

    single_time = "wall"

    def __init__(self, arguments):
        super().__init__(arguments.repetitions, arguments.sustained)
        self.threads = arguments.threads

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
            sender.send(self.times(make()))
        except Exception as error:  # Whatever it is, the report names it.
            sender.send(str(error) or type(error).__name__)


def cpu_conditions(arguments):
    """What a report says of PyTorch on a CPU."""
    about = {"torch": torch.__version__, "threads": arguments.threads}
    if "ONEDNN_MAX_CPU_ISA" in os.environ:
        about["instructions"] = os.environ["ONEDNN_MAX_CPU_ISA"]
    return about


def fork():
    """Lets processes be copies of this one, in which PyTorch has started no threads."""
    multiprocessing.set_start_method("fork")


class GPUClock(peers.Clock):
    """Single runs by events of the device, from the start of the first kernel to the end of the last."""

    # About 2 ms, in cycles: longer than Python takes to launch a run.
    spin = 4_000_000

    def __init__(self, arguments):
        super().__init__(arguments.repetitions, arguments.sustained)

    def measure(self, make):
        run = make()
        answer = self.times(run)
        # What a run takes at most beyond its arguments, as the tool counts it.
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run()
        torch.cuda.synchronize()
        return answer | {"extraBytes": torch.cuda.max_memory_allocated() - before}

    def single(self, run):
        # The device spins until the run is enqueued, or its launch would lie between the events.
        torch.cuda._sleep(self.spin)
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        run()
        end.record()
        torch.cuda.synchronize()
        return start.elapsed_time(end) * 1e-3

    def finish(self):
        torch.cuda.synchronize()
