import Testing
import TileCLConformance
import TileCLTestSupport

@testable import TileCL

@Suite("Linear cross-entropy: kernel choice and workspace")
struct LinearCrossEntropyKernelTests {
  typealias Tile = LinearCrossEntropyKernelDescriptor.Tile

  @Test("Sizes are no part of the compiled program; the dtype is", .enabled(if: TestEngines.hasOpenCL))
  func compileKey() throws {
    let engine = try #require(TestEngines.openCL)
    func kernels(_ tokens: Int, _ depth: Int, _ classes: Int, _ dtype: DType = .float32) throws
      -> LinearCrossEntropyKernelDescriptor?
    {
      let problem = try LinearCrossEntropyDescriptor(
        tokens: tokens, hiddenSize: depth, vocabulary: classes, dtype: dtype, reduction: .sum, ignoreIndex: 3)
      return try engine.makePlan(problem).kernels?.descriptor
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

  @Test("The compiler takes no more local memory than the formula says", .enabled(if: TestEngines.hasOpenCL))
  func compiledLocalMemory() throws {
    let context = try #require(TestEngines.openCL?.context)
    let descriptor = try LinearCrossEntropyKernelDescriptor(dtype: .float32, device: context.device)
    let variant = try KernelTable.choose(.linearCrossEntropy, on: context)
    for tile in [descriptor.tile, .wide, .narrow, .single]
    where tile.groupItems <= context.device.capabilities.maximumWorkGroupSize {
      var other = descriptor
      other.tile = tile
      let program = try context.program(ProgramSource(files: variant.files, defines: other.defines))
      let kernel = try program.kernel("tilecl_linear_cross_entropy_partials")
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
        #expect(split.columnsPerSplit % tile.columns == 0)
        #expect(split.splits * split.columnsPerSplit >= vocabulary)
        #expect((split.splits - 1) * split.columnsPerSplit < vocabulary)
        #expect(split.rowTiles * tile.rows >= tokens)
        let groups = 8 * units
        // A split is at least half as small as asked for, or a single tile of columns.
        #expect(2 * split.splits * split.rowTiles >= groups || split.columnsPerSplit == tile.columns)
        #expect(split.partialsByteCount(tokens: tokens) == 12 * split.splits * tokens)
        #expect(split.partialsByteCount(tokens: tokens) <= 12 * (groups * tile.rows + tokens))
      }
    }
  }

  @Test(
    "The workspace is what the formula says, and what a run takes from the pool",
    .enabled(if: TestEngines.hasOpenCL))
  func workspace() throws {
    // An engine of its own: other tests take memory at the same time.
    let context = try #require(TestEngines.openCL?.context)
    let engine = try Engine(device: context.device)
    let problem = try LinearCrossEntropyDescriptor(tokens: 300, hiddenSize: 5, vocabulary: 5000)
    let plan = try engine.makePlan(problem)
    let pool = try #require(engine.context).pool
    let split = try #require(plan.kernels).split
    #expect(plan.workspaceByteCount == 12 * 300 * split.splits + 4 * 300 + 12)
    #expect(plan.workspaceByteCount < problem.logitsByteCount / 8)
    #expect(try Engine.reference.makePlan(problem).workspaceByteCount == 0)
    let embeddings = try engine.zeros(Float.self, shape: [300, 5])
    let classifier = try engine.zeros(Float.self, shape: [5000, 5])
    let targets = try engine.zeros(Int32.self, shape: [300])
    let before = pool.snapshot()
    #expect(before.peakBytes == before.activeBytes)
    let output = try plan.run(embeddings: embeddings, classifier: classifier, targets: targets)
    let results = 4 * (output.loss.count + output.lse.count)
    #expect(pool.snapshot().peakBytes == before.activeBytes + results + plan.workspaceByteCount)
    #expect(pool.snapshot().activeBytes == before.activeBytes + results)
  }

  @Test(
    "Every tile that some device uses gives the reference's results on this one",
    .enabled(if: TestEngines.hasOpenCL), arguments: DType.floatingPointCases)
  func everyTile(dtype: DType) throws {
    switch dtype {
    case .float16: try Self.compareTiles(Float16.self)
    case .bfloat16: try Self.compareTiles(BFloat16.self)
    default: try Self.compareTiles(Float.self)
    }
  }

  private static func compareTiles<Element: FloatingPointElement>(_ type: Element.Type) throws {
    let engine = try #require(TestEngines.openCL)
    let context = try #require(engine.context)
    let (tokens, depth, classes) = (130, 35, 261)
    let problem = try LinearCrossEntropyDescriptor(
      tokens: tokens, hiddenSize: depth, vocabulary: classes, dtype: Element.dtype)
    var values = SeededValues(seed: 21)
    let embeddings = try engine.tensor(values.normals(tokens * depth, as: type), shape: [tokens, depth])
    let classifier = try engine.tensor(values.normals(classes * depth, as: type), shape: [classes, depth])
    let targets = try engine.tensor(
      values.integers(tokens, in: 0..<classes).map { Int32(clamping: $0) }, shape: [tokens])
    let oracle = try Reference.linearCrossEntropy(
      problem, embeddings: embeddings.floats(), classifier: classifier.floats(), targets: targets.array())
    var descriptor = try LinearCrossEntropyKernelDescriptor(dtype: Element.dtype, device: context.device)
    for tile in Set([descriptor.tile, .wide, .narrow, .single])
    where tile.groupItems <= context.device.capabilities.maximumWorkGroupSize {
      descriptor.tile = tile
      let kernels = try LinearCrossEntropyKernels(problem, descriptor: descriptor, context: context)
      let output = try kernels.run(
        engine: engine, embeddings: embeddings, classifier: classifier, targets: targets)
      let errors = zip(try output.lse.array(), oracle.lse).map { abs(Double($0) - $1) }
      // Some units in the last place of an LSE of about 30.
      #expect(try #require(errors.max()) < 2e-5, "\(tile)")
      #expect(abs(Double(try output.loss.array()[0]) - oracle.loss[0]) < 1e-5, "\(tile)")
    }
  }
}
