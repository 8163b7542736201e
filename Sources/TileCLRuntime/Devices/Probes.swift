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
    case mma
    case avx512
    case avx512bf16
    case amx
  }

  let context: Context

  /// The answer of the probe for one capability.
  public func answer(_ capability: Capability) -> Answer {
    switch capability {
    case .inlinePTX: inlinePTX
    case .wgmma: wgmma
    case .mma: mma
    case .avx512: avx512
    case .avx512bf16: avx512bf16
    case .amx: amx
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

  /// Asynchronous copies, matrix loads and matrix products of NVIDIA Ampere and newer.
  public var mma: Answer {
    answer(.mma) {
      guard let nvidia = context.device.capabilities.nvidia else { return absent("not an NVIDIA device") }
      guard nvidia.computeCapabilityMajor >= 8 else {
        return absent(
          "compute capability \(nvidia.computeCapabilityMajor).\(nvidia.computeCapabilityMinor), not 8.0 or more")
      }
      guard inlinePTX.isPresent else { return absent("no inline PTX") }
      return try runMMA() ? present("a kernel gave right numbers") : absent("a kernel gave wrong numbers")
    }
  }

  /// Vectors of 512 bits in x86 assembly, on a CPU whose flags name AVX-512.
  public var avx512: Answer {
    answer(.avx512) {
      guard context.device.kind == .cpu else { return absent("not a CPU") }
      // A compiler for another instruction set may not survive the assembly.
      guard context.device.capabilities.x86Features.contains("avx512f") else { return absent("not among its flags") }
      return try runZMM() ? present("a kernel gave right numbers") : absent("a kernel gave wrong numbers")
    }
  }

  /// Dot products of pairs of bf16 in x86 assembly, on a CPU with ``avx512`` whose flags name AVX512_BF16.
  public var avx512bf16: Answer {
    answer(.avx512bf16) {
      guard avx512.isPresent else { return absent("no AVX-512") }
      guard context.device.capabilities.x86Features.contains("avx512_bf16") else {
        return absent("no avx512_bf16 among its flags")
      }
      return try runDot() ? present("a kernel gave right numbers") : absent("a kernel gave wrong numbers")
    }
  }

  /// Matrix tiles of bf16 in x86 assembly, on a CPU whose flags name AMX. To ask makes the process one that may use
  /// them.
  public var amx: Answer {
    answer(.amx) {
      guard avx512.isPresent else { return absent("no AVX-512") }
      let missing = ["amx_tile", "amx_bf16", "avx512_bf16", "avx512bw"].filter {
        !context.device.capabilities.x86Features.contains($0)
      }
      guard missing.isEmpty else { return absent("no \(missing.joined(separator: ", ")) among its flags") }
      return try runMatrix()
        ? present("a kernel gave right numbers") : absent("a kernel gave wrong numbers, or had no leave")
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
    let (a, b) = (Self.smallIntegers(64 * 64, seed: 90), Self.smallIntegers(64 * 64, seed: 91))
    let result: [Float] = try run(kernel, inputs: [Self.bits(a), Self.bits(b)], items: 128, outputCount: 64 * 64)
    return (0..<64).allSatisfy { row in
      (0..<64).allSatisfy { column in
        let sum = (0..<64).reduce(0) { $0 + a[row * 64 + $1] * b[column * 64 + $1] }
        return result[row * 64 + column] == Float(sum)
      }
    }
  }

  private func runMMA() throws -> Bool {
    // The instructions choose their element by the storage type; this one is bf16.
    let source = ProgramSource(
      files: ["common/storage.clh", "ampere/instructions.ampere.clh", "probe/mma.ampere.cl"], defines: ["STORAGE": 2])
    let kernel = try context.program(source).kernel("tilecl_probe_mma")
    let (a, b) = (Self.smallIntegers(16 * 16, seed: 80), Self.smallIntegers(16 * 8, seed: 81))
    let result: [Float] = try run(kernel, inputs: [Self.bits(a), Self.bits(b)], items: 32, outputCount: 16 * 8)
    return (0..<16).allSatisfy { row in
      (0..<8).allSatisfy { column in
        let sum = (0..<16).reduce(0) { $0 + a[row * 16 + $1] * b[$1 * 8 + column] }
        return result[row * 8 + column] == Float(sum)
      }
    }
  }

  /// Small integers, so that every sum is exact in fp32 and equality is the right comparison.
  private static func smallIntegers(_ count: Int, seed: UInt64) -> [Int] {
    var generator = SplitMix64(seed: seed)
    return (0..<count).map { _ in Int.random(in: -8...8, using: &generator) }
  }

  /// As bf16.
  private static func bits(_ values: [Int]) -> [UInt16] { values.map { BFloat16(Float($0)).bitPattern } }

  private func runZMM() throws -> Bool {
    let kernel = try context.program(ProgramSource(files: ["probe/zmm.avx512.cl"])).kernel("tilecl_probe_zmm")
    let input = (0..<48).map { Float($0 * 7 % 16) - 5 }
    let expected = (0..<16).map { input[$0] * input[16 + $0] + input[32 + $0] }
    return try run(kernel, inputs: [input], items: 1, outputCount: 16) == expected
  }

  private func runDot() throws -> Bool {
    let source = ProgramSource(files: [
      "common/storage.clh", "common/vectors.clh", "x86/dot.avx512bf16.clh", "probe/dot.avx512bf16.cl",
    ])
    let kernel = try context.program(source).kernel("tilecl_probe_dot")
    let (a, b) = (Self.smallIntegers(32, seed: 32), Self.smallIntegers(2, seed: 2))
    let c = (0..<16).map { Float($0 * 7 % 16) - 5 }
    // The first of two is the lower half of a word.
    func words(_ bits: [UInt16]) -> [UInt32] {
      stride(from: 0, to: bits.count, by: 2).map { UInt32(bits[$0]) | UInt32(bits[$0 + 1]) << 16 }
    }
    let input = words(Self.bits(a)) + c.map(\.bitPattern) + words(Self.bits(b))
    let expected = (0..<16).map { c[$0] + Float(a[2 * $0] * b[0] + a[2 * $0 + 1] * b[1]) }
    return try run(kernel, inputs: [input], items: 1, outputCount: 16) == expected
  }

  private func runMatrix() throws -> Bool {
    let kernel = try context.program(ProgramSource(files: ["probe/matrix.amx.cl"])).kernel("tilecl_probe_matrix")
    // Small integers, so that every sum is exact and equality is the right comparison.
    var generator = SplitMix64(seed: 16)
    let a = (0..<16 * 32).map { _ in Int.random(in: -8...8, using: &generator) }
    let b = (0..<32 * 16).map { _ in Int.random(in: -8...8, using: &generator) }
    // Rows 2k and 2k + 1 of B side by side.
    var values = a
    for pair in 0..<16 {
      for column in 0..<16 { values += [b[2 * pair * 16 + column], b[(2 * pair + 1) * 16 + column]] }
    }
    let bits: [UInt16] = values.map { BFloat16(Float($0)).bitPattern }
    let result: [Float] = try run(kernel, inputs: [bits], items: 1, outputCount: 256)
    return (0..<16).allSatisfy { row in
      (0..<16).allSatisfy { column in
        let sum = (0..<32).reduce(0) { $0 + a[row * 32 + $1] * b[$1 * 16 + column] }
        return result[row * 16 + column] == Float(sum)
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
