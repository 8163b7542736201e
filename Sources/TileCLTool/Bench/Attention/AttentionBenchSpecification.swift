import TileCL

/// A problem of attention in numbers.
struct AttentionBenchSpecification: Encodable {
  let problem: String
  let pass: AttentionBenchProblem.Pass
  let batch: Int
  let queryHeads: Int
  let keyValueHeads: Int
  let queryLength: Int
  let keyLength: Int
  let headDimension: Int
  let dtype: String
  let mask: AttentionBenchMask
  let score: AttentionBenchScore
  let softcap: Float
  let visitedPairs: Int
  let operations: Double
  let bytes: Double

  init(_ problem: AttentionBenchProblem) {
    let descriptor = problem.descriptor
    self.problem = problem.name
    pass = problem.pass
    batch = descriptor.batch
    queryHeads = descriptor.queryHeads
    keyValueHeads = descriptor.keyValueHeads
    queryLength = descriptor.queryLength
    keyLength = descriptor.keyLength
    headDimension = descriptor.headDimension
    dtype = descriptor.dtype.rawValue
    mask = problem.mask
    score = problem.score
    softcap = AttentionBenchScore.cap
    visitedPairs = problem.visitedPairs
    operations = problem.operations
    bytes = problem.bytes
  }
}
