import ArgumentParser
import TileCL
import TileCLPicture

/// `tilecl mask`: draws and counts a block mask.
struct MaskCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "mask",
    abstract: "Draws a block mask and counts its empty, partial and full blocks.",
    discussion: """
      Masks of a grid, grid-..., are exact in whatever order the tokens are visited. Those along a Hilbert curve, \
      hilbert-..., are approximate on most grids; how much is printed.

      Lists have one number for each axis of the grid, the outermost first, or one number for all axes.

      Examples:
        tilecl mask sliding-window --queries 4096 --left 512 --right 0
        tilecl mask documents --queries 3000 --cumulative 0,1000,1200,3000 --causal
        tilecl mask hilbert-window --height 64 --width 64 --window 8
        tilecl mask grid-sliding-window --height 128 --width 128 --radius 8 --order tile --tile 8 --block 64
        tilecl mask grid-neighborhood --depth 8 --height 32 --width 32 --kernel 4,8,8 --causal-axes depth \
      --png mask.png
      """)

  @Argument(help: "The mask.")
  var kind: MaskKind

  @Option(help: "The queries and keys of a block.")
  var block = 128

  @Option(help: "The queries of a block (default: --block).")
  var queryBlock: Int?

  @Option(help: "The keys of a block (default: --block).")
  var keyBlock: Int?

  @Option(help: MaskOption.queries.help("The number of queries."))
  var queries: Int?

  @Option(help: MaskOption.keys.help("The number of keys (default: that of queries)."))
  var keys: Int?

  @Option(help: MaskOption.left.help("The keys to the left of a query (default: all)."))
  var left: Int?

  @Option(help: MaskOption.right.help("The keys to its right (default: all)."))
  var right: Int?

  @Option(help: MaskOption.dilation.help("The distance from key to key (list; default: 1)."), transform: Self.numbers)
  var dilation: [Int]?

  @Flag(help: MaskOption.causal.help("Hide the keys after a query."))
  var causal = false

  @Option(help: MaskOption.prefix.help("The keys that every query sees."))
  var prefix: Int?

  @Option(
    help: MaskOption.cumulative.help("Where each document begins and the last one ends, such as 0,1000,3000."),
    transform: Self.numbers)
  var cumulative: [Int]?

  @Option(help: MaskOption.chunk.help("The keys of a chunk."))
  var chunk: Int?

  @Option(help: MaskOption.reach.help("The blocks on either side of the diagonal (default: 0)."))
  var reach: Int?

  @Option(help: MaskOption.length.help("The tokens of a grid with one axis."))
  var length: Int?

  @Option(help: MaskOption.depth.help("The planes or frames of a grid with three axes."))
  var depth: Int?

  @Option(help: MaskOption.height.help("The rows of the grid."))
  var height: Int?

  @Option(help: MaskOption.width.help("The columns of the grid."))
  var width: Int?

  @Option(
    help: MaskOption.window.help("The sides of a window (list; one number along a curve)."), transform: Self.numbers)
  var window: [Int]?

  @Option(
    help: MaskOption.shift.help("How far windows are shifted (list; default: half a window)."), transform: Self.numbers)
  var shift: [Int]?

  @Option(help: MaskOption.radius.help("How far a token sees along each axis (list)."), transform: Self.numbers)
  var radius: [Int]?

  @Option(
    help: MaskOption.kernel.help("The sides of a neighbourhood (list; one number along a curve)."),
    transform: Self.numbers)
  var kernel: [Int]?

  @Option(
    help: MaskOption.stride.help("The queries that share a neighbourhood (list; default: 1)."), transform: Self.numbers)
  var stride: [Int]?

  @Option(help: MaskOption.causalAxes.help("The causal axes, such as depth or depth,width (default: none)."))
  var causalAxes: String?

  @Option(
    help: MaskOption.order.help(
      "The order of the tokens: \(MaskOrder.allCases.map(\.rawValue).joined(separator: ", ")) (default: row-major)."))
  var order: MaskOrder?

  @Option(
    help: MaskOption.tile.help("With --order tile: the sides of a tile (list; default: 8)."), transform: Self.numbers)
  var tile: [Int]?

  @Option(help: MaskOption.orderStride.help("With --order strided: the strides (list)."), transform: Self.numbers)
  var orderStride: [Int]?

  @Option(help: "Write a picture of the mask to this PNG file.")
  var png: String?

  @Flag(help: "Print the counts as JSON.")
  var json = false

  /// The options that are given, of those that belong to some masks only.
  private var given: [MaskOption] {
    let isGiven: [MaskOption: Bool] = [
      .queries: queries != nil, .keys: keys != nil, .left: left != nil, .right: right != nil,
      .dilation: dilation != nil, .causal: causal, .prefix: prefix != nil, .cumulative: cumulative != nil,
      .chunk: chunk != nil, .reach: reach != nil, .length: length != nil, .depth: depth != nil,
      .height: height != nil, .width: width != nil, .window: window != nil, .shift: shift != nil,
      .radius: radius != nil, .kernel: kernel != nil, .stride: stride != nil, .causalAxes: causalAxes != nil,
      .order: order != nil, .tile: tile != nil, .orderStride: orderStride != nil,
    ]
    return MaskOption.allCases.filter { isGiven[$0] == true }
  }

  func validate() throws {
    for option in given where !kind.options.contains(option) {
      throw ValidationError(
        "--\(option.rawValue) is not an option of \(kind.rawValue); it belongs to \(option.kinds)")
    }
    for (option, order) in [(MaskOption.tile, MaskOrder.tile), (.orderStride, .strided)]
    where given.contains(option) && self.order != order {
      throw ValidationError("--\(option.rawValue) goes with --order \(order.rawValue)")
    }
  }

  func run() throws {
    let mask = try mask()
    let report = MaskReport(kind: kind.rawValue, mask, try fidelity(of: mask))
    print(json ? try prettyJSON(report) : report.text)
    if !json { print(MaskPicture(mask).text) }
    if let png {
      let image = MaskPicture(mask, limit: MaskPicture.pixelLimit).image
      try image.write(png: png)
      if !json { print("\(png): \(image.width) x \(image.height) pixels; dark full, light partial, white empty") }
    }
  }

  /// The value of an option that the mask cannot do without.
  func require<Value>(_ option: MaskOption, _ value: Value?) throws -> Value {
    guard let value else { throw ValidationError("\(kind.rawValue) needs --\(option.rawValue)") }
    return value
  }

  /// Whole numbers with commas between.
  @Sendable private static func numbers(_ text: String) throws -> [Int] {
    try text.split(separator: ",", omittingEmptySubsequences: false).map { entry in
      guard let number = Int(entry) else {
        throw ValidationError("the entry \"\(entry)\" is not allowed: whole numbers with commas between are")
      }
      return number
    }
  }
}
