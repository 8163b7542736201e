import Testing
import TileCL
import TileCLTestSupport

@Suite struct QuantizedMatmulPlanTests {
  private let format: QuantizationFormat

  init() throws {
    format = try QuantizationFormat(bits: .int4, groupSize: 32, scheme: .affine)
  }

  /// Row n is n, n + 1, ... n + 15 over and over: exact in 4 bits with a scale of 1.
  private func matrix(columns: Int, depth: Int) -> [Float] {
    (0..<columns * depth).map { Float($0 / depth + $0 % depth % 16) }
  }

  @Test(arguments: TestEngines.all)
  func exactProduct(engine: Engine) throws {
    let weights = try engine.quantize(engine.tensor(matrix(columns: 5, depth: 48), shape: [5, 48]), format)
    #expect(weights.byteCount == 4 * 5 * (8 + 2 + 2))
    #expect(weights.columns == 5 && weights.depth == 48 && weights.format == format)
    #expect(try engine.dequantize(weights, as: Float16.self).array() == matrix(columns: 5, depth: 48).map(Float16.init))
    for rows in [1, 2, 4, 7, 16, 30, 65] {
      let plan = try engine.makePlan(QuantizedMatmulDescriptor(rows: rows, columns: 5, depth: 48, format: format))
      // Row m of X picks weight column m mod 48.
      var selection = [Float](repeating: 0, count: rows * 48)
      for row in 0..<rows { selection[row * 48 + row % 48] = 1 }
      let product = try plan.run(activations: engine.tensor(selection, shape: [rows, 48]), weights: weights)
      #expect(product.shape == [rows, 5])
      #expect(try product.array() == (0..<rows * 5).map { Float($0 % 5 + $0 / 5 % 48 % 16) })
    }
  }

  /// CUDA counts 65,535 work-groups along the second axis.
  @Test(arguments: TestEngines.all)
  func moreColumnsThanDriversCountAlongAnAxis(engine: Engine) throws {
    let values = matrix(columns: 66_001, depth: 16)
    let weights = try engine.quantize(engine.tensor(values, shape: [66_001, 16]), format)
    #expect(try engine.dequantize(weights, as: Float.self).array() == values)
  }

  @Test(arguments: TestEngines.all)
  func packedWeightsMoveBetweenEngines(engine: Engine) throws {
    let weights = try Engine.reference.quantize(
      Engine.reference.tensor(matrix(columns: 3, depth: 40), shape: [3, 40]), format)
    let moved = try engine.quantizedWeights(weights.packed())
    #expect(try moved.packed() == weights.packed())
    #expect(moved.engine === engine)
  }

  @Test(arguments: TestEngines.all)
  func badArgumentsAreNamed(engine: Engine) throws {
    func argument(_ body: () throws -> some Any) -> String? {
      do {
        _ = try body()
        return nil
      } catch { return (error as? TileCLError)?.argument }
    }
    let x = try engine.zeros(Float.self, shape: [2, 40])
    let weights = try engine.quantize(engine.tensor(matrix(columns: 3, depth: 40), shape: [3, 40]), format)
    let plan = try engine.makePlan(QuantizedMatmulDescriptor(rows: 2, columns: 3, depth: 40, format: format))
    #expect(argument { try plan.run(activations: x, weights: weights) } == nil)
    #expect(argument { try plan.run(activations: x.reshaped([40, 2]), weights: weights) } == "activations")
    #expect(argument { try plan.run(activations: x.reshaped([1, 2, 40]), weights: weights) } == "activations")
    let halves = try engine.zeros(Float16.self, shape: [2, 40])
    #expect(argument { try plan.run(activations: halves, weights: weights) } == "activations")
    let columnMajor = try engine.zeros(Float.self, shape: [40, 2]).transposed(0, 1)
    #expect(argument { try plan.run(activations: columnMajor, weights: weights) } == "activations")
    #expect(argument { try plan.run(activations: columnMajor.contiguous(), weights: weights) } == nil)
    let short = try engine.quantize(engine.tensor(matrix(columns: 3, depth: 39), shape: [3, 39]), format)
    #expect(argument { try plan.run(activations: x, weights: short) } == "weights")

    #expect(argument { try engine.quantize(x.reshaped([80]), format) } == "weights")
    #expect(argument { try engine.quantize(columnMajor, format) } == "weights")
    for other in TestEngines.all where other !== engine {
      #expect(argument { try other.quantize(x, format) } == "weights")
      #expect(argument { try other.dequantize(weights, as: Float.self) } == "weights")
      #expect(argument { try plan.run(activations: x, weights: other.quantizedWeights(weights.packed())) } == "weights")
      let zeros = try other.zeros(Float.self, shape: [2, 40])
      #expect(argument { try plan.run(activations: zeros, weights: weights) } == "activations")
    }
  }

  @Test(arguments: TestEngines.all)
  func weightsWithoutACodeAreNamed(engine: Engine) throws {
    for bad in [Float.nan, .infinity, -0x1.8p126] {
      var values = matrix(columns: 9, depth: 65)
      values[8 * 65 + 1] = .nan
      values[6 * 65 + 64] = bad
      values[6 * 65 + 40] = bad
      for dtype in [DType.float32, .bfloat16] {
        let error = try #require(throws: TileCLError.self) {
          if dtype == .float32 {
            _ = try engine.quantize(engine.tensor(values, shape: [9, 65]), format)
          } else {
            _ = try engine.quantize(engine.tensor(values.map { BFloat16($0) }, shape: [9, 65]), format)
          }
        }
        #expect(error.argument == "weights")
        #expect(error.message.contains("row 6, column 40") && error.message.contains("\(bad)"))
      }
    }
  }

  @Test(.enabled(if: TestEngines.hasOpenCL))
  func weightsOverTheDevicesLimitAreRefused() throws {
    let device = try #require(TestEngines.openCL?.context?.device)
    let engine = try Engine(device: device, environment: Environment(variables: ["TILECL_MAX_ALLOC": "4K"]))
    let values = matrix(columns: 2, depth: 9000)
    let packed = try Reference.quantize(values, columns: 2, depth: 9000, format: format)
    let error = try #require(throws: TileCLError.self) { try engine.quantizedWeights(packed) }
    #expect(error.code == .limitExceeded)
  }
}
