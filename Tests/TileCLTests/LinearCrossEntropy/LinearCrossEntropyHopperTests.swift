import Testing

@testable import TileCL

@Suite("The Hopper kernel of linear cross-entropy")
struct LinearCrossEntropyHopperTests {
  private static func problem(
    _ tokens: Int = 8192, _ depth: Int = 2304, _ vocabulary: Int = 256_000, dtype: DType = .bfloat16,
    logits: LinearCrossEntropyLogits = LinearCrossEntropyLogits(),
    loss: LinearCrossEntropyLoss = LinearCrossEntropyLoss(), outputs: LinearCrossEntropyOutputs = []
  ) throws -> LinearCrossEntropyDescriptor {
    try LinearCrossEntropyDescriptor(
      tokens: tokens, hiddenSize: depth, vocabulary: vocabulary, dtype: dtype, logits: logits, loss: loss,
      outputs: outputs)
  }

  @Test("What it does not take has a reason")
  func objections() throws {
    #expect(try LinearCrossEntropyMatrixScope.objection(Self.problem()) == nil)
    for (problem, part) in try [
      (Self.problem(dtype: .float32), "float32"), (Self.problem(17, 12, 30), "rows of 12"),
      (Self.problem(outputs: .entropy), "entropy"),
      (Self.problem(loss: LinearCrossEntropyLoss(hasClassWeights: true)), "class weights"),
    ] {
      #expect(try #require(LinearCrossEntropyMatrixScope.objection(problem)).contains(part))
    }
  }

  @Test("What the backward kernels do not take besides has a reason")
  func backwardObjections() throws {
    func objection(_ problem: LinearCrossEntropyDescriptor, audits: Bool = false) -> String? {
      LinearCrossEntropyMatrixScope.backwardObjection(problem, audits: audits)
    }
    #expect(try objection(Self.problem(outputs: .gradientTiles)) == nil)
    #expect(try objection(Self.problem(), audits: true) == "an audit")
    #expect(try objection(Self.problem(dtype: .float32)) != nil)
  }

