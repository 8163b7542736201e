import TileCLText

/// An SVG picture, written element by element.
struct SVG {
  private let width: Int
  private let height: Int
  private let label: String
  private var lines: [String] = []

  /// - Parameters:
  ///   - label: What the picture shows, for those who do not see it.
  ///   - style: CSS; of the writer's own, so that it is not escaped.
  init(width: Int, height: Int, label: String, style: String) {
    self.width = width
    self.height = height
    self.label = label
    lines.append("<style>\n\(style)\n</style>")
  }

  /// The whole file.
  var text: String {
    """
    <svg xmlns="http://www.w3.org/2000/svg" width="\(width)" height="\(height)" viewBox="0 0 \(width) \(height)" \
    role="img" aria-label="\(Self.escaped(label))">
    \(lines.joined(separator: "\n"))
    </svg>

    """
  }

  /// Adds an element.
  ///
  /// - Parameters:
  ///   - attributes: By name; values are escaped.
  ///   - text: What the element holds, escaped too; nothing if nil.
  mutating func add(_ element: String, _ attributes: KeyValuePairs<String, String>, text: String? = nil) {
    let list = attributes.map { " \($0)=\"\(Self.escaped($1))\"" }.joined()
    lines.append("<\(element)\(list)" + (text.map { ">\(Self.escaped($0))</\(element)>" } ?? "/>"))
  }

  /// Adds lines from point to point.
  mutating func addPath(_ points: [Point], class name: String) {
    let steps = points.enumerated().map { "\($0 == 0 ? "M" : "L")\($1.text)" }
    add("path", ["class": name, "d": steps.joined()])
  }

  /// A place in the picture.
  struct Point: Hashable {
    var x: Double
    var y: Double

    fileprivate var text: String { "\(SVG.number(x)) \(SVG.number(y))" }
  }

  /// A coordinate, to a tenth of a unit.
  static func number(_ value: Double) -> String { Format.fixed(value, 1) }

  /// Text in which nothing is markup; characters that XML does not take become spaces.
  static func escaped(_ text: String) -> String {
    text.unicodeScalars.map { scalar in
      switch scalar {
      case "&": "&amp;"
      case "<": "&lt;"
      case ">": "&gt;"
      case "\"": "&quot;"
      case "'": "&#39;"
      case "\u{0}"..."\u{1F}", "\u{FFFE}", "\u{FFFF}": " "
      default: String(scalar)
      }
    }.joined()
  }
}
