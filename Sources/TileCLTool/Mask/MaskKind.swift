import ArgumentParser

/// The masks that `tilecl mask` knows.
enum MaskKind: String, CaseIterable, ExpressibleByArgument {
  case causal
  case slidingWindow = "sliding-window"
  case prefixLM = "prefix-lm"
  case documents
  case chunked
  case blockDiagonal = "block-diagonal"
  case hilbertWindow = "hilbert-window"
  case hilbertShiftedWindow = "hilbert-shifted-window"
  case hilbertSlidingWindow = "hilbert-sliding-window"
  case hilbertNeighborhood = "hilbert-neighborhood"
  case gridWindow = "grid-window"
  case gridShiftedWindow = "grid-shifted-window"
  case gridSlidingWindow = "grid-sliding-window"
  case gridNeighborhood = "grid-neighborhood"

  /// The options beside those that every mask has.
  var options: Set<MaskOption> {
    switch self {
    case .causal: [.queries, .keys]
    case .slidingWindow: [.queries, .keys, .left, .right, .dilation, .causal]
    case .prefixLM: [.queries, .keys, .prefix]
    case .documents: [.queries, .cumulative, .causal]
    case .chunked: [.queries, .keys, .chunk, .causal]
    case .blockDiagonal: [.queries, .keys, .reach]
    case .hilbertWindow, .hilbertShiftedWindow: Self.grid.union([.window])
    case .hilbertSlidingWindow, .hilbertNeighborhood: Self.grid.union([.kernel])
    case .gridWindow: Self.orderedGrid.union([.window])
    case .gridShiftedWindow: Self.orderedGrid.union([.window, .shift])
    case .gridSlidingWindow: Self.orderedGrid.union([.radius])
    case .gridNeighborhood: Self.orderedGrid.union([.kernel, .stride, .dilation, .causalAxes])
    }
  }

  private static let grid: Set<MaskOption> = [.length, .depth, .height, .width]
  private static let orderedGrid = grid.union([.order, .tile, .orderStride])
}

/// The options of `tilecl mask` that belong to some masks only.
enum MaskOption: String, CaseIterable {
  case queries, keys, left, right, dilation, causal, prefix, cumulative, chunk, reach
  case length, depth, height, width, window, shift, radius, kernel, stride
  case causalAxes = "causal-axes"
  case order, tile
  case orderStride = "order-stride"

  /// The masks that have the option, as text; all those of a family are one entry.
  var kinds: String {
    var names = MaskKind.allCases.filter { $0.options.contains(self) }.map(\.rawValue)
    for family in ["hilbert-", "grid-"] {
      let members = MaskKind.allCases.map(\.rawValue).filter { $0.hasPrefix(family) }
      guard let first = names.firstIndex(of: members[0]), members.allSatisfy(names.contains) else { continue }
      names.replaceSubrange(first..<first + members.count, with: ["\(family)..."])
    }
    return names.joined(separator: ", ")
  }

  /// What the option says, and which masks have it.
  func help(_ text: String) -> ArgumentHelp {
    ArgumentHelp("\(text) [\(kinds)]")
  }
}

/// The orders in which `tilecl mask` visits the tokens of a grid.
enum MaskOrder: String, CaseIterable, ExpressibleByArgument {
  case rowMajor = "row-major"
  case tile
  case hilbert
  case strided
}
