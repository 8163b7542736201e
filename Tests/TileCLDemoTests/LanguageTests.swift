import Foundation
import Testing
import TileCL
import TileCLTestSupport
import TileCLText

@testable import TileCLDemo

@Suite struct LanguageTests {
  /// Sentences in which each word narrows down the next.
  private static let text: [UInt8] = {
    var generator = SplitMix64(seed: 5)
    let subjects = ["the cat", "a dog", "every mouse", "no horse", "one owl"]
    let verbs = ["sees", "hears", "likes", "finds"]
    var text = ""
    while text.utf8.count < 1 << 17 {
      let subject = subjects.randomElement(using: &generator) ?? ""
      let object = subjects.randomElement(using: &generator) ?? ""
      text += "\(subject) \(verbs.randomElement(using: &generator) ?? "") \(object) \(generator.next() % 1000).\n"
    }
    return Array(text.utf8)
  }()

  @Test func factorsOfFullRankGiveTheMatrix() {
    var generator = SplitMix64(seed: 9)
    let entries = (0..<12).flatMap { row in
      (0..<12).compactMap { column in
        generator.next() % 3 == 0
          ? SparseMatrix.Entry(row: row, column: column, value: Float(generator.uniform())) : nil
      }
    }
    let matrix = SparseMatrix(rowCount: 12, columnCount: 12, entries)
    let transposed = SparseMatrix(
      rowCount: 12, columnCount: 12, entries.map { .init(row: $0.column, column: $0.row, value: $0.value) })
    var basis = matrix.times(DenseColumns(length: 12, count: 12, seed: 1))
    basis.orthonormalize()
    let rest = transposed.times(basis)
    for entry in entries {
      let product = (0..<12).reduce(Float(0)) { $0 + basis[entry.row, $1] * rest[entry.column, $1] }
      #expect((product - entry.value).magnitude < 1e-4)
    }
  }

  @Test(arguments: TestEngines.all)
  func theModelBeatsFrequenciesAndAgreesWithTheReference(engine: Engine) throws {
    let folder = try TemporaryDirectory()
    try Data(Self.text).write(to: URL(filePath: folder.path + "/text.txt"))
    let language = try LanguageRun(
      corpus: Corpus(paths: [folder.path], least: 1, most: 1 << 20), vocabulary: 512, hiddenSize: 32, tokens: 300,
      progress: Progress())
    let table = try language.run(on: engine)
    #expect(table.checkCount == 1 && table.passes)
    let (model, text) = (language.model, language.text)
    let frequencies = -language.targets.reduce(0.0) { $0 + Double(model.logFrequencies[Int($1)]) } / 300
    let loss = try #require(
      engine.makePlan(
        LinearCrossEntropyDescriptor(tokens: 300, hiddenSize: 32, vocabulary: text.vocabulary)
      ).run(
        embeddings: engine.tensor(language.hidden, shape: [300, 32]),
        classifier: engine.tensor(model.classifier, shape: [text.vocabulary, 32]),
        targets: engine.tensor(language.targets, shape: [300])
      ).loss.array().first)
    #expect(Double(loss) < frequencies - 1)

    let quantized = try QuantizationRun(engine: engine, language: language, progress: Progress()).run()
    #expect(quantized.checkCount == 3 && quantized.passes)
  }
}
