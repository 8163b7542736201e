import TileCL

/// Cases of distillation.
///
/// Losses and LSE are held to the bounds of fp32 for every dtype: inputs are exact, and everything after them is fp32.
/// Gradients are rounded to the dtype.
public enum LinearDistillationCases {
  public static let all: [ConformanceCase] = divergences + sizes + data + options

  private static let kinds: [(name: String, divergence: LinearDistillationDivergence)] = [
    ("forward", .forwardKL), ("reverse", .reverseKL), ("jensen-shannon", .jensenShannon(beta: 0.5)),
  ]

  private static func make(
    _ name: String, _ dtype: DType, isSmall: Bool = false, _ problem: LinearDistillationProblem
  ) -> ConformanceCase {
    ConformanceCase(operation: .linearDistillation, name: "\(name)-\(dtype)", isSmall: isSmall) {
      try LinearDistillationTrial(problem: problem).run(dtype, on: $0)
    }
  }

  private static func problem(
    _ tokens: Int = 37, _ depth: Int = 24, _ teacherDepth: Int = 40, _ classes: Int = 301,
    _ divergence: LinearDistillationDivergence = .forwardKL,
    _ change: (inout LinearDistillationProblem) -> Void = { _ in }
  ) -> LinearDistillationProblem {
    var problem = LinearDistillationProblem(
      tokens: tokens, hiddenSize: depth, teacherHiddenSize: teacherDepth, vocabulary: classes, divergence: divergence)
    change(&problem)
    return problem
  }

  /// Every divergence in every dtype, in one wave and in several.
  private static let divergences: [ConformanceCase] = kinds.flatMap { name, divergence in
    DType.floatingPointCases.flatMap { dtype in
      [
        make("\(name)-waves", dtype, problem(37, 24, 40, 301, divergence) { $0.waveSize = 64 }),
        make(
          "\(name)-wave", dtype, isSmall: true,
          problem(5, 6, 3, 21, divergence) { ($0.logits.hasBias, $0.reduction) = (true, .mean) }),
      ]
    }
  }

  /// Single elements, sizes on both sides of vectors and tiles, and more tokens than a block of a bias's sum.
  private static let sizes: [ConformanceCase] = [
    (1, 1, 1, 1), (1, 3, 2, 17), (3, 17, 5, 4099), (130, 8, 8, 65), (257, 5, 9, 33),
  ].enumerated().flatMap { index, size in
    kinds.map { name, divergence in
      make(
        "\(name)-\(size.0)x\(size.1)x\(size.2)x\(size.3)", DType.floatingPointCases[index % 3],
        problem(size.0, size.1, size.2, size.3, divergence) {
          $0.logits.hasBias = true
          $0.reduction = .mean
        })
    }
  }

  /// Sides that are equal, nearly so, or far apart, and classes that neither side has; in fp16 gradients that it could
  /// not hold.
  private static let data: [ConformanceCase] = kinds.enumerated().flatMap { index, kind in
    let dtypes = (0..<3).map { DType.floatingPointCases[(index + $0) % 3] }
    let (equal, close) = (problem(19, 12, 12, 130, kind.divergence), problem(33, 16, 16, 257, kind.divergence))
    var cases: [ConformanceCase] = []
    cases += [
      make("\(kind.name)-equal", dtypes[0], equal.with { ($0.data, $0.waveSize) = (.equal, 64) }),
      make("\(kind.name)-close", dtypes[1], close.with { $0.data = .close }),
      make("\(kind.name)-large", dtypes[2], problem(21, 20, 12, 140, kind.divergence) { $0.data = .large }),
      make(
        "\(kind.name)-masked", dtypes[0],
        problem(9, 10, 12, 41, kind.divergence) {
          ($0.data, $0.waveSize) = (.masked, 1)
          ($0.logits.hasBias, $0.teacherLogits.hasBias) = (true, true)
        }),
      make(
        "\(kind.name)-small-gradients", .float16,
        problem(150, 8, 8, 333, kind.divergence) { ($0.reduction, $0.lossScale) = (.mean, 1e-3) }),
      make(
        "\(kind.name)-loss-scale", .float16,
        problem(11, 8, 8, 97, kind.divergence) {
          ($0.reduction, $0.lossScale, $0.logits.hasBias) = (.divided, 20_000, true)
        }),
    ]
    return cases
  }

  private struct Options {
    var bias = false
    var softcap: Float? = nil
    var temperature: Float = 1
    var weights = false
    var ignored = false
    var square = true
    var views = false
    var reduction = LinearDistillationDescriptor.Reduction.none
    var parameters = LinearCrossEntropyParameters.all
  }

  /// Every pair of values of any two options that are on or off, and every other value with some of them.
  private static let options: [ConformanceCase] = [
    Options(),
    Options(bias: true, softcap: 3, temperature: 2, weights: true, square: false, reduction: .mean),
    Options(bias: true, temperature: 0.5, ignored: true, views: true, reduction: .mean),
    Options(softcap: 3, temperature: 0.5, weights: true, ignored: true, square: false, views: true, reduction: .sum),
    Options(bias: true, softcap: 3, weights: true, ignored: true, reduction: .divided),
    Options(bias: true, temperature: 2, weights: true, views: true, reduction: .sum, parameters: .bias),
    Options(temperature: 2, ignored: true, square: false, reduction: .divided, parameters: .classifier),
    Options(bias: true, softcap: 3, square: false, views: true, parameters: [.embeddings, .classifier]),
    Options(softcap: 3, temperature: 0.5, reduction: .mean, parameters: .embeddings),
  ].enumerated().flatMap { index, options in
    kinds.enumerated().map { place, kind in
      let isMixed = kind.divergence == .jensenShannon(beta: 0.5)
      return make(
        "options-\(index)-\(kind.name)", DType.floatingPointCases[(index + place) % 3],
        problem(29, 16, 11, 203, isMixed ? .jensenShannon(beta: 0.2) : kind.divergence) {
          $0.logits = .init(hasBias: options.bias, scale: options.bias ? 1.4 : -0.8, softcap: options.softcap)
          $0.teacherLogits = .init(hasBias: options.weights, scale: 1.2, softcap: options.ignored ? 4 : nil)
          ($0.temperature, $0.scalesBySquaredTemperature) = (options.temperature, options.square)
          ($0.hasTokenWeights, $0.hasIgnored, $0.areViews) = (options.weights, options.ignored, options.views)
          ($0.reduction, $0.parameters) = (options.reduction, options.parameters)
          $0.waveSize = index % 2 == 0 ? 128 : nil
        })
    }
  }
}

extension LinearDistillationProblem {
  /// A copy that is changed.
  fileprivate func with(_ change: (inout Self) -> Void) -> Self {
    var copy = self
    change(&copy)
    return copy
  }
}
