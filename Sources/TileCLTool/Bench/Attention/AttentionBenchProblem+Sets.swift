import TileCL

extension AttentionBenchProblem {
  static func all(for kind: Device.Kind, containing text: String?) throws -> [AttentionBenchProblem] {
    // Masks take a while to build: only those that are asked for.
    let drafts = kind == .cpu ? cpu : gpu
    return try drafts.filter { draft in text.map(draft.name.contains) ?? true }.map { try $0.problem() }
  }

  /// A name and what makes the problem of it.
  private struct Draft {
    let name: String
    private let make: (String) throws -> AttentionBenchProblem

    init(_ name: String, _ make: @escaping (String) throws -> AttentionBenchProblem) {
      self.name = name
      self.make = make
    }

    func problem() throws -> AttentionBenchProblem { try make(name) }
  }

  private static var gpu: [Draft] {
    lengths + dimensions + sparse + backward + decode + scores + sparsity
  }

  /// Dense and causal, 16384 tokens in all.
  private static var lengths: [Draft] {
    [128, 64].flatMap { dimension in
      [(16384, 1), (4096, 4), (1024, 16)].flatMap { length, batch in
        [("dense", AttentionBenchMask.none), ("causal", .causal)].map { kind, mask in
          Draft("\(kind) D\(dimension) S\(length)") {
            try .init($0, batch: batch, length: length, dimension: dimension, mask: mask)
          }
        }
      }
    }
  }

  private static var dimensions: [Draft] {
    let others = [96, 192, 256].flatMap { dimension in
      [("dense", AttentionBenchMask.none), ("causal", .causal)].map { kind, mask in
        Draft("\(kind) D\(dimension) S16384") { try .init($0, length: 16384, dimension: dimension, mask: mask) }
      }
    }
    let grouped = Draft("gqa 32/8 causal D128 S8192") {
      try .init($0, heads: (32, 8), length: 8192, dimension: 128, mask: .causal)
    }
    return others + [grouped]
  }

  private static var sparse: [Draft] {
    let fused = AttentionBenchMask.fusedWindows(side: 256, window: 16, block: 128)
    func tiles(_ queryBlock: Int, _ keyBlock: Int, isFused: Bool) -> AttentionBenchMask {
      .grid(side: 128, radius: 8, tile: 8, queryBlock: queryBlock, keyBlock: keyBlock, isFused: isFused)
    }
    return [
      Draft("window 1024 D128 S16384") {
        try .init($0, length: 16384, dimension: 128, mask: .chunks(size: 1024, block: 128))
      },
      Draft("hwa 256x256 w16 D64") {
        try .init($0, length: 65536, dimension: 64, mask: .chunks(size: 256, block: 128))
      },
      Draft("hwa 256x256 w16 D64, fused order") { try .init($0, length: 65536, dimension: 64, mask: fused) },
      Draft("hsa 128x128 w32 D64") {
        try .init($0, length: 16384, dimension: 64, mask: .band(reach: 512, block: 128))
      },
      Draft("sliding 17x17 of 128x128 D64") {
        try .init($0, length: 16384, dimension: 64, mask: tiles(128, 64, isFused: false))
      },
      Draft("sliding 17x17 of 128x128 D64, blocks of 64") {
        try .init($0, length: 16384, dimension: 64, mask: tiles(64, 64, isFused: false))
      },
      Draft("sliding 17x17 of 128x128 D64, fused order") {
        try .init($0, length: 16384, dimension: 64, mask: tiles(128, 64, isFused: true))
      },
    ]
  }

  private static var backward: [Draft] {
    let whole = [128, 64].flatMap { dimension in
      [("dense", AttentionBenchMask.none), ("causal", .causal)].map { kind, mask in
        Draft("backward \(kind) D\(dimension) S16384") {
          try .init($0, pass: .backward, length: 16384, dimension: dimension, mask: mask)
        }
      }
    }
    let windows = Draft("backward hwa 128x128 w32 D128") {
      try .init($0, pass: .backward, length: 16384, dimension: 128, mask: .chunks(size: 1024, block: 128))
    }
    return whole + [windows]
  }

  private static var decode: [Draft] {
    [1, 16].map { batch in
      Draft("decode 32/8 D128 keys 32768 batch \(batch)") {
        try .init($0, batch: batch, heads: (32, 8), queryLength: 1, length: 32768, dimension: 128)
      }
    }
  }

  /// Beside "dense D128 S16384".
  private static var scores: [Draft] {
    [AttentionBenchScore.softcapOption, .softcapCode, .alibiOption, .alibiCode].map { score in
      Draft("\(score.rawValue) D128 S16384") { try .init($0, length: 16384, dimension: 128, score: score) }
    }
  }

  /// Beside the dense problems of their lengths.
  private static var sparsity: [Draft] {
    let dense = Draft("dense D128 S8192") { try .init($0, batch: 2, length: 8192, dimension: 128) }
    let blocks = [(8192, 100), (8192, 95), (8192, 10), (8192, 5), (16384, 10), (16384, 5)].map { length, percent in
      Draft("random \(100 - percent) % sparse D128 S\(length)") {
        try .init(
          $0, batch: 16384 / length, length: length, dimension: 128,
          mask: .random(densityPercent: percent, block: 128))
      }
    }
    return [dense] + blocks
  }

  private static var cpu: [Draft] {
    [DType.float32, .bfloat16].flatMap { dtype in
      [128, 64].flatMap { dimension in
        let masks: [(String, AttentionBenchMask)] = [
          ("dense", .none), ("causal", .causal), ("hwa 32x64 w16", .chunks(size: 256, block: 64)),
          ("sliding window 257", .band(reach: 128, block: 64)),
        ]
        let forward = masks.map { (AttentionBenchProblem.Pass.forward, $0.0, $0.1) }
        let all = forward + masks.prefix(2).map { (.backward, "backward \($0.0)", $0.1) }
        return all.map { pass, kind, mask in
          Draft("\(dtype.rawValue) \(kind) D\(dimension) S2048") {
            try .init(
              $0, pass: pass, heads: (4, 4), length: 2048, dimension: dimension, dtype: dtype, mask: mask)
          }
        }
      }
    }
  }
}