  @Test("Tiles of gradients fit local memory, have names of their own, and leave registers for options")
  func gradientTiles() throws {
    let tunings = LinearCrossEntropyHopperGradientTiles.tunings
    func usual(_ problem: LinearCrossEntropyDescriptor) throws -> LinearCrossEntropyGradientTiles {
      let fitting = tunings.filter { LinearCrossEntropyHopperGradientTiles.fits($0, problem) }
      return try #require(
        LinearCrossEntropyGradientTiles.choice(problem, among: fitting, budget: nil, computeUnits: 132, forced: nil))
    }
    for tiles in tunings {
      for part in [tiles.logits, tiles.classifier, tiles.embeddings] {
        #expect(part.byteCount + 1024 <= 227 << 10, "\(tiles.name)")
        #expect(part.columns % 64 == 0)
      }
      // Pieces of results need room of their own.
      for part in [tiles.logits, tiles.classifier] {
        #expect(try #require(part.defines["STAGING_BYTES"]) > 0)
      }
      #expect(tiles.waveUnit % tiles.logits.columns == 0 && tiles.waveUnit % tiles.classifier.rows == 0)
    }
    #expect(Set(tunings.map(\.name)).count == tunings.count)
    for (problem, most) in try [
      (Self.problem(), 192), (Self.problem(logits: LinearCrossEntropyLogits(hasBias: true)), 128),
      (Self.problem(logits: LinearCrossEntropyLogits(softcap: 30)), 128),
    ] {
      #expect(try usual(problem).logits.sums <= most)
    }
    let smoothed = try Self.problem(loss: LinearCrossEntropyLoss(labelSmoothing: 0.1))
    #expect(try usual(smoothed).classifier.sums <= 128)
  }

  @Test(
    "Waves cover the vocabulary in whole units and stay within the budget, unless one unit does not",
    arguments: [1, 129, 8192, 100_000], [1, 17, 50_264, 256_000])
  func waves(tokens: Int, vocabulary: Int) throws {
    let problem = try Self.problem(tokens, 64, vocabulary)
    for tiles in LinearCrossEntropyHopperGradientTiles.tunings + LinearCrossEntropyAmpereGradientTiles.tunings {
      for budget in [0, 1 << 20, 1 << 28, nil] {
        let waves = LinearCrossEntropyGradientWaves(problem, tiles, budget: budget, computeUnits: 132)
        let limit = budget ?? LinearCrossEntropyGradientWaves.usualBudget
        #expect(waves.size % tiles.waveUnit == 0)
        #expect(waves.byteCount <= limit || waves.size == tiles.waveUnit)
        #expect(waves.ranges.map(\.count).reduce(0, +) == vocabulary)
        #expect(waves.ranges.first?.lowerBound == 0 && waves.ranges.last?.upperBound == vocabulary)
        #expect(waves.cost > 0)
      }
    }
  }

  @Test("Logits are kept of as many classes as the budget has room for: whole units, or all")
  func keptLogits() throws {
    let problem = try Self.problem(100, 64, 5000)
    for (budget, classes) in [
      (0, 0), (400 * 767, 0), (400 * 1535, 768), (400 * 5055, 4608), (400 * 5056, 5056), (.max, 5056),
    ] {
      #expect(LinearCrossEntropyKeptLogits.classes(problem, budget: budget, tile: 768) == classes)
    }
    for tiles in LinearCrossEntropyHopperGradientTiles.tunings { #expect(768 % tiles.waveUnit == 0, "\(tiles.name)") }
    #expect(LinearCrossEntropyHopperTiles.tunings.allSatisfy { $0.keptUnit == 768 })
  }

  @Test("Tiles fit local memory, have names of their own, and leave registers for options")
  func tiles() throws {
    for tiles in LinearCrossEntropyHopperTiles.tunings {
      #expect(tiles.tileByteCount + 1024 <= 227 << 10, "\(tiles.name)")
    }
    #expect(
      Set(LinearCrossEntropyHopperTiles.tunings.map(\.name)).count == LinearCrossEntropyHopperTiles.tunings.count)
    func choice(_ problem: LinearCrossEntropyDescriptor) -> String {
      LinearCrossEntropyHopperTiles.choice(problem, computeUnits: 132, forced: nil).name
    }
    #expect(try choice(Self.problem()) == "t256-v192-s3")
    #expect(try choice(Self.problem(logits: LinearCrossEntropyLogits(hasBias: true))) != "t256-v192-s3")
    #expect(
      try choice(
        Self.problem(
          logits: LinearCrossEntropyLogits(hasBias: true, softcap: 30),
          loss: LinearCrossEntropyLoss(labelSmoothing: 0.1), outputs: .argmax)) == "t128-v192-s5")
  }

  @Test(
    "Splits cover the vocabulary, keep units busy and stay within 8 MiB",
    arguments: [1, 100, 129, 1000, 8192, 100_000], [1, 17, 4099, 50_264, 256_000])
  func splits(tokens: Int, vocabulary: Int) throws {
    let problem = try Self.problem(tokens, 64, vocabulary)
    for tiles in LinearCrossEntropyHopperTiles.tunings {
      for units in [1, 16, 132] {
        let split = LinearCrossEntropyMatrixSplit(problem, tiles, computeUnits: units)
        #expect(split.classesPerSplit % tiles.columns == 0)
        #expect(split.splits * split.classesPerSplit >= vocabulary)
        #expect((split.splits - 1) * split.classesPerSplit < vocabulary)
        let tokenTiles = (tokens + tiles.rows - 1) / tiles.rows
        #expect(split.items == tokenTiles * split.splits)
        let bytes = 12 * split.splits * tokens
        #expect(bytes <= 8 << 20 || split.items <= units + tokenTiles)
        // What units do, one tile after the other, beside what there is to do.
        let classTiles = (vocabulary + tiles.columns - 1) / tiles.columns
        let rounds = (split.items + units - 1) / units
        if tokenTiles * classTiles >= 40 * units {
          let done = Double(rounds * units * split.classesPerSplit / tiles.columns)
          #expect(done <= 1.1 * Double(tokenTiles * classTiles))
        }
      }
    }
  }
}
