import Glibc
import Testing
import TileCL
import TileCLText

@testable import TileCLTool

@Suite struct TrainingTextTests {
  @Test func everyEpochShowsEachWindowOnce() throws {
    let options = TrainingExample.textOptions
    let source = try TrainingExample.text(TrainingExample.textOptions)
    let tokens = source.text.tokens
    var batches = source.trainingBatches(seed: 1)
    // All windows of an epoch stand side by side, so no token is judged twice in it.
    let windows = source.runs.reduce(0) { $0 + ($1.count - 1) / options.context }
    let steps = (windows - source.runs.count) / options.batch
    var judged: [Int: Int] = [:]
    for _ in 0..<steps {
      let batch = batches.next()
      #expect(batch.tokens.count == 64 && batch.targets.count == 64)
      for sequence in 0..<4 {
        let window = sequence * 16..<(sequence + 1) * 16
        // What follows is what stands next.
        #expect(Array(batch.tokens[window].dropFirst()) == Array(batch.targets[window].dropLast()))
      }
      for token in batch.targets { judged[Int(token), default: 0] += 1 }
    }
    var there: [Int: Int] = [:]
    for place in source.runs.joined() { there[Int(tokens[place]), default: 0] += 1 }
    #expect(judged.allSatisfy { $1 <= there[$0, default: 0] })
    #expect(judged.values.reduce(0, +) == steps * 64)
    #expect(judged.values.reduce(0, +) * 10 > there.values.reduce(0, +) * 9)
    var again = source.trainingBatches(seed: 1)
    var other = source.trainingBatches(seed: 2)
    let batch = again.next()
    var repeated = source.trainingBatches(seed: 1)
    #expect(batch == repeated.next() && batch != other.next())
  }

  @Test func heldOutWindowsAreJudgedOnce() throws {
    var options = TrainingExample.textOptions
    options.evaluationTokens = 200
    let source = try TrainingExample.text(options)
    // Twelve windows of 16 tokens.
    #expect(source.heldOut.count == 12 && source.heldOutTargets.count == 192)
    for start in source.heldOut {
      #expect(Set(source.text.chunks[start...start + 16].map { $0 % 10 }) == [9])
    }
    options.batch = 5
    let batches = try TrainingExample.text(options).evaluationBatches(ignored: -100)
    #expect(batches.map(\.tokens.count) == [80, 80, 80])
    let judged = batches.flatMap(\.targets).filter { $0 != -100 }
    #expect(judged == source.heldOutTargets.map { source.text.tokens[$0] })
    #expect(batches[2].targets.count { $0 == -100 } == 48)
  }

  @Test func tooLittleTextIsNamed() {
    func message(_ count: Int, _ change: (inout TrainingOptions) -> Void = { _ in }) -> String {
      var options = TrainingExample.textOptions
      change(&options)
      let error = #expect(throws: TileCLError.self) {
        try TrainingText(Array(TrainingExample.bytes.prefix(count)), options: options)
      }
      #expect(error?.argument == "text")
      return error?.message ?? ""
    }
    #expect(message(0).contains("0 windows of 17 tokens"))
    #expect(message(2000).contains("no held-out window"))
    #expect(message(60_000) { $0.batch = 5000 }.contains("at least 5000 windows"))
    #expect(message(60_000) { $0.context = 1 << 16 }.contains("windows of 65537 tokens"))
  }

  @Test func baselinesAreThoseOfWholeTables() throws {
    let source = try TrainingExample.text(TrainingExample.textOptions)
    let (tokens, vocabulary) = (source.text.tokens.map(Int.init), source.text.vocabulary)
    var counts = [Double](repeating: 0, count: vocabulary)
    var pairs = [[Double]](repeating: counts, count: vocabulary)
    for run in source.runs {
      for place in run { counts[tokens[place]] += 1 }
      for place in run.dropFirst() { pairs[tokens[place - 1]][tokens[place]] += 1 }
    }
    func distribution(_ counts: [Double], _ addition: Double) -> [Double] {
      let sum = counts.reduce(0, +) + addition * Double(vocabulary)
      return counts.map { ($0 + addition) / sum }
    }
    func loss(_ probability: (Int) -> Double) -> Double {
      let places = source.heldOutTargets
      return -places.reduce(0) { $0 + log(probability($1)) } / Double(places.count)
    }
    let additions = [0.003, 0.01, 0.03, 0.1, 0.3, 1, 3]
    let unigrams = additions.map { distribution(counts, $0) }
    let losses = unigrams.map { unigram in loss { unigram[tokens[$0]] } }
    let baselines = LanguageBaselines(source)
    #expect((baselines.unigram - (losses.min() ?? 0)).magnitude < 1e-9)

    let kinds = (0..<vocabulary).map { token in Double(pairs.count { $0[token] > 0 }) }
    let continuations = additions.map { distribution(kinds, $0) }
    func least(_ choices: [[Double]]) -> [Double] {
      choices.min { one, other in loss { one[tokens[$0]] } < loss { other[tokens[$0]] } } ?? []
    }
    var best = Double.infinity
    for lower in [least(unigrams), least(continuations)] {
      for step in 1...19 {
        let discount = Double(step) / 20
        let rows = pairs.map { row in
          let total = row.reduce(0, +)
          guard total > 0 else { return lower }
          let seen = Double(row.count { $0 > 0 })
          return zip(row, lower).map { (max($0 - discount, 0) + discount * seen * $1) / total }
        }
        // A distribution, whatever the discount.
        #expect(rows.allSatisfy { ($0.reduce(0, +) - 1).magnitude < 1e-9 })
        best = min(best, loss { rows[tokens[$0 - 1]][tokens[$0]] })
      }
    }
    #expect((baselines.bigram - best).magnitude < 1e-9)
    #expect(baselines.bigram < baselines.unigram - 0.5)
  }
}
