import Testing

@testable import TileCL

@Suite("The Ampere kernels of linear cross-entropy")
struct LinearCrossEntropyAmpereTests {
  private static func problem(
    _ tokens: Int = 8192, _ depth: Int = 2304, _ vocabulary: Int = 256_000, dtype: DType = .bfloat16,
    logits: LinearCrossEntropyLogits = LinearCrossEntropyLogits(),
    loss: LinearCrossEntropyLoss = LinearCrossEntropyLoss(), outputs: LinearCrossEntropyOutputs = []
  ) throws -> LinearCrossEntropyDescriptor {
    try LinearCrossEntropyDescriptor(
      tokens: tokens, hiddenSize: depth, vocabulary: vocabulary, dtype: dtype, logits: logits, loss: loss,
      outputs: outputs)
  }

  /// The name of the usual tiles on 108 multiprocessors.
  private static func choice(
    _ problem: LinearCrossEntropyDescriptor, localMemory: Int = 48 << 10, forced: String? = nil
  ) -> String? {
    LinearCrossEntropyAmpereTiles.choice(problem, computeUnits: 108, localMemory: localMemory, forced: forced)?.name
  }

  @Test("The row stands between Hopper's and those that are not for matrix units")
  func row() {
    for part in [KernelVariant.Part.forward, .backward] {
      let names = KernelTable.rows.filter { $0.operation == .linearCrossEntropy && $0.part == part }.map(\.name)
      #expect(names == ["hopper", "ampere", "avx512bf16", "avx512", "portable"])
    }
  }

  @Test("Tiles are as the kernel wants them and have names of their own")
  func tileSizes() {
    for tiles in LinearCrossEntropyAmpereTiles.tunings {
      #expect(tiles.localByteCount <= 96 << 10, "\(tiles.name)")
      #expect(tiles.warpRows % 16 == 0 && tiles.stages >= 2 && tiles.rasterRows >= 1, "\(tiles.name)")
      #expect(tiles.columns % tiles.keptColumns == 0 && tiles.keptColumns % 64 == 0, "\(tiles.name)")
      // What warps have seen of rows, five numbers at most, takes the place of the ring.
      #expect(20 * tiles.rows * tiles.columns / tiles.keptColumns <= tiles.localByteCount, "\(tiles.name)")
      #expect(tiles.rate > 0 && tiles.rate < 1, "\(tiles.name)")
    }
    #expect(LinearCrossEntropyAmpereTiles.tunings.count { $0.localByteCount <= 48 << 10 } == 3)
    #expect(
      Set(LinearCrossEntropyAmpereTiles.tunings.map(\.name)).count == LinearCrossEntropyAmpereTiles.tunings.count)
  }

  @Test("Options take registers from large tiles, and a name that does not fit is passed over")
  func usualTiles() throws {
    #expect(try Self.choice(Self.problem()) == "t96-v128-d32-s3")
    #expect(try Self.choice(Self.problem(), localMemory: 227 << 10) == "t96-v128-d32-s4")
    #expect(try Self.choice(Self.problem(), forced: "t64-v128-d32-s4") == "t64-v128-d32-s4")
    #expect(try Self.choice(Self.problem(), forced: "t192-v128-d32-s4") == "t96-v128-d32-s3")
    for problem in try [
      Self.problem(outputs: .argmax), Self.problem(loss: LinearCrossEntropyLoss(labelSmoothing: 0.1)),
      Self.problem(logits: LinearCrossEntropyLogits(hasBias: true, softcap: 30)),
    ] {
      for tiles in LinearCrossEntropyAmpereTiles.tunings {
        #expect(tiles.fits(problem) == (tiles.warpRows <= 32), "\(tiles.name)")
      }
      #expect(Self.choice(problem, forced: "t96-v128-d32-s3") != "t96-v128-d32-s3")
    }
    #expect(try Self.choice(Self.problem(), localMemory: 32 << 10) == nil)
  }

  @Test("Tiles of gradients are as the kernels want them, have names of their own, and fit 48 KiB where they must")
  func gradientTiles() throws {
    let tunings = LinearCrossEntropyAmpereGradientTiles.tunings
    for tiles in tunings {
      for part in [tiles.logits, tiles.classifier, tiles.embeddings] {
        #expect(part.rows % 64 == 0 && part.columns % 64 == 0 && part.sums <= 128, "\(tiles.name)")
        #expect(part.byteCount <= 96 << 10 && part.rasterRows >= 1, "\(tiles.name)")
      }
      // A cell is a warp's part of a tile, and what the forward pass keeps maxima of.
      #expect(tiles.logits.defines["WARP_ROWS"] == tiles.cell.tokens, "\(tiles.name)")
      #expect(tiles.logits.defines["WARP_COLUMNS"] == tiles.cell.classes, "\(tiles.name)")
      #expect(LinearCrossEntropyAmpereTiles.tunings.allSatisfy { $0.keptColumns == tiles.cell.classes })
      #expect(tiles.cell.tokens % LinearCrossEntropyAmpereProduct.stepDepth == 0, "\(tiles.name)")
      #expect(tiles.waveUnit % tiles.logits.columns == 0 && tiles.waveUnit % tiles.classifier.rows == 0)
    }
    #expect(Set(tunings.map(\.name)).count == tunings.count)
    for (kibibytes, fitting) in [(227, tunings[...]), (48, tunings.dropFirst()), (32, [])] {
      #expect(LinearCrossEntropyAmpereGradientTiles.fitting(localMemory: kibibytes << 10) == Array(fitting))
    }
  }

  @Test("Compile keys name the planes of statistics")
  func keys() throws {
    let plain = try Self.problem().matrixDefines
    #expect(plain["SMOOTHING"] == 0 && plain["ARGMAX"] == 0 && plain["TILE_MAXIMA"] == 0 && plain["SCALED"] == 0)
    let full = try Self.problem(
      logits: LinearCrossEntropyLogits(hasBias: true, scale: 0.5, softcap: 30),
      loss: LinearCrossEntropyLoss(labelSmoothing: 0.1), outputs: [.argmax, .gradientTiles]
    ).matrixDefines
    for key in ["HAS_BIAS", "SOFTCAP", "SCALED", "SMOOTHING", "ARGMAX", "TILE_MAXIMA"] {
      #expect(full[key] == 1, "\(key)")
    }
    let planes = [full["PLANE_WEIGHTED"], full["PLANE_ARGMAX"]]
    #expect(planes.allSatisfy { $0 ?? 0 >= 3 } && planes[0] != planes[1])
  }

  @Test(
    "Splits cover the vocabulary, keep units busy and stay within 8 MiB",
    arguments: [1, 100, 129, 1000, 8192, 100_000], [1, 17, 4099, 50_264, 256_000])
  func splits(tokens: Int, vocabulary: Int) throws {
    let problem = try Self.problem(tokens, 64, vocabulary)
    for tiles in LinearCrossEntropyAmpereTiles.tunings {
      for units in [1, 16, 108] {
        let split = LinearCrossEntropyMatrixSplit(problem, tiles, computeUnits: units)
        let groups = units * tiles.groupsPerUnit
        #expect(split.classesPerSplit % tiles.columns == 0)
        #expect(split.splits * split.classesPerSplit >= vocabulary)
        #expect((split.splits - 1) * split.classesPerSplit < vocabulary)
        let tokenTiles = (tokens + tiles.rows - 1) / tiles.rows
        #expect(split.items == tokenTiles * split.splits)
        #expect(12 * split.splits * tokens <= 8 << 20 || split.items <= groups + tokenTiles)
      }
    }
  }
}
