import TileCL

/// What a device did at most, measured by a kernel that does nothing else.
struct BenchRoof: Encodable {
  let name: String
  /// TFLOP/s or GB/s: the best of single runs, and after a while of running.
  let burst: Double
  let sustained: Double
}

/// The limits of a device that a bench sets its times against, measured in the same run.
struct BenchRoofs: Encodable {
  /// Bytes read and written by a copy, and bytes read by a sum, in GB/s.
  let copy: BenchRoof
  let read: BenchRoof
  /// TFLOP/s of each way to multiply that the device has.
  let matrix: [BenchRoof]

  /// The faster of the two.
  var memory: BenchRoof { copy.burst > read.burst ? copy : read }

  /// The roof of the instructions that a variant's kernels multiply with; nil where none is measured.
  func matrix(for variant: String) -> BenchRoof? {
    let row = KernelTable.rows.first { $0.name == variant }
    let name: String? =
      switch row?.requirement {
      case .wgmma: "wgmma"
      case .mma: "mma"
      case .avx512bf16: "dot"
      case .amx: nil
      case .some(.none), .cpu, .avx512, nil: "fma"
      }
    return matrix.first { $0.name == name }
  }

  init(_ engines: BenchEngines, _ clock: BenchClock) throws {
    let engine = try engines.engine(variant: nil, profiling: true)
    let plain = try engines.engine(variant: nil, profiling: false)
    guard let context = engine.context, let other = plain.context else {
      throw TileCLError(.noDevice, "the reference has no roofs")
    }
    func roof(_ name: String, _ make: (Context) throws -> BenchRoofKernel?) throws -> BenchRoof? {
      guard let kernel = try make(context), let same = try make(other) else { return nil }
      let rounds = try kernel.rounds(on: engine)
      let burst = try clock.runs(on: engine) { try kernel.launch(rounds) }.first?.seconds ?? .nan
      let last = try clock.wall(on: plain, expected: burst) { try same.launch(rounds) }.last
      try kernel.check()
      let work = kernel.work(rounds)
      return BenchRoof(name: name, burst: work / burst, sustained: work / (last ?? burst))
    }
    func require(_ roof: BenchRoof?) throws -> BenchRoof {
      guard let roof else { throw TileCLError(.unsupported, "a roof kernel is missing") }
      return roof
    }
    copy = try require(roof("copy") { try .copy($0) })
    read = try require(roof("read") { try .read($0) })
    matrix = try [
      roof("wgmma") { try .wgmma($0) }, roof("mma") { try .mma($0) }, roof("dot") { try .dot($0) },
      roof("fma") { try .fma($0) },
    ].compactMap(\.self)
  }

  var text: String {
    let matrices = matrix.map {
      "\($0.name) \($0.burst.rounded(places: 2)) (\($0.sustained.rounded(places: 2))) TFLOP/s"
    }
    let memories = [copy, read].map {
      "\($0.name) \($0.burst.rounded(places: 0)) (\($0.sustained.rounded(places: 0))) GB/s"
    }
    return "roofs, burst (sustained): " + (memories + matrices).joined(separator: ", ")
  }
}
