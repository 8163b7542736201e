import Testing
import TileCL
import TileCLTestSupport

@Suite("Attention inputs")
struct AttentionInputTests {
  private static func problem() throws -> AttentionDescriptor {
    try AttentionDescriptor(
      batch: 2, queryHeads: 2, queryLength: 6, headDimension: 4,
      score: AttentionScore(
        hasALiBi: true, bias: .init(), relativePositions: RelativePositions(TokenGrid(sides: [2, 3])),
        modification: ScoreModification(
          "all kinds", captures: [.float("number"), .int32("count"), .tensor("values"), .tensor("places", .int32)],
          source: "return score * number + values[places[query] % count];",
          reference: { score, pair, captures in
            score * captures.scalar("number")
              + captures["values", Int(captures["places", pair.query]) % Int(captures.scalar("count"))]
          }), hasSinks: true))
  }

  private static func sample() throws -> AttentionSample {
    AttentionSample(
      try problem(), captures: ["number": [2], "count": [3], "values": [1, 2, 3], "places": [5, 4, 3, 2, 1, 0]])
  }

  /// A change to valid inputs, the argument that is then at fault, and a part of what is allowed.
  struct Fault: Sendable {
    var argument: String
    var allowed: String
    var change: @Sendable (inout AttentionInputs<Float>, Engine) throws -> Void

    init(
      _ argument: String, _ allowed: String,
      _ change: @escaping @Sendable (inout AttentionInputs<Float>, Engine) throws -> Void
    ) {
      self.argument = argument
      self.allowed = allowed
      self.change = change
    }
  }

  static let faults: [Fault] = [
    Fault("bias", "[1, 2, 6, 6]") { inputs, _ in inputs.bias = nil },
    Fault("bias", "[1, 2, 6, 6]") { inputs, engine in
      inputs.bias = try engine.zeros(shape: [2, 2, 6, 6])
    },
    Fault("bias", "stride of 1") { inputs, engine in
      inputs.bias = try engine.zeros(Float.self, shape: [1, 2, 6, 6]).transposed(2, 3)
    },
    Fault("alibiSlopes", "[2]") { inputs, _ in inputs.alibiSlopes = nil },
    Fault("alibiSlopes", "[2]") { inputs, engine in inputs.alibiSlopes = try engine.zeros(shape: [3]) },
    Fault("sinks", "[2]") { inputs, _ in inputs.sinks = nil },
    Fault("relativeBias", "[2, 15]") { inputs, _ in inputs.relativeBias = nil },
    Fault("relativeBias", "[2, 15]") { inputs, engine in inputs.relativeBias = try engine.zeros(shape: [2, 14]) },
    Fault("relativeBias", "contiguous") { inputs, engine in
      inputs.relativeBias = try engine.zeros(Float.self, shape: [15, 2]).transposed(0, 1)
    },
    Fault("captures", "number, count, values, places") { inputs, _ in inputs.captures["size"] = .int32(1) },
    Fault("captures[\"number\"]", "float") { inputs, _ in inputs.captures["number"] = nil },
    Fault("captures[\"number\"]", "a number") { inputs, _ in inputs.captures["number"] = .float(.nan) },
    Fault("captures[\"count\"]", "int32") { inputs, _ in inputs.captures["count"] = .float(1) },
    Fault("captures[\"places\"]", "int32") { inputs, engine in
      inputs.captures["places"] = .floats(try engine.zeros(shape: [6]))
    },
    Fault("captures[\"values\"]", "contiguous") { inputs, engine in
      inputs.captures["values"] = .floats(try engine.zeros(Float.self, shape: [3, 2]).transposed(0, 1))
    },
  ]

  @Test("that do not fit the descriptor are named, with what is allowed", arguments: TestEngines.all, faults.indices)
  func misfits(engine: Engine, index: Int) throws {
    let plan = try engine.makePlan(Self.problem())
    var inputs: AttentionInputs<Float> = try Self.sample().inputs(on: engine)
    #expect(try plan.run(inputs).output.count == 96)
    try Self.faults[index].change(&inputs, engine)
    let error = #expect(throws: TileCLError.self) { _ = try plan.run(inputs) }
    #expect(error?.code == .invalidArgument)
    #expect(error?.argument == Self.faults[index].argument)
    #expect(error?.message.contains(Self.faults[index].allowed) == true, "\(String(describing: error))")
  }

