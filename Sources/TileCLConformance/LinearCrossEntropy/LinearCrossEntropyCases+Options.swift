import TileCL

extension LinearCrossEntropyCases {
  /// Every option alone, every pair of them in some case, and all at once.
  static let optionCases: [ConformanceCase] = single + pairwise + allOn + outputs + quantized + alignedRows

  /// Rows that copies of 16 bytes reach, as kernels for matrix units want them, at sizes that fill no tile.
  private static let alignedRows: [ConformanceCase] = [DType.float16, .bfloat16].flatMap { dtype in
    [
      make("aligned", problem(300, 136, 1000) { _ in }, dtype),
      make("aligned", problem(1, 8, 5) { _ in }, dtype),
      make("aligned", problem(129, 64, 2500) { $0.reduction = .none }, dtype),
      // So many tiles that those of a split follow each other on a device with a hundred units and more.
      make("aligned", problem(700, 16, 20_000) { _ in }, dtype),
      make("aligned-peaked", problem(129, 128, 257) { $0.data = .peaked }, dtype),
      make("aligned-large", problem(129, 64, 300) { $0.data = .large }, dtype),
      make("aligned-wide-cap", problem(60, 64, 300) { $0.logits.softcap = 1000 }, dtype),
      make(
        "aligned-options",
        problem(200, 72, 700) {
          $0.logits.scale = 0.7
          $0.logits.hasBias = true
          $0.sequenceLength = 50
          $0.shift = 1
        }, dtype),
      make(
        "aligned-all-on",
        problem(140, 88, 900) {
          $0.logits = LinearCrossEntropyLogits(hasBias: true, scale: 1.3, softcap: 5)
          $0.loss = LinearCrossEntropyLoss(labelSmoothing: 0.1, zLossWeight: 0.01, hasTokenWeights: true)
          $0.outputs = [.argmax, .accuracy, .logProbabilities]
        }, dtype),
    ]
  }

  private static func problem(
    _ tokens: Int = 60, _ depth: Int = 21, _ classes: Int = 130, _ change: (inout LinearCrossEntropyProblem) -> Void
  ) -> LinearCrossEntropyProblem {
    var problem = LinearCrossEntropyProblem(
      tokens: tokens, hiddenSize: depth, vocabulary: classes, reduction: .mean, ignored: .some(-1))
    change(&problem)
    return problem
  }

  private static let options: [(name: String, change: @Sendable (inout LinearCrossEntropyProblem) -> Void)] = [
    ("bias", { $0.logits.hasBias = true }),
    ("scale", { $0.logits.scale = 0.7 }),
    ("softcap", { $0.logits.softcap = 2 }),
    ("smoothing", { $0.loss.labelSmoothing = 0.2 }),
    ("z-loss", { $0.loss.zLossWeight = 0.05 }),
    ("class-weights", { $0.loss.hasClassWeights = true }),
    ("token-weights", { $0.loss.hasTokenWeights = true }),
    (
      "shift",
      {
        $0.shift = 1
        $0.sequenceLength = $0.tokens / 3
      }
    ),
    ("probabilities", { $0.targets = .probabilities }),
    ("top", { $0.targets = .top(count: 5) }),
    (
      "upstream",
      {
        $0.usesUpstream = true
        $0.outputs.insert(.entropy)
      }
    ),
    ("tiles", { $0.outputs.insert(.gradientTiles) }),
    ("filter", { $0.filter = GradientFilter() }),
    ("none", { $0.reduction = .none }),
    ("sum", { $0.reduction = .sum }),
    ("divided", { $0.reduction = .divided }),
    ("quantized", { $0.quantization = try? QuantizationFormat(bits: .int8, groupSize: 32) }),
  ]

  /// Each in one type; all of them are on together in every type below.
  private static let single: [ConformanceCase] = options.enumerated().map { index, option in
    make(
      "option-\(option.name)", problem(24, 20, 100, option.change), DType.floatingPointCases[index % 3],
      withGradients: true)
  }

