import Testing
import TileCLRuntime
import TileCLTestSupport

@testable import TileCL
@testable import TileCLConformance

@Suite("Linear cross-entropy: kernel choice and workspace")
struct LinearCrossEntropyKernelTests {
  typealias Tile = LinearCrossEntropyTile

  @Test("Sizes are no part of the compiled program; the dtype is", .enabled(if: TestEngines.hasOpenCL))
  func compileKey() throws {
    let engine = try #require(TestEngines.openCL)
    func kernels(_ tokens: Int, _ depth: Int, _ classes: Int, _ dtype: DType = .float32) throws
      -> LinearCrossEntropyKernelDescriptor?
    {
      let problem = try LinearCrossEntropyDescriptor(
        tokens: tokens, hiddenSize: depth, vocabulary: classes, dtype: dtype, reduction: .sum, ignoreIndex: 3)
      return try engine.makePlan(problem).forward?.descriptor
    }
    let first = try kernels(1, 1, 1)
    #expect(try kernels(4099, 1, 1) == first)
    #expect(try kernels(1, 4099, 1) == first)
    #expect(try kernels(1, 1, 50_264) == first)
    #expect(try kernels(1, 1, 1, .float16) != first)
    #expect(try kernels(1, 1, 1, .bfloat16) != first)
  }

  @Test("Every tile's local memory fits 32 KiB", arguments: [Tile.wide, .narrow, .single])
  func localMemory(tile: Tile) {
    #expect(tile.localByteCount <= 32 << 10)
  }

  @Test("Tiles of gradients fit what products take", arguments: [Tile.wide, .narrow, .single])
  func tileShapes(tile: Tile) {
    for tile in [tile] + [4, 8, 16].flatMap(Tile.cpu) {
      #expect(tile.columns <= tile.rows)
      #expect(tile.columns % tile.microRows == 0)
      #expect(tile.depth % tile.vector == 0)
    }
  }

  /// Tiles of other devices that this one can run; its own have the conformance cases. A tile's shape and how elements
  /// are loaded have little to do with each other, so 16 bits are tried on one each: compiling is what takes the time.
  private static func tiles(_ dtype: DType, _ context: Context) -> [Tile] {
    let tiles: [Tile] =
      switch dtype {
      case .float16: [.wide]
      case .bfloat16: [.narrow]
      default: [.wide, .narrow, .single] + Tile.cpu(vector: 16).suffix(1)
      }
    let capabilities = context.device.capabilities
    return tiles.filter {
      $0.groupItems <= capabilities.maximumWorkGroupSize && $0.localByteCount <= capabilities.localMemory
    }
  }

  @Test("The compiler takes no more local memory than the formula says", .enabled(if: TestEngines.hasOpenCL))
  func compiledLocalMemory() throws {
    let context = try #require(TestEngines.openCL?.context)
    let problem = try LinearCrossEntropyDescriptor(tokens: 1, hiddenSize: 1, vocabulary: 1)
    var descriptor = try LinearCrossEntropyKernelDescriptor(problem, device: context.device)
    let variant = try KernelTable.portable(.linearCrossEntropy, on: context)
    for tile in [descriptor.tile, .wide, .single]
    where tile.groupItems <= context.device.capabilities.maximumWorkGroupSize {
      descriptor.tile = tile
      let kernel = try context.program(variant.source(defines: descriptor.partialsDefines))
        .kernel("tilecl_linear_cross_entropy_partials")
      // Some drivers count none of the static arrays, some round up.
      #expect(kernel.localMemory <= tile.localByteCount + 1024)
    }
  }

  @Test(
    "Splits cover the vocabulary, fill the device and stay within the stated bound",
    arguments: [1, 3, 127, 129, 1000, 8192, 100_000], [1, 17, 129, 4099, 50_264, 256_000])
  func split(tokens: Int, vocabulary: Int) throws {
    let problem = try LinearCrossEntropyDescriptor(tokens: tokens, hiddenSize: 1, vocabulary: vocabulary)
    for tile in [Tile.wide, .narrow, .single] {
      for units in [1, 2, 132] {
        let split = VocabularySplit(problem, tile: tile, computeUnits: units)
        #expect(split.classesPerSplit % tile.rows == 0)
        #expect(split.splits * split.classesPerSplit >= vocabulary)
        #expect((split.splits - 1) * split.classesPerSplit < vocabulary)
        #expect(split.tokenTiles * tile.columns >= tokens)
        let groups = 8 * units
        // A split is at least half as small as asked for, or a single tile of classes.
        #expect(2 * split.splits * split.tokenTiles >= groups || split.classesPerSplit == tile.rows)
        #expect(12 * split.splits * tokens <= 12 * (groups * tile.columns + tokens))
      }
    }
  }

