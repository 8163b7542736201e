import Testing
import TileCL
import TileCLTestSupport

@Suite("Merging attention")
struct AttentionMergeTests {
  /// Attention over ranges of the keys, and over all of them.
  private static func parts<Element: FloatingPointElement>(
    _ type: Element.Type, _ engine: Engine, _ ranges: [Range<Int>]
  ) throws -> (parts: [AttentionOutput<Element>], sample: AttentionSample) {
    let whole = try AttentionDescriptor(
      batch: 2, queryHeads: 4, keyValueHeads: 2, queryLength: 5, keyLength: 60, headDimension: 8, valueDimension: 3,
      dtype: Element.dtype, returnsLSE: true)
    let sample = AttentionSample(whole)
    let inputs = try sample.inputs(type, on: engine)
    let parts = try ranges.map { range in
      let problem = try AttentionDescriptor(
        batch: 2, queryHeads: 4, keyValueHeads: 2, queryLength: 5, keyLength: range.count, headDimension: 8,
        valueDimension: 3, dtype: Element.dtype, returnsLSE: true)
      return try engine.makePlan(problem).run(
        query: inputs.query, key: inputs.key.sliced(axis: 2, range: range),
        value: inputs.value.sliced(axis: 2, range: range))
    }
    return (parts, sample)
  }

  @Test("Any number of parts gives attention over all keys", arguments: TestEngines.all)
  func whole(engine: Engine) throws {
    for ranges in [[0..<60], [0..<1, 1..<60], [0..<20, 20..<30, 30..<59, 59..<60]] {
      let (parts, sample) = try Self.parts(Float.self, engine, ranges)
      let merged = try engine.merge(parts)
      #expect(merged.output.shape == [2, 4, 5, 3])
      #expect(try sample.difference(output: merged.output.array(), lse: #require(merged.lse).array()) < 1e-5)
      #expect(try engine.merge(parts).output.array() == merged.output.array(), "equal bits in every run")
    }
  }

  @Test("Merging is associative up to rounding", arguments: TestEngines.all)
  func associative(engine: Engine) throws {
    let (parts, sample) = try Self.parts(Float.self, engine, [0..<7, 7..<41, 41..<60])
    let left = try engine.merge([engine.merge([parts[0], parts[1]]), parts[2]])
    let right = try engine.merge([parts[0], engine.merge([parts[1], parts[2]])])
    for merged in [left, right] {
      #expect(try sample.difference(output: merged.output.array(), lse: #require(merged.lse).array()) < 1e-5)
    }
  }

  @Test("Parts are not rounded on the way, the result is once", arguments: TestEngines.all)
  func roundsOnce(engine: Engine) throws {
    // bf16 steps by 2^-7 here, and has the first two numbers' mean as little as that of all.
    let lse = try engine.tensor([0] as [Float], shape: [1, 1, 1])
    let values: [Float] = [1, 1.0078125, 1.015625, 1.0234375]
    let parts = try values.map { value in
      AttentionOutput(output: try engine.tensor([BFloat16(value)], shape: [1, 1, 1, 1]), lse: lse)
    }
    let merged = try engine.merge(parts)
    // The mean, 1.01171875, lies between two numbers of bf16; the even one of them is 1.015625.
    #expect(try merged.output.array() == [BFloat16(1.015625)])
    #expect(abs(try #require(merged.lse).array()[0] - 1.3862944) < 1e-6)
  }

  @Test("Parts without keys count for nothing, whatever they hold", arguments: TestEngines.all)
  func emptyParts(engine: Engine) throws {
    func part(_ output: [Float], _ lse: [Float]) throws -> AttentionOutput<Float> {
      AttentionOutput(
        output: try engine.tensor(output, shape: [1, 1, 3, 1]), lse: try engine.tensor(lse, shape: [1, 1, 3]))
    }
    let infinity = Float.infinity
    let merged = try engine.merge([
      part([.nan, 7, .nan], [-infinity, 200, -infinity]), part([3, .nan, .nan], [-100, -infinity, -infinity]),
      part([5, 9, .nan], [-100, 200, -infinity]),
    ])
    let output = try merged.output.array()
    let lse = try #require(merged.lse).array()
    #expect(abs(output[0] - 4) < 1e-6 && abs(output[1] - 8) < 1e-6 && output[2] == 0)
    #expect(abs(lse[0] - -99.306853) < 1e-5 && abs(lse[1] - 200.693147) < 1e-4 && lse[2] == -infinity)
  }

  @Test("Views of parts are read from their first element", arguments: TestEngines.all)
  func views(engine: Engine) throws {
    let outputs = try engine.tensor([1, 2, 3, 4] as [Float], shape: [2, 1, 1, 2])
    let lses = try engine.tensor([1, 1] as [Float], shape: [2, 1, 1])
    let merged = try engine.merge(
      (0..<2).map { part in
        AttentionOutput(
          output: try outputs.sliced(axis: 0, range: part..<part + 1),
          lse: try lses.sliced(axis: 0, range: part..<part + 1))
      })
    #expect(try merged.output.array() == [2, 3])
  }

  @Test("Faults name the part", arguments: TestEngines.all)
  func faults(engine: Engine) throws {
    func error(_ parts: [AttentionOutput<Float>]) -> TileCLError? {
      #expect(throws: TileCLError.self) { try engine.merge(parts) }
    }
    let output = try engine.zeros(Float.self, shape: [1, 2, 3, 4])
    let lse = try engine.zeros(Float.self, shape: [1, 2, 3])
    let good = AttentionOutput(output: output, lse: lse)
    #expect(error([])?.argument == "parts.count")
    #expect(error([good, AttentionOutput(output: output, lse: nil)])?.argument == "parts[1].lse")
    #expect(
      error([good, AttentionOutput(output: try output.reshaped([1, 3, 2, 4]), lse: lse)])?.argument == "parts[1].output"
    )
    #expect(error([AttentionOutput(output: try output.reshaped([2, 3, 4]), lse: lse)])?.argument == "parts[0].output")
    #expect(
      error([AttentionOutput(output: try engine.zeros(shape: [1, 3, 2, 4]).transposed(1, 2), lse: lse)])?.argument
        == "parts[0].output")
    #expect(error([good, AttentionOutput(output: output, lse: try lse.reshaped([2, 3]))])?.argument == "parts[1].lse")
  }
}
