import TileCL
import TileCLPicture
import TileCLText

/// The first part of the demo: a noisy photograph, denoised by Hilbert window attention.
struct DenoisingRun {
  let engine: Engine
  let options: DenoisingOptions
  let progress: Progress
  let features: PatchFeatures
  let mask: BlockMask
  let noisy: RGBImage

  /// The attention of one pass over the whole picture.
  struct PassResult {
    let order: TokenOrder
    /// `[S, 3]`.
    let outputs: [Float]
    /// `[S]`.
    let lse: [Float]
    /// The time of attention, from its launch to the results on the host.
    let seconds: Double
  }

  init(engine: Engine, noisy: RGBImage, options: DenoisingOptions, progress: Progress) throws {
    try options.validate(width: noisy.width, height: noisy.height)
    self.engine = engine
    self.options = options
    self.progress = progress
    self.noisy = noisy
    features = PatchFeatures(noisy, options: options)
    mask = try BlockMask.hilbertWindow(
      height: noisy.height, width: noisy.width, window: options.window, blockSize: options.blockSize
    ).excludingSelf()
  }

  /// Denoises, measures, checks, and reports.
  ///
  /// - Returns: The denoised picture and the table of the report.
  func run(clean: RGBImage) throws -> (denoised: RGBImage, table: ReportTable) {
    let dense = try denseComparison()
    let passes = try attend()
    let seconds = passes.reduce(0) { $0 + $1.seconds }
    var merge = WindowMerge(pixelCount: features.pixelCount)
    for pass in passes { merge.add(outputs: pass.outputs, lse: pass.lse) }
    merge.addSelf(features, options: options)
    let colours = merge.merged
    let denoised = RGBImage(
      width: noisy.width, height: noisy.height, samples: colours.map { RGBImage.sample($0 * 255) })

    progress.say("checking the picture against the reference")
    let windowCheck = try checkWindows(passes)
    let pixelCheck = checkPixels(colours, orders: passes.map(\.order))

    let pixels = features.pixelCount
    let statistics = mask.statistics
    var table = ReportTable(
      "Denoising by Hilbert window attention: \(noisy.width) x \(noisy.height) pixels, "
        + "noise of sigma \(Format.fixed(options.sigma, 0))",
      header: ["", "value"])
    table.add("PSNR of the noisy picture", Format.fixed(noisy.psnr(against: clean), 2) + " dB")
    table.add(
      "PSNR of the denoised picture", Format.fixed(denoised.psnr(against: clean), 2) + " dB", check: pixelCheck)
    table.add("queries = keys, channels of q and k, of v", "\(Format.count(pixels)), \(features.dimension), 3")
    table.add(
      "mask blocks of \(mask.queryBlock) x \(mask.keyBlock): empty, partial, full",
      "\(Format.percent(statistics.sparsity)), \(Format.count(statistics.partialBlocks)), "
        + Format.count(statistics.fullBlocks))
    table.add(
      "window attention, \(passes.count) curves over the whole picture", Format.seconds(seconds), check: windowCheck)
    table.add("one curve", Format.seconds(seconds / Double(passes.count)))
    table.add(
      "dense attention, \(Format.count(dense.pixels)) pixels of it, measured", Format.seconds(dense.seconds),
      check: dense.check)
    table.add(
      "dense attention, whole picture, " + (dense.whole.isMeasured ? "measured" : "extrapolated"),
      Format.seconds(dense.whole.seconds))
    table.add(
      "dense over one curve", Format.fixed(dense.whole.seconds * Double(passes.count) / seconds, 0) + " times")
    return (denoised, table)
  }

  /// Runs attention along every curve. The tensors are made once; only the token order changes.
  private func attend() throws -> [PassResult] {
    let all = try tensors(on: engine, queries: nil, keys: nil)
    try warmUp()
    return try (0..<options.curves).map { index in
      progress.say("window attention along curve \(index + 1) of \(options.curves)")
      let order = try WindowPass(index, window: options.window).order(width: noisy.width, height: noisy.height)
      let (result, seconds) = try timed {
        let result = try attention(over: all, mask: .blocks(mask), order: order)
        return (outputs: try result.output.array(), lse: try result.lse?.array() ?? [])
      }
      return PassResult(order: order, outputs: result.outputs, lse: result.lse, seconds: seconds)
    }
  }

  /// Builds the kernels by a small problem of the same kind, so that no measured time holds it.
  private func warmUp() throws {
    let side = options.window
    let few = (0..<Int32(side * side)).map(\.self)
    let mask = try BlockMask.hilbertWindow(height: side, width: side, window: side, blockSize: options.blockSize)
    _ = try attention(
      over: tensors(on: engine, queries: few, keys: few), mask: .blocks(mask.excludingSelf()),
      order: .hilbert(height: side, width: side)
    ).output.array()
  }

  /// The tensors of one attention problem.
  struct Tensors {
    let query: Tensor<Float>
    let key: Tensor<Float>
    let value: Tensor<Float>
  }

  /// The features of some pixels as queries and of some as keys; nil stands for all.
  func tensors(on engine: Engine, queries: [Int32]?, keys: [Int32]?) throws -> Tensors {
    func tensor(_ table: [Float], _ stride: Int, _ rows: [Int32]?) throws -> Tensor<Float> {
      let gathered = rows.map { PatchFeatures.gather(table, stride: stride, rows: $0) } ?? table
      return try engine.tensor(gathered, shape: [1, 1, gathered.count / stride, stride])
    }
    return Tensors(
      query: try tensor(features.queries, features.dimension, queries),
      key: try tensor(features.keys, features.dimension, keys),
      value: try tensor(features.values, RGBImage.channels, keys))
  }

  func attention(
    over tensors: Tensors, mask: AttentionMask = .none, order: TokenOrder? = nil
  ) throws -> AttentionOutput<Float> {
    let problem = try AttentionDescriptor(
      queryHeads: 1, queryLength: tensors.query.shape[2], keyLength: tensors.key.shape[2],
      headDimension: features.dimension, valueDimension: RGBImage.channels, scale: features.scale, mask: mask,
      tokenOrder: order, returnsLSE: true)
    return try tensors.query.engine.makePlan(problem)
      .run(query: tensors.query, key: tensors.key, value: tensors.value)
  }
}
