import Testing
import TileCL

extension GoldenCheck {
  private struct Parameters: Decodable {
    let dtype: DType
    let mask: String
    let scale: Float?
    // Masks.
    let queryBlock: Int?
    let keyBlock: Int?
    let height: Int?
    let width: Int?
    let window: Int?
    let block: Int?
    let left: Int?
    let right: Int?
    let prefixLength: Int?
    let cumulativeLengths: [Int]?
    let isCausal: Bool?
    let headMasks: [Int]?
    let extents: [Int]?
    let radius: Int?
    let kernel: Int?
    let dilation: Int?
    let causalAxes: [Bool]?
    // Options; those of the fixtures of scores alone say nothing of them.
    let softcap: Float?
    let relative: Bool?
    let bias: String?
    let modification: String?
    let maskModification: String?
    let packed: [[Int]]?
    let padded: [[Int]]?
  }

  func attention(_ fixture: GoldenFixture) throws {
    let file = try fixture.open()
    let parameters: Parameters = try GoldenFixture.parameters(of: file)
    try attention(file, parameters, parameters.dtype.floatingPointType)
  }

  private func attention<Element: FloatingPointElement>(
    _ file: SafetensorsFile, _ parameters: Parameters, _ type: Element.Type
  ) throws {
    var inputs = AttentionInputs(
      query: try engine.tensor("query", in: file, as: type), key: try engine.tensor("key", in: file, as: type),
      value: try engine.tensor("value", in: file, as: type))
    if file.names.contains("bias") { inputs.bias = try engine.tensor("bias", in: file, as: type) }
    inputs.alibiSlopes = try optional("alibi_slopes", file)
    inputs.sinks = try optional("sinks", file)
    inputs.relativeBias = try optional("relative_bias", file)
    let code = try GoldenUserCode(modification: parameters.modification, mask: parameters.maskModification)
    for (name, number) in code.numbers { inputs.captures[name] = .float(number) }
    for (name, number) in code.integers { inputs.captures[name] = .int32(number) }
    for name in code.tensors { inputs.captures[name] = .floats(try engine.tensor(name, in: file, as: Float.self)) }

    let (query, key, value) = (inputs.query.shape, inputs.key.shape, inputs.value.shape)
    let descriptor = try AttentionDescriptor(
      batch: query[0], queryHeads: query[1], keyValueHeads: key[1], queryLength: query[2], keyLength: key[2],
      headDimension: query[3], valueDimension: value[3], dtype: parameters.dtype, scale: parameters.scale,
      mask: mask(file, parameters, queries: query[2], keys: key[2]), maskModification: code.mask,
      score: score(file, parameters, code), sequences: sequences(parameters), tokenOrder: order(file, parameters),
      returnsLSE: true)

    let result = try engine.makePlan(descriptor).run(inputs)
    try expect(result.output, is: "output", of: file)
    try expect(#require(result.lse), is: "lse", of: file)
    guard file.names.contains("output_gradient") else { return }

    let gradients = try engine.makeBackwardPlan(descriptor).run(
      inputs, forward: result, outputGradient: engine.tensor("output_gradient", in: file, as: type),
      lseGradient: engine.tensor("lse_gradient", in: file, as: Float.self))
    try expect(gradients.query, is: "query_gradient", of: file)
    try expect(gradients.key, is: "key_gradient", of: file)
    try expect(gradients.value, is: "value_gradient", of: file)
    if let bias = gradients.bias { try expect(bias, is: "bias_gradient", of: file) }
    var others = gradients.captures
    others["alibi_slopes"] = gradients.alibiSlopes
    others["sinks"] = gradients.sinks
    others["relative_bias"] = gradients.relativeBias
    for (name, gradient) in others {
      // Kept in fp32, but no more exact than what it is summed from.
      try expectGolden(
        "\(name)_gradient", gradient.array(), file.values("\(name)_gradient"), dtype: parameters.dtype)
    }
    let names = Set(others.keys.map { "\($0)_gradient" })
    let known: Set = [
      "query_gradient", "key_gradient", "value_gradient", "bias_gradient", "output_gradient", "lse_gradient",
    ]
    #expect(Set(file.names.filter { $0.hasSuffix("_gradient") }).subtracting(known) == names)
    #expect((gradients.bias != nil) == file.names.contains("bias_gradient"))
  }

  private func optional(_ name: String, _ file: SafetensorsFile) throws -> Tensor<Float>? {
    file.names.contains(name) ? try engine.tensor(name, in: file, as: Float.self) : nil
  }

  private func score(
    _ file: SafetensorsFile, _ parameters: Parameters, _ code: GoldenUserCode
  ) throws -> AttentionScore {
    try AttentionScore(
      softcap: parameters.softcap, hasALiBi: file.names.contains("alibi_slopes"),
      bias: parameters.bias.map { axes in
        .init(isPerBatch: axes.contains("b"), isPerHead: axes.contains("h"), isPerQuery: axes.contains("q"))
      },
      relativePositions: parameters.relative == true
        ? RelativePositions(TokenGrid(sides: #require(parameters.extents))) : nil,
      modification: code.score, hasSinks: file.names.contains("sinks"))
  }

  private func sequences(_ parameters: Parameters) throws -> AttentionSequences? {
    if let packed = parameters.packed {
      return try .packed(cumulativeQueryLengths: packed[0], cumulativeKeyLengths: packed[1])
    }
    return try parameters.padded.map { try .padded(queryLengths: $0[0], keyLengths: $0[1]) }
  }

  private func mask(
    _ file: SafetensorsFile, _ parameters: Parameters, queries: Int, keys: Int
  ) throws -> AttentionMask {
    if let own = parameters.headMasks {
      let visible = try file.values("visible", as: UInt8.self)
      let masks = try (0..<own[0] * own[1]).map { number in
        try BlockMask(queryLength: queries, keyLength: keys, queryBlock: 32, keyBlock: 32) { query, key in
          visible[(number * queries + query) * keys + key] != 0
        }
      }
      return .headBlocks(try HeadBlockMasks(masks: masks, batch: own[0], heads: own[1]))
    }
    switch parameters.mask {
    case "none": return .none
    case "causal": return .causal
    case "sliding_window":
      return .blocks(
        try .slidingWindow(
          queryLength: queries, keyLength: keys, left: parameters.left, right: parameters.right,
          queryBlock: 32, keyBlock: 32))
    case "prefix":
      return .blocks(
        try .prefixLM(
          queryLength: queries, keyLength: keys, prefixLength: #require(parameters.prefixLength), queryBlock: 32,
          keyBlock: 32))
    case "documents":
      return .blocks(
        try .documents(
          cumulativeLengths: #require(parameters.cumulativeLengths), length: queries,
          isCausal: parameters.isCausal == true, queryBlock: 32, keyBlock: 32))
    case "hilbert_window":
      return .blocks(
        try .hilbertWindow(
          height: #require(parameters.height), width: #require(parameters.width), window: #require(parameters.window),
          blockSize: #require(parameters.block)))
    case "predicate":
      let shape = try file.entry("visible").shape
      let visible = try file.values("visible", as: UInt8.self)
      return .blocks(
        try BlockMask(
          queryLength: shape[0], keyLength: shape[1], queryBlock: #require(parameters.queryBlock),
          keyBlock: #require(parameters.keyBlock)
        ) { query, key in
          visible[query * shape[1] + key] != 0
        })
    case let name where name.hasPrefix("grid_"): return .blocks(try gridMask(name, parameters))
    default: throw TileCLError.invalid("mask", parameters.mask, allowed: "a mask that this test knows")
    }
  }

  private func order(_ file: SafetensorsFile, _ parameters: Parameters) throws -> TokenOrder? {
    guard file.names.contains("order") else { return nil }
    let permutation = try file.values("order", as: Int32.self)
    let sides = parameters.extents ?? [parameters.height, parameters.width].compactMap(\.self)
    guard sides.count == 2 else { return try TokenOrder(permutation: permutation) }
    let order = try TokenOrder.hilbert(height: sides[0], width: sides[1])
    #expect(order.permutation == permutation)
    return order
  }

  /// A mask of the cells of a grid in row-major order.
  private func gridMask(_ name: String, _ parameters: Parameters) throws -> BlockMask {
    let grid = try TokenGrid(sides: #require(parameters.extents))
    switch name {
    case "grid_window":
      return try .window(grid, size: [#require(parameters.window)], queryBlock: 32, keyBlock: 32)
    case "grid_sliding_window":
      return try .slidingWindow(grid, radius: [#require(parameters.radius)], queryBlock: 32, keyBlock: 32)
    default:
      return try .neighborhood(
        grid, kernel: [#require(parameters.kernel)], dilation: [#require(parameters.dilation)],
        causalAxes: #require(parameters.causalAxes), queryBlock: 32, keyBlock: 32)
    }
  }
}