  /// Some sets of options that have every two of them together that can be, found by trying.
  private static let pairwise: [ConformanceCase] = {
    // Of these only the last of a set would count.
    let exclusive: [Set<String>] = [["probabilities", "top"], ["none", "sum", "divided"]]
    var random = SeededValues(seed: 29)
    var uncovered: Set<[Int]> = []
    for first in options.indices {
      for second in options.indices where second > first {
        let names: Set<String> = [options[first].name, options[second].name]
        if !exclusive.contains(where: names.isSubset(of:)) { uncovered.insert([first, second]) }
      }
    }
    func pairs(_ set: [Int]) -> [[Int]] { set.flatMap { a in set.filter { $0 > a }.map { [a, $0] } } }
    var cases: [ConformanceCase] = []
    while !uncovered.isEmpty, cases.count < 100 {
      var best: [Int] = []
      for _ in 0..<30 {
        let bits = random.integers(options.count, in: 0..<2)
        let choices = random.integers(exclusive.count, in: 0..<4)
        let set = options.indices.filter { option in
          for (group, choice) in zip(exclusive, choices) where group.contains(options[option].name) {
            return group.sorted().firstIndex(of: options[option].name) == choice
          }
          return bits[option] == 1
        }
        if pairs(set).count(where: uncovered.contains) > pairs(best).count(where: uncovered.contains) { best = set }
      }
      uncovered.subtract(pairs(best))
      let set = best
      cases.append(
        make(
          "pairs-\(cases.count)", problem { problem in for option in set { options[option].change(&problem) } },
          DType.floatingPointCases[cases.count % 3], withGradients: true))
    }
    return cases
  }()

  private static let allOn: [ConformanceCase] = [
    LinearCrossEntropyTargets.classes, .probabilities, .top(count: 4),
  ].enumerated().flatMap { index, targets in
    DType.floatingPointCases.map { dtype in
      make(
        "all-on-\(index)",
        problem(126, 123, 507) {
          $0.logits = LinearCrossEntropyLogits(hasBias: true, scale: 1.3, softcap: 5)
          $0.loss = LinearCrossEntropyLoss(
            labelSmoothing: 0.1, zLossWeight: 0.01, hasClassWeights: true, hasTokenWeights: true)
          $0.targets = targets
          $0.sequenceLength = 42
          $0.shift = 2
          $0.outputs = [.entropy, .argmax, .gradientTiles]
          if targets == .classes { $0.outputs.formUnion([.logProbabilities, .accuracy]) }
          $0.selectedCount = 3
          $0.topCount = 6
          $0.usesUpstream = true
          $0.filter = GradientFilter()
          $0.tileBudget = 1 << 17
        }, dtype, withGradients: true)
    }
  }

  private static let outputs: [ConformanceCase] = [
    LinearCrossEntropyProblem.Data.random, .equal, .large, .peaked,
  ].flatMap { data in
    DType.floatingPointCases.map { dtype in
      make(
        "outputs-\(data)",
        problem(130, 33, 700) {
          $0.data = data
          $0.outputs = [.logProbabilities, .entropy, .argmax, .accuracy]
          $0.selectedCount = 5
          $0.topCount = 10
        }, dtype)
    }
  }

  private static let quantized: [ConformanceCase] = QuantizationFormat.Bits.allCases.flatMap { bits in
    QuantizationFormat.Scheme.allCases.flatMap { scheme in
      [32, nil].map { groupSize in
        make(
          "quantized-int\(bits.rawValue)-\(scheme)-\(groupSize ?? 0)",
          problem(70, 77, 210) {
            $0.quantization = try? QuantizationFormat(bits: bits, groupSize: groupSize, scheme: scheme)
            $0.outputs = .gradientTiles
          }, bits == .int4 ? .bfloat16 : .float32, withGradients: true)
      }
    }
  }
}
