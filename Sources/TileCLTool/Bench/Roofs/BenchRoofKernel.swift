import TileCL

/// A kernel that measures a roof, with what it needs to be launched.
struct BenchRoofKernel {
  private let kernel: Kernel
  private let queue: Queue
  private let output: Buffer
  private let outputCount: Int
  private let global: Int
  private let local: Int
  private let arguments: (Int) -> [KernelArgument]
  /// What a launch of so many rounds does, in TFLOP or GB.
  let work: (Int) -> Double
  /// Whether the output is what the kernel must give.
  private let isRight: ([Float]) -> Bool
  /// Kernels that move memory have no rounds.
  private let hasRounds: Bool

  func launch(_ rounds: Int) throws {
    try queue.launch(kernel, global: [global], local: [local], arguments(rounds))
  }

  /// How many rounds make a launch long beside its overhead.
  func rounds(on engine: Engine) throws -> Int {
    var rounds = 64
    guard hasRounds else { return rounds }
    while rounds < 1 << 20 {
      let commands = try queue.commands { try launch(rounds) }
      try engine.synchronize()
      guard try commands.reduce(0, { try $0 + $1.profile().duration }) < 0.001 else { break }
      rounds *= 2
    }
    return rounds
  }

  /// - Throws: ``TileCLError`` if the last launch gave numbers that it must not give: then it did not do the work.
  func check() throws {
    var values = [Float](repeating: .nan, count: outputCount)
    try values.withUnsafeMutableBytes { try queue.read(output, into: $0) }
    guard !isRight(values) else { return }
    throw TileCLError(
      .unsupported,
      "the roof kernel \(kernel.name) gave wrong numbers, \(values.prefix(4)) ..., so its time says nothing")
  }

  // MARK: - Memory

  static func copy(_ context: Context) throws -> BenchRoofKernel { try memory(context, isCopy: true) }
  static func read(_ context: Context) throws -> BenchRoofKernel { try memory(context, isCopy: false) }

  private static func memory(_ context: Context, isCopy: Bool) throws -> BenchRoofKernel {
    let isCPU = context.device.kind == .cpu
    let units = context.device.capabilities.computeUnits
    let kernel = try context.program(ProgramSource(files: ["roof/memory.cl"], defines: ["RUNS": isCPU ? 1 : 0]))
      .kernel(isCopy ? "tilecl_roof_copy" : "tilecl_roof_read")
    let (size, local) = isCPU ? (64, 1) : (16, 256)
    // More than caches hold, and on a GPU enough to make the time of launching small; or what the device can. Each item
    // gets as many vectors.
    let most = min(isCPU ? 256 << 20 : 1 << 30, context.pool.maximumAllocation)
    let whole = units * (isCPU ? 16 : 2048)
    let bytes = most / (size * whole) * size * whole
    let items = isCPU || !isCopy ? whole : bytes / size
    let input = try context.makeBuffer(byteCount: bytes)
    // The bytes of a small number in fp32.
    try context.queue.fill(input, with: 0x3B)
    let filling = Float(bitPattern: 0x3B3B_3B3B)
    let output = try context.makeBuffer(byteCount: isCopy ? bytes : items * 4)
    let sum = Float(bytes / items / 4) * filling
    return BenchRoofKernel(
      kernel: kernel, queue: context.queue, output: output, outputCount: whole, global: items, local: local,
      arguments: { _ in [.buffer(input), .buffer(output), .element(bytes / size)] },
      work: { _ in Double(isCopy ? 2 * bytes : bytes) * 1e-9 },
      isRight: { $0.allSatisfy { isCopy ? $0 == filling : abs($0 - sum) <= 1e-3 * sum } }, hasRounds: false)
  }

  // MARK: - Arithmetic

