import TileCL

/// Checks of matrix products.
public enum MatmulCases {
  public static let all: [ConformanceCase] =
    products + options + alignedRows + fewRows + [infinities, rerun, unreadDestination]

  /// Every dtype and every side transposed or not, at sizes that fill no tile, then single rows and columns.
  private static let products: [ConformanceCase] = {
    let sizes = [(1, 1, 1), (3, 5, 2), (17, 31, 33), (33, 16, 70), (127, 129, 65), (200, 97, 257)]
    var cases: [ConformanceCase] = []
    for dtype in DType.floatingPointCases {
      for (transposeA, transposeB) in [(false, false), (false, true), (true, false), (true, true)] {
        for (rows, columns, depth) in sizes {
          let trial = MatmulTrial(
            rows: rows, columns: columns, depth: depth, transposeA: transposeA, transposeB: transposeB,
            seed: UInt64(100 + cases.count))
          cases.append(trial.conformance(dtype, isSmall: rows * columns * depth <= 40_000))
        }
      }
    }
    for (rows, columns, depth) in [(1, 300, 513), (300, 1, 513), (2, 64, 1000), (1, 1, 4099)] {
      for transposeB in [false, true] {
        let trial = MatmulTrial(rows: rows, columns: columns, depth: depth, transposeB: transposeB, seed: 77)
        cases.append(trial.conformance(.float32, isSmall: false))
      }
    }
    return cases
  }()

  /// Factors, biases, batches, results of another type, views, and depths that several work-groups share.
  private static let options: [ConformanceCase] = DType.floatingPointCases.flatMap { dtype in
    [
      MatmulTrial(rows: 19, columns: 37, depth: 41, alpha: 0.5, beta: -2, seed: 2),
      MatmulTrial(rows: 21, columns: 35, depth: 18, transposeB: true, alpha: 3, hasBias: true, seed: 3),
      MatmulTrial(rows: 9, columns: 65, depth: 30, transposeA: true, beta: 1, hasBias: true, isSingle: true, seed: 4),
      MatmulTrial(rows: 10, columns: 12, depth: 14, batch: 5, hasBias: true, seed: 5),
      MatmulTrial(rows: 35, columns: 34, depth: 33, batch: 3, transposeA: true, transposeB: true, beta: 0.25, seed: 6),
      MatmulTrial(rows: 18, columns: 20, depth: 22, isSingle: true, seed: 7),
      MatmulTrial(rows: 13, columns: 29, depth: 47, transposeB: true, beta: 1, areViews: true, seed: 8),
      MatmulTrial(
        rows: 40, columns: 11, depth: 23, batch: 2, transposeA: true, hasBias: true, isSingle: true, areViews: true,
        seed: 9),
      MatmulTrial(rows: 5, columns: 7, depth: 700, transposeA: true, alpha: 2, beta: 1, hasBias: true, seed: 10),
      MatmulTrial(rows: 6, columns: 17, depth: 5000, batch: 2, transposeA: true, isSingle: true, seed: 11),
    ].map { $0.conformance(dtype, isSmall: $0.depth <= 1000) }
  }

  /// Rows that copies of 16 bytes reach, as kernels for matrix units want them, at sizes that fill no tile.
  private static let alignedRows: [ConformanceCase] = [DType.float16, .bfloat16].flatMap { dtype in
    [
      MatmulTrial(rows: 264, columns: 328, depth: 200, seed: 20),
      MatmulTrial(rows: 200, columns: 264, depth: 520, transposeB: true, seed: 21),
      MatmulTrial(rows: 136, columns: 72, depth: 71, transposeA: true, seed: 22),
      MatmulTrial(rows: 328, columns: 129, depth: 136, transposeA: true, transposeB: true, seed: 23),
      MatmulTrial(rows: 65, columns: 257, depth: 72, transposeB: true, alpha: -1.5, beta: 2, hasBias: true, seed: 24),
      MatmulTrial(rows: 130, columns: 192, depth: 64, alpha: 2, beta: 1, seed: 25),
      MatmulTrial(rows: 72, columns: 208, depth: 128, transposeB: true, hasBias: true, isSingle: true, seed: 26),
      MatmulTrial(rows: 144, columns: 64, depth: 40, batch: 3, transposeA: true, beta: -1, isSingle: true, seed: 27),
      MatmulTrial(rows: 128, columns: 256, depth: 8, batch: 2, transposeB: true, areViews: true, seed: 28),
      MatmulTrial(rows: 1, columns: 512, depth: 104, transposeB: true, seed: 29),
      // More tiles than a device has units, so that groups take several.
      MatmulTrial(rows: 2200, columns: 1504, depth: 24, transposeB: true, seed: 30),
    ].map { $0.conformance(dtype, isSmall: false) }
  }