  @Test("Captures of another kind are said in words", arguments: TestEngines.all)
  func captureKinds(engine: Engine) throws {
    let plan = try engine.makePlan(Self.problem())
    let floats = try engine.zeros(Float.self, shape: [2, 3])
    let integers = try engine.zeros(Int32.self, shape: [6])
    let faults: [(String, AttentionInputs<Float>.CaptureValue?, found: String, allowed: String)] = [
      ("number", nil, "is nil;", "a float"), ("number", .int32(4), "is the int32 4;", "a float"),
      ("number", .floats(floats), "is a float32 tensor of shape [2, 3];", "a float"),
      ("count", .float(1.5), "is the float 1.5;", "an int32"),
      ("values", .integers(integers), "is an int32 tensor of shape [6];", "a tensor of float32"),
      ("places", .floats(floats), "is a float32 tensor of shape [2, 3];", "a tensor of int32"),
    ]
    for (name, value, found, allowed) in faults {
      var inputs: AttentionInputs<Float> = try Self.sample().inputs(on: engine)
      inputs.captures[name] = value
      let error = #expect(throws: TileCLError.self) { _ = try plan.run(inputs) }
      #expect(error?.message == "captures[\"\(name)\"] \(found) allowed: \(allowed)")
    }
  }

  @Test("that the descriptor does not ask for are refused", arguments: TestEngines.all)
  func unexpected(engine: Engine) throws {
    let plan = try engine.makePlan(AttentionDescriptor(batch: 2, queryHeads: 2, queryLength: 6, headDimension: 4))
    let full: AttentionInputs<Float> = try Self.sample().inputs(on: engine)
    let plain = AttentionInputs(query: full.query, key: full.key, value: full.value)
    #expect(try plan.run(plain).output.count == 96)
    let changes: [(String, (inout AttentionInputs<Float>) -> Void)] = [
      ("bias", { $0.bias = full.bias }), ("alibiSlopes", { $0.alibiSlopes = full.alibiSlopes }),
      ("sinks", { $0.sinks = full.sinks }), ("relativeBias", { $0.relativeBias = full.relativeBias }),
      ("captures", { $0.captures = full.captures }),
    ]
    for (argument, change) in changes {
      var inputs = plain
      change(&inputs)
      let error = #expect(throws: TileCLError.self) { _ = try plan.run(inputs) }
      #expect(error?.argument == argument)
    }
  }

  @Test("of another engine are refused", .enabled(if: TestEngines.hasOpenCL))
  func wrongEngine() throws {
    let engine = try #require(TestEngines.openCL)
    let plan = try engine.makePlan(Self.problem())
    let inputs: AttentionInputs<Float> = try Self.sample().inputs(on: engine)
    let foreign: AttentionInputs<Float> = try Self.sample().inputs(on: .reference)
    let changes: [(String, (inout AttentionInputs<Float>) -> Void)] = [
      ("query", { $0.query = foreign.query }), ("bias", { $0.bias = foreign.bias }),
      ("sinks", { $0.sinks = foreign.sinks }), ("relativeBias", { $0.relativeBias = foreign.relativeBias }),
      ("captures[\"values\"]", { $0.captures["values"] = foreign.captures["values"] }),
      ("captures[\"places\"]", { $0.captures["places"] = foreign.captures["places"] }),
    ]
    for (argument, change) in changes {
      var mixed = inputs
      change(&mixed)
      let error = #expect(throws: TileCLError.self) { _ = try plan.run(mixed) }
      #expect(error?.argument == argument)
      #expect(error?.message.contains("engine") == true)
    }
  }

  @Test("Numbers of splits that nobody can serve are refused", arguments: TestEngines.all)
  func splits(engine: Engine) throws {
    let problem = try AttentionDescriptor(queryHeads: 1, queryLength: 4, headDimension: 4)
    for splits in [0, -1, 4097] {
      let error = #expect(throws: TileCLError.self) { try engine.makePlan(problem, keySplits: splits) }
      #expect(error?.argument == "keySplits")
      #expect(error?.message.contains("1...4096") == true)
    }
  }
}