  @Test(
    "The workspace is what the formula says, and bounds what a run takes from the pool",
    .enabled(if: TestEngines.hasOpenCL))
  func workspace() throws {
    // An engine of its own: other tests take memory at the same time.
    let context = try #require(TestEngines.openCL?.context)
    let engine = try Engine(device: context.device)
    let problem = try LinearCrossEntropyDescriptor(tokens: 300, hiddenSize: 5, vocabulary: 5000)
    let plan = try engine.makePlan(problem)
    let pool = try #require(engine.context).pool
    let partials = try 12 * 300 * #require(plan.forward).partials.splits
    #expect(plan.workspaceByteCount == partials + 16 * 300 + 4 * 300 + 8)
    #expect(plan.stateByteCount == 12 * 300 + 4)
    #expect(plan.workspaceByteCount < problem.logitsByteCount / 8)
    #expect(try Engine.reference.makePlan(problem).workspaceByteCount == 0)
    let embeddings = try engine.zeros(Float.self, shape: [300, 5])
    let classifier = try engine.zeros(Float.self, shape: [5000, 5])
    let targets = try engine.zeros(Int32.self, shape: [300])
    let before = pool.snapshot()
    #expect(before.peakBytes == before.activeBytes)
    let output = try plan.run(embeddings: embeddings, classifier: classifier, targets: targets)
    let results = 4 * (output.loss.count + output.lse.count) + plan.stateByteCount
    let taken = pool.snapshot().peakBytes - before.activeBytes
    #expect(taken <= results + plan.workspaceByteCount)
    #expect(taken >= partials)
    #expect(pool.snapshot().activeBytes == before.activeBytes + results)
  }

  @Test(
    "Tiles that other devices use give the reference's results on this one",
    .enabled(if: TestEngines.hasOpenCL), arguments: DType.floatingPointCases)
  func tilesOfOtherDevices(dtype: DType) throws {
    switch dtype {
    case .float16: try Self.compareTiles(Float16.self)
    case .bfloat16: try Self.compareTiles(BFloat16.self)
    default: try Self.compareTiles(Float.self)
    }
  }

  private static func compareTiles<Element: FloatingPointElement>(_ type: Element.Type) throws {
    let engine = try #require(TestEngines.openCL)
    let context = try #require(engine.context)
    let trial = try LinearCrossEntropyTrial<Element>(
      LinearCrossEntropyProblem(
        tokens: 130, hiddenSize: 35, vocabulary: 261, reduction: .mean, logits: .init(hasBias: true),
        outputs: [.entropy, .argmax, .gradientTiles], filter: GradientFilter()), on: engine)
    var descriptor = try LinearCrossEntropyKernelDescriptor(trial.descriptor, device: context.device)

    for tile in tiles(trial.descriptor.dtype, context) {
      descriptor.tile = tile
      let forward = try LinearCrossEntropyForward(trial.descriptor, descriptor: descriptor, context: context)
      let (statistics, arguments) = try forward.statistics(trial.inputs, engine: engine)
      let output = try forward.output(statistics, arguments, engine: engine)
      for comparison in try trial.compare(output) { #expect(comparison.passed, "\(tile): \(comparison)") }
      let backward = try LinearCrossEntropyBackward(
        trial.descriptor, descriptor: descriptor, filter: trial.problem.filter, parameters: .all, budget: 1 << 16,
        audits: false, engine: engine, context: context)
      guard case .device(let state) = output.state else { continue }
      let gradients: [LinearCrossEntropyGradients<Element>] = try (0..<2).map { _ in
        try backward.run(
          arguments, forward: output, upstream: trial.upstream(), state: state)
      }
      for comparison in try trial.compare(gradients[0], again: gradients[1]) {
        #expect(comparison.passed, "\(tile): \(comparison)")
      }
    }
  }
}