  /// One to eight rows: with and without rows that loads of 16 bytes reach, depths that fill no vector, no step and no
  /// tile of A, columns likewise, and all that may take part in a result; every side transposed or not, in fp32 all of
  /// it, in the others by halves.
  private static let fewRows: [ConformanceCase] = DType.floatingPointCases.flatMap { dtype in
    var trials: [MatmulTrial] = []
    let isWhole = dtype == .float32
    for (transposeA, transposeB) in [(false, false), (false, true), (true, false), (true, true)]
    where isWhole || transposeA == (dtype == .float16) {
      for (rows, columns, depth) in [(1, 75, 130), (2, 72, 64), (3, 40, 1032), (5, 264, 77), (8, 136, 2056)]
      where isWhole || rows != 2 && rows != 5 {
        trials.append(
          MatmulTrial(
            rows: rows, columns: columns, depth: depth, transposeA: transposeA, transposeB: transposeB,
            seed: UInt64(200 + trials.count)))
      }
      trials.append(
        MatmulTrial(
          rows: 6, columns: 48, depth: 56, batch: 3, transposeA: transposeA, transposeB: transposeB, alpha: -0.5,
          beta: 2, hasBias: true, areViews: true, seed: 230))
      guard isWhole || transposeB else { continue }
      trials += [
        MatmulTrial(
          rows: 7, columns: 43, depth: 53, batch: 2, transposeA: transposeA, transposeB: transposeB, alpha: 3, beta: -1,
          isSingle: true, areViews: true, seed: 231),
        MatmulTrial(
          rows: 4, columns: 9, depth: 9000, transposeA: transposeA, transposeB: transposeB, hasBias: true, seed: 232),
      ]
    }
    trials += [
      MatmulTrial(rows: 1, columns: 4100, depth: 24, transposeB: true, hasBias: true, seed: 233),
      MatmulTrial(rows: 1, columns: 4104, depth: 24, beta: 1, seed: 234),
      MatmulTrial(rows: 8, columns: 3, depth: 1, transposeB: true, seed: 235),
    ]
    return trials.map { $0.conformance(dtype, isSmall: $0.rows * $0.columns * $0.depth <= 20_000) }
  }

  /// An infinite or NaN element reaches exactly the sums it takes part in.
  private static let infinities = ConformanceCase(operation: .matmul, name: "infinities", isSmall: true) { engine in
    try [(20, false), (5, false), (5, true)].map { rows, transposeB in
      var values = SeededValues(seed: 12)
      var a = values.normals(rows * 30, as: Float.self)
      var b = values.normals(30 * 25, as: Float.self)
      a[3 * 30 + 29] = .infinity
      a[(rows - 1) * 30] = .nan
      b[transposeB ? 24 * 30 + 7 : 7 * 25 + 24] = -.infinity
      let problem = try MatmulDescriptor(rows: rows, columns: 25, depth: 30, transposeB: transposeB)
      let candidate = try engine.makePlan(problem).run(
        engine.tensor(a, shape: problem.aShape), engine.tensor(b, shape: problem.bShape))
      let oracle = try Reference.matmul(problem, a: a, b: b)
      return Comparison.floating(
        "product of \(rows) rows", candidate: try candidate.array(), oracle: oracle,
        baseline: oracle.map { Float($0) }, dtype: .float32)
    }
  }

  private static let rerun = ConformanceCase(operation: .matmul, name: "rerun", isSmall: true) { engine in
    var comparisons: [Comparison] = []
    for (rows, columns, depth) in [(65, 33, 40), (4, 6, 900)] {
      var values = SeededValues(seed: 13)
      let a = try engine.tensor(values.normals(depth * rows, as: Float.self), shape: [depth, rows])
      let b = try engine.tensor(values.normals(depth * columns, as: Float.self), shape: [depth, columns])
      let plan = try engine.makePlan(
        MatmulDescriptor(rows: rows, columns: columns, depth: depth, transposeA: true))
      let first = try plan.run(a, b).array().map(\.bitPattern)
      for run in 1...2 {
        comparisons.append(
          .exact("run \(run)", candidate: try plan.run(a, b).array().map(\.bitPattern), expected: first))
      }
    }
    return comparisons
  }

  /// With a beta of 0, what C held is not read: NaN there must not reach the result.
  private static let unreadDestination = ConformanceCase(
    operation: .matmul, name: "unread-destination", isSmall: true
  ) { engine in
    let plan = try engine.makePlan(MatmulDescriptor(rows: 5, columns: 9, depth: 3))
    let a = try engine.tensor((0..<15).map { Float($0) }, shape: [5, 3])
    let b = try engine.tensor((0..<27).map { Float($0) }, shape: [3, 9])
    let c = try engine.tensor([Float](repeating: .nan, count: 45), shape: [5, 9])
    return [
      .exact("product", candidate: try plan.run(a, b, into: c).array(), expected: try plan.run(a, b).array())
    ]
  }
}
