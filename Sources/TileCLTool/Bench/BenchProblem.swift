import TileCL

/// A problem of an operation that `tilecl bench` times.
protocol BenchProblem {
  /// The problem in numbers, from which other programs build the same one.
  associatedtype Specification: Encodable

  /// The problems for a kind of device, those whose name holds `text` if it is given.
  static func all(for kind: Device.Kind, containing text: String?) throws -> [Self]

  /// A name of its own among the problems of its operation.
  var name: String { get }
  var specification: Specification { get }
  /// Multiplications and additions of one run, as the formula counts them.
  var operations: Double { get }
  /// The bytes of one run if every tensor is moved once.
  var bytes: Double { get }

  /// Compiles what a run needs.
  func prepare(on engine: Engine) throws
  /// Makes tensors and plans, with the same values on each engine.
  func runner(on engine: Engine) throws -> BenchRunner
}

/// A problem on one engine, ready to run.
struct BenchRunner {
  /// What computes, which is another variant than asked for where that does not take the problem.
  let variant: String
  let tuning: String?
  /// For compiling, or loading from the cache.
  let planSeconds: Double
  let run: () throws -> Void
  let values: () throws -> BenchValues
}
