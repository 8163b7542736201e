/// What `tilecl bench` prints as JSON.
struct BenchReport: Encodable {
  /// A problem that could not be timed.
  struct Failure: Encodable {
    let problem: String
    let error: String
  }

  let roofs: BenchRoofs?
  var results: [BenchResult] = []
  var failures: [Failure] = []
}
