import Foundation
import Testing
import TileCL
import TileCLTestSupport

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

  @Test func piecesInARowAreTheText() {
    let text = Array("let x1 = [\n    \"über\"]  // \t\r\n".utf8) + [UInt8](repeating: 65, count: 500) + [0, 255, 32]
    let pieces = Array(TextPieces(text))
    #expect(pieces.flatMap { text[$0] } == text)
    #expect(pieces.allSatisfy { !$0.isEmpty && $0.count <= 66 })
    #expect(Array(TextPieces([])).isEmpty)
  }

  @Test func frequentPairsAreJoined() {
    let text = Array("abab abab abc".utf8)
    let encoding = BytePairEncoding(text, pieces: [0..<4, 5..<9, 10..<13], isHeldOut: { _ in false }, limit: 300)
    // "ab" five times, then "abab" twice.
    #expect(encoding.count == 258)
    #expect(encoding.tokens(of: text[0..<4]) == [257])
    #expect(encoding.tokens(of: text[10..<13]) == [256, 99])
    #expect(encoding.byteCounts[256...] == [2, 4])
  }

  @Test func heldOutTextTeachesNothing() {
    let text = Array("xyxyxyxy abab".utf8)
    let encoding = BytePairEncoding(text, pieces: [0..<8, 9..<13], isHeldOut: { $0 == 0 }, limit: 300)
    #expect(encoding.tokens(of: text[0..<8]).count == 8)
    #expect(encoding.tokens(of: text[9..<13]) == [256, 256])
  }

  @Test func tokensCoverTheText() {
    let text = TokenizedText(Self.text, vocabularyLimit: 400)
    #expect(text.tokens.reduce(0) { $0 + text.byteCounts[Int($1)] } == Self.text.count)
    #expect(!text.heldOut.isEmpty && Set(text.heldOut).isDisjoint(with: text.training))
  }

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
      corpus: Corpus(path: folder.path), vocabulary: 512, hiddenSize: 32, tokens: 300, progress: Progress())
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

  @Test func badTextsAreNamed() throws {
    let folder = try TemporaryDirectory()
    let missing = #expect(throws: TileCLError.self) { try Corpus(path: folder.path + "/none") }
    #expect(missing?.code == .file)
    let short = #expect(throws: TileCLError.self) { try Corpus(path: folder.path) }
    #expect(short?.code == .invalidArgument && short?.argument == "text")
  }
}