  static func fma(_ context: Context) throws -> BenchRoofKernel {
    let isCPU = context.device.kind == .cpu
    let chains = isCPU ? 12 : 1
    let capabilities = context.device.capabilities
    let isFused = capabilities.nvidia != nil || capabilities.x86Features.contains("fma")
    let headers = context.probes.avx512.isPresent ? ["x86/vectors.avx512.clh"] : []
    let kernel = try context.program(
      ProgramSource(files: headers + ["roof/fma.cl"], defines: ["CHAINS": chains, "FUSED": isFused ? 1 : 0])
    ).kernel("tilecl_roof_fma")
    let units = capabilities.computeUnits
    let (items, local) = isCPU ? (units * 16, 1) : (units * 2048, 256)
    return try arithmetic(
      kernel, context, items: items, local: local, operations: 32 * chains * items,
      arguments: [.float(0.5), .float(1), .float(2)], isRight: { $0.allSatisfy { $0 < 1e-3 } })
  }

  /// Nil on a device without these instructions.
  static func dot(_ context: Context) throws -> BenchRoofKernel? {
    guard context.probes.avx512bf16.isPresent else { return nil }
    let chains = 12
    let files = ["common/storage.clh", "common/vectors.clh", "x86/dot.avx512bf16.clh", "roof/dot.avx512bf16.cl"]
    let kernel = try context.program(ProgramSource(files: files, defines: ["CHAINS": chains])).kernel("tilecl_roof_dot")
    let items = context.device.capabilities.computeUnits * 16
    // 16 sums of two products for each vector.
    return try arithmetic(
      kernel, context, items: items, local: 1, operations: 64 * chains * items, arguments: [],
      isRight: { $0.allSatisfy { $0 == 1 } })
  }

  /// Nil on a device without these instructions.
  static func mma(_ context: Context) throws -> BenchRoofKernel? {
    guard context.probes.mma.isPresent else { return nil }
    let kernel = try context.program(ProgramSource(files: ["roof/mma.ampere.cl"])).kernel("tilecl_roof_mma")
    let items = context.device.capabilities.computeUnits * 1024
    // 8 products of 16 x 8 x 16 for each warp of 32.
    return try arithmetic(
      kernel, context, items: items, local: 256, operations: items / 32 * 8 * 2 * 16 * 8 * 16, arguments: [],
      isRight: areProducts)
  }

  /// Nil on a device without these instructions.
  static func wgmma(_ context: Context) throws -> BenchRoofKernel? {
    guard context.probes.wgmma.isPresent else { return nil }
    let files = ["common/storage.clh", "hopper/instructions.hopper.clh", "roof/wgmma.hopper.cl"]
    let kernel = try context.program(
      ProgramSource(files: files, defines: ["STORAGE": DType.bfloat16.storageKey], target: .hopper)
    ).kernel("tilecl_roof_wgmma")
    let items = context.device.capabilities.computeUnits * 256
    // 16 products of 64 x 128 x 16 for each warpgroup of 128.
    return try arithmetic(
      kernel, context, items: items, local: 256, operations: items / 128 * 16 * 2 * 64 * 128 * 16, arguments: [],
      isRight: areProducts)
  }

  /// Sums of products of random numbers: hardly ever 0, and always 0 if nothing was computed.
  private static func areProducts(_ values: [Float]) -> Bool {
    values.allSatisfy(\.isFinite) && values.count { $0 == 0 } < values.count / 16
  }

  private static func arithmetic(
    _ kernel: Kernel, _ context: Context, items: Int, local: Int, operations: Int, arguments: [KernelArgument],
    isRight: @escaping ([Float]) -> Bool
  ) throws -> BenchRoofKernel {
    let output = try context.makeBuffer(byteCount: items * 4)
    return BenchRoofKernel(
      kernel: kernel, queue: context.queue, output: output, outputCount: items, global: items, local: local,
      arguments: { [.buffer(output), .int32(Int32(clamping: $0))] + arguments },
      work: { Double(operations) * Double($0) * 1e-12 }, isRight: isRight, hasRounds: true)
  }
}
