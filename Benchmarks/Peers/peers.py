"""What the peers' scripts share: the problems, taking turns with `tilecl`, clocks, and the report.

A script gives `run` a function from a problem to its peers. `tilecl bench OPERATION --serve` waits in between, so that
TileCL and the peers of a problem are timed one after the other, on the same warm device.
"""

import argparse
import importlib.util
import json
import os
import re
import statistics
import subprocess
import sys
import time


class Tool:
    """`tilecl bench OPERATION`, asked for one problem at a time."""

    def __init__(self, operation, arguments):
        self.command = bench_command(operation, arguments)
        repetitions, sustained = arguments.repetitions, arguments.sustained
        options = ["--serve", "--repetitions", str(repetitions), "--sustained", str(sustained)]
        self.process = subprocess.Popen(
            self.command + options, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.roofs = self.answer().get("roofs")

    def measure(self, problem):
        print(problem, file=self.process.stdin, flush=True)
        answer = self.answer()
        return answer["results"][0] if "results" in answer else {"error": answer["error"]}

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{' '.join(self.command)} ended with status {self.process.wait()}")
        return json.loads(line)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def bench_command(operation, arguments):
    device = ["--device", arguments.device] if arguments.device else []
    return [arguments.tilecl, "bench", operation] + device


def specifications(operation, arguments):
    """The problems in numbers, which the tool's `Specification` types name."""
    command = bench_command(operation, arguments) + ["--list", "--json"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


class Clock:
    """Takes times as the tool does: the median of single runs, and the mean of runs back to back."""

    # Which of the tool's times is taken as `single` takes its own.
    single_time = "burst"

    def __init__(self, repetitions, sustained):
        self.repetitions, self.sustained = repetitions, sustained

    def single(self, run):
        """Seconds of one run."""
        start = time.perf_counter()
        run()
        return time.perf_counter() - start

    def finish(self):
        """Waits until the device has done what was launched."""

    def measure(self, make):
        """What is measured of the run that `make` gives: milliseconds, in single runs and sustained."""
        return self.times(make())

    def times(self, run):
        first = min(self.single(run) for _ in range(3))
        # As many as a second holds, at least three.
        count = max(3, min(self.repetitions, int(1 / max(first, 1e-6))))
        burst = statistics.median(self.single(run) for _ in range(count))
        batch = max(1, min(200, int(0.05 / max(burst, 1e-6))))
        self.finish()
        batches, start = [], time.perf_counter()
        while True:
            begin = time.perf_counter()
            for _ in range(batch):
                run()
            self.finish()
            end = time.perf_counter()
            batches.append((end - begin) / batch)
            if end - start >= self.sustained:
                break
        # The second half, by which clocks have settled.
        sustained = statistics.mean(batches[len(batches) // 2:])
        return {"burstMilliseconds": burst * 1e3, "sustainedMilliseconds": sustained * 1e3}


def absent(names):
    """Of packages that may hold peers, those that this Python does not have."""
    return [name for name in names if importlib.util.find_spec(name) is None]


class Choice:
    """Which problems and which of their peers are timed."""

    def __init__(self, arguments):
        self.pattern = re.compile(arguments.filter)
        self.peers = None
        if arguments.bars:
            # What a bar is about, and what it is compared with: a problem or a peer.
            self.peers = {}
            with open(arguments.bars) as file:
                bars = json.load(file)
            for bar in bars:
                self.peers.setdefault(bar["problem"], set()).add(bar.get("over"))
            for bar in bars:
                for name in [bar.get("over"), bar.get("whole")] if bar["measure"] != "speedup" else []:
                    self.peers.setdefault(name, set())

    def problems(self, specifications):
        return [
            s for s in specifications
            if self.pattern.search(s["problem"]) and (self.peers is None or s["problem"] in self.peers)]

    def names(self, specification, peers):
        """Of the names of a problem's peers, those that are wanted."""
        return [name for name in peers if self.peers is None or name in self.peers.get(specification["problem"], ())]


def options(description):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("tilecl", help="the tool, .build/release/tilecl")
    parser.add_argument("--device", help="the tool's device (platform:type:name-or-index)")
    parser.add_argument("--filter", default="", help="only problems whose names match this regular expression")
    parser.add_argument("--bars", help="only problems and peers that this file of bars names")
    parser.add_argument("--output", help="the report's file, kept up to date (default: standard output, at the end)")
    parser.add_argument("--budget", type=float, default=3600, help="seconds after which no further problem is begun")
    parser.add_argument("--sustained", type=float, default=0.5, help="seconds of runs back to back")
    parser.add_argument("--repetitions", type=int, default=20, help="single runs")
    return parser


def run(operation, arguments, clock, find_peers, about):
    """Times every problem and writes the report.

    - operation: the command of `tilecl bench`.
    - find_peers: from a problem to pairs of a name and a function that makes the peer's run.
    - about: what the report says of the peers.
    """
    begin = time.perf_counter()
    chosen = Choice(arguments).problems(specifications(operation, arguments))
    tool = Tool(operation, arguments)
    report = {
        "operation": operation, "date": time.strftime("%Y-%m-%d"), "roofs": tool.roofs,
        "singleTime": clock.single_time}
    report |= about | {"omitted": [], "results": []}
    for number, specification in enumerate(chosen):
        problem = specification["problem"]
        if time.perf_counter() - begin > arguments.budget:
            report["omitted"].append(problem)
            continue
        row = {"problem": problem, "specification": specification, "peers": {}}
        # They take turns in going first, while the device is coolest.
        if number % 2 == 0:
            row["tilecl"] = tool.measure(problem)
        try:
            peers = find_peers(specification)
        except Exception as error:  # Memory for their tensors, above all.
            peers, row["error"] = [], message(error)
        for name, make in peers:
            try:
                row["peers"][name] = clock.measure(make)
            except Exception as error:  # A peer that cannot do a problem says so in many ways.
                row["peers"][name] = {"error": message(error)}
        if number % 2 == 1:
            row["tilecl"] = tool.measure(problem)
        report["results"].append(with_ratios(row, clock.single_time))
        print(f"{time.perf_counter() - begin:6.1f} s  {text(row)}", file=sys.stderr, flush=True)
        if "error" not in row["tilecl"]:
            report |= {name: row["tilecl"][name] for name in ("device", "driver")}
        if arguments.output:
            write(report, arguments.output)
    tool.close()
    if arguments.output:
        write(report, arguments.output)
    else:
        print(json.dumps(report, indent=1))


def message(error):
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]


def write(report, path):
    """In one step, so that what is there is whole at any time."""
    with open(path + ".new", "w") as file:
        file.write(json.dumps(report, indent=1) + "\n")
    os.replace(path + ".new", path)


def with_ratios(row, single_time):
    """The row with each peer's times over TileCL's: single runs over `single_time`, sustained over sustained."""
    own = row["tilecl"]
    for peer in row["peers"].values():
        if "error" not in peer and "error" not in own:
            peer["burstRatio"] = peer["burstMilliseconds"] / own[single_time]["milliseconds"]
            if "sustained" in own:
                peer["sustainedRatio"] = peer["sustainedMilliseconds"] / own["sustained"]["milliseconds"]
    return row


def text(row):
    own = row["tilecl"]
    line = f"{row['problem']:46}"
    if "error" in own:
        line += own["error"][:60]
    else:
        sustained = own["sustained"]["milliseconds"] if "sustained" in own else float("nan")
        line += f" {own['variant']:9} {own['burst']['milliseconds']:8.4f} {sustained:8.4f}"
    for name, peer in row["peers"].items():
        if "burstRatio" in peer:
            line += f"  {name} {peer['burstRatio']:.2f} {peer.get('sustainedRatio', float('nan')):.2f}"
        else:
            line += f"  {name}: {peer.get('error', '')[:40]}"
    if "error" in row:
        line += f"  peers: {row['error'][:40]}"
    return line
