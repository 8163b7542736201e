import TileCLCore

/// The values of one evaluation in fp64, as the reference computes with them.
///
/// Stored values come as ``AttentionValues``, in fp32; steps smaller than its ulps, as finite differences take them,
/// need this form.
package struct AttentionOperands: Sendable {
  package var query: [Double]
  package var key: [Double]
  package var value: [Double]
  package var bias: [Double]
  package var alibiSlopes: [Double]
  package var sinks: [Double]
  package var relativeBias: [Double]
  package var captures: CapturedValues
  package var dropoutSeed: UInt64

  package init(_ values: AttentionValues) {
    query = values.query.map(Double.init)
    key = values.key.map(Double.init)
    value = values.value.map(Double.init)
    bias = values.bias.map(Double.init)
    alibiSlopes = values.alibiSlopes.map(Double.init)
    sinks = values.sinks.map(Double.init)
    relativeBias = values.relativeBias.map(Double.init)
    captures = values.captures
    dropoutSeed = values.dropoutSeed
  }

  /// Checks every array against a problem.
  ///
  /// - Throws: ``TileCLError`` that names the array with a wrong number of elements, or the capture that is missing or
  ///   not a number.
  func validate(_ problem: AttentionDescriptor) throws {
    let score = problem.score
    for (name, values, shape) in [
      ("query", query, problem.queryShape), ("key", key, problem.keyShape), ("value", value, problem.valueShape),
      ("bias", bias, problem.biasShape), ("alibiSlopes", alibiSlopes, score.hasALiBi ? problem.headShape : nil),
      ("sinks", sinks, score.hasSinks ? problem.headShape : nil),
      ("relativeBias", relativeBias, problem.relativeBiasShape),
    ] {
      try Self.requireCount(name, values.count, shape)
    }
    for capture in problem.captures {
      let name = "captures[\"\(capture.name)\"]"
      let elements = captures[capture.name]
      if case .tensor = capture.kind {
        guard !elements.isEmpty else {
          throw TileCLError.invalid(name, "empty", allowed: "the elements of the captured tensor")
        }
      } else {
        guard elements.count == 1 else {
          throw TileCLError.invalid("\(name).count", elements.count, allowed: "1, for a scalar")
        }
        guard !elements[0].isNaN else { throw TileCLError.invalid(name, elements[0], allowed: "a number") }
      }
    }
  }

  /// Requires an array to have the elements of a shape, or none if the problem has no such shape.
  static func requireCount(_ name: String, _ count: Int, _ shape: [Int]?) throws {
    guard let shape else {
      guard count == 0 else {
        throw TileCLError.invalid("\(name).count", count, allowed: "0: the descriptor's score does not ask for it")
      }
      return
    }
    let expected = shape.reduce(1, *)  // The descriptor has checked that this fits.
    guard count == expected else {
      throw TileCLError.invalid("\(name).count", count, allowed: "\(expected), for the shape \(shape)")
    }
  }
}
