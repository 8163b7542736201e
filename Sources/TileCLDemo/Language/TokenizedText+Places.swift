import TileCLText

extension TokenizedText {
  /// How many tokens before a token ``LanguageModel`` looks at.
  static let contextLength = 2

  /// Places of tokens to learn from.
  var training: [Int] { places(heldOut: false, context: Self.contextLength) }
  /// Such places in chunks that are held out.
  var heldOut: [Int] { places(heldOut: true, context: Self.contextLength) }
}
