import TileCL

extension AttentionCases {
  /// Random problems, as many as `TILECL_FUZZ` says.
  static let fuzz: [AttentionCase] = fuzz(count: Result { try Environment.current().fuzzCount })

  /// Random problems, or one case that fails with the error that is in the place of their number.
  static func fuzz(count: Result<Int, any Error>) -> [AttentionCase] {
    switch count {
    case .success(let count): (0..<count).map(fuzzCase)
    case .failure(let error): [AttentionCase("fuzz") { throw error }]
    }
  }
}
