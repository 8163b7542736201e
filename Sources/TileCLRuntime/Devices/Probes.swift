import Synchronization
import TileCLCore

/// Facts about a device that only running a kernel can establish.
///
/// A probe compiles and runs a tiny kernel and compares its numbers, once for each context. A driver that does not
/// compile it, does not run it, or gets other numbers lacks the capability; that is an answer, never an error.
public struct Probes: Sendable {
  /// The answer of one probe.
  public struct Answer: Hashable, Sendable {
    public let isPresent: Bool
    /// Why, in one line.
    public let reason: String
  }

  /// What a probe establishes, under the name that `TILECL_DISABLE` has for it.
  public enum Capability: String, Hashable, Sendable, CaseIterable {
    case inlinePTX = "ptx"
    case wgmma
  }

  let context: Context

  /// The answer of the probe for one capability.
  public func answer(_ capability: Capability) -> Answer {
    switch capability {
    case .inlinePTX: inlinePTX
    case .wgmma: wgmma
    }
  }

  /// Inline PTX in OpenCL C, on NVIDIA's driver.
  public var inlinePTX: Answer {
    answer(.inlinePTX) {
      guard context.device.capabilities.nvidia != nil else { return absent("not an NVIDIA device") }
      return try runInlinePTX() ? present("a kernel gave right numbers") : absent("a kernel gave wrong numbers")
    }
  }

  /// Warpgroup matrix instructions in a program retargeted to `sm_90a`, on an NVIDIA Hopper GPU.
  public var wgmma: Answer {
    answer(.wgmma) {
      guard let nvidia = context.device.capabilities.nvidia else { return absent("not an NVIDIA device") }
      guard nvidia.isHopper else {
        return absent(
          "compute capability \(nvidia.computeCapabilityMajor).\(nvidia.computeCapabilityMinor), not 9.0")
      }
      guard inlinePTX.isPresent else { return absent("no inline PTX") }
      return try runWGMMA()
        ? present("a retargeted kernel gave right numbers") : absent("a retargeted kernel gave wrong numbers")
    }
  }

  private func present(_ reason: String) -> Answer { Answer(isPresent: true, reason: reason) }
  private func absent(_ reason: String) -> Answer { Answer(isPresent: false, reason: reason) }

  private func answer(_ capability: Capability, _ probe: () throws -> Answer) -> Answer {
    // Not even the probe's kernel is compiled then.
    guard !context.environment.disabledCapabilities.contains(capability) else {
      return absent("TILECL_DISABLE=\(capability.rawValue)")
    }
    if let known = context.probeResults.answers.withLock({ $0[capability] }) { return known }
    let answer: Answer
    do {
      answer = try probe()
    } catch let error as TileCLError {
      answer = absent(error.message)
    } catch {
      answer = absent("\(error)")
    }
    context.probeResults.answers.withLock { $0[capability] = answer }
    return answer
  }

  private func runInlinePTX() throws -> Bool {
    let kernel = try context.program(ProgramSource(files: ["probe/inline_ptx.nvidia.cl"]))
      .kernel("tilecl_probe_inline_ptx")
    let input = (0..<32).map { 0x8000_0001 &+ UInt32($0) &* 0x9E37_79B9 }
    let expected = input.enumerated().map { index, x in index == 0 ? x : x << index | x >> (32 - index) }
    return try run(kernel, inputs: [input], items: 32, outputCount: 32) == expected
  }

  private func runWGMMA() throws -> Bool {
    let kernel = try context.program(ProgramSource(files: ["probe/wgmma.hopper.cl"], target: .hopper))
      .kernel("tilecl_probe_wgmma")
    // Small integers, so that every sum is exact in fp32 and equality is the right comparison.
    var generator = SplitMix64(seed: 90)
    let a = (0..<64 * 64).map { _ in Int.random(in: -8...8, using: &generator) }
    let b = (0..<64 * 64).map { _ in Int.random(in: -8...8, using: &generator) }
    func bits(_ values: [Int]) -> [UInt16] { values.map { BFloat16(Float($0)).bitPattern } }
    let result: [Float] = try run(kernel, inputs: [bits(a), bits(b)], items: 128, outputCount: 64 * 64)
    return (0..<64).allSatisfy { row in
      (0..<64).allSatisfy { column in
        let sum = (0..<64).reduce(0) { $0 + a[row * 64 + $1] * b[column * 64 + $1] }
        return result[row * 64 + column] == Float(sum)
      }
    }
  }

  private func run<Input: BitwiseCopyable, Output: BitwiseCopyable & ExpressibleByIntegerLiteral>(
    _ kernel: Kernel, inputs: [[Input]], items: Int, outputCount: Int
  ) throws -> [Output] {
    var arguments: [KernelArgument] = []
    for input in inputs {
      let buffer = try context.makeBuffer(byteCount: input.count * MemoryLayout<Input>.stride)
      try input.withUnsafeBytes { try context.queue.write($0, to: buffer) }
      arguments.append(.buffer(buffer))
    }
    var output = [Output](repeating: 0, count: outputCount)
    let buffer = try context.makeBuffer(byteCount: outputCount * MemoryLayout<Output>.stride)
    try context.queue.launch(kernel, global: [items], local: [items], arguments + [.buffer(buffer)])
    try output.withUnsafeMutableBytes { try context.queue.read(buffer, into: $0) }
    return output
  }
}

/// The answers that a context's probes have given.
final class ProbeResults: Sendable {
  let answers = Mutex<[Probes.Capability: Probes.Answer]>([:])
}
