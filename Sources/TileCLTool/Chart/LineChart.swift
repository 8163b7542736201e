import TileCLText

/// Lines over two axes, as an SVG picture that suits light and dark pages.
struct LineChart {
  /// A line, and its entry in the legend.
  struct Series {
    enum Kind: String {
      /// Every value of a noisy series.
      case raw
      case training
      case heldOut
      case unigram
      case bigram
      case reference
    }

    let kind: Kind
    /// For the legend; nil for none.
    let name: String?
    let points: [(x: Double, y: Double)]
    /// Whether each point is marked.
    var isMarked = false
  }

  var title: String
  /// Lines below the title.
  var subtitles: [String]
  var xTitle: String
  var yTitle: String
  /// From back to front.
  var series: [Series]

  private static let size = (width: 960, height: 540)
  private static let frame = (left: 72.0, right: 936.0, top: 124.0, bottom: 484.0)

  private static let style = """
      svg { font: 12px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif }
      .page { fill: #ffffff } text { fill: #1f2328 } .faint { fill: #59636e }
      .grid { stroke: #d1d9e0; stroke-width: 1 }
      path { fill: none; stroke-width: 2; stroke-linejoin: round }
      .raw { stroke: #0a84c8; stroke-width: 1; stroke-opacity: 0.3 }
      .training { stroke: #0a84c8 } .heldOut { stroke: #d9730d }
      .unigram { stroke: #59636e; stroke-dasharray: 2 5 } .bigram { stroke: #8250df; stroke-dasharray: 8 5 }
      .reference { stroke: #1a7f37; stroke-width: 4; stroke-opacity: 0.7 }
      circle { stroke-width: 0 } circle.heldOut { fill: #d9730d }
      @media (prefers-color-scheme: dark) {
        .page { fill: #0d1117 } text { fill: #f0f6fc } .faint { fill: #9198a1 }
        .grid { stroke: #3d444d }
        .raw { stroke: #4cb3ee } .training { stroke: #4cb3ee } .heldOut { stroke: #f0a35e }
        .unigram { stroke: #9198a1 } .bigram { stroke: #b392f0 } .reference { stroke: #3fb950 }
        circle.heldOut { fill: #f0a35e }
      }
    """

  /// The file.
  var svg: String {
    let points = series.flatMap(\.points)
    let horizontal = ChartAxis(points.map(\.x), widens: false, ticks: 8)
    let vertical = ChartAxis(points.map(\.y), widens: true)
    let frame = Self.frame
    func x(_ value: Double) -> Double { frame.left + horizontal.part(value) * (frame.right - frame.left) }
    func y(_ value: Double) -> Double { frame.bottom - vertical.part(value) * (frame.bottom - frame.top) }

    var svg = SVG(width: Self.size.width, height: Self.size.height, label: title, style: Self.style)
    svg.add("rect", ["class": "page", "width": "\(Self.size.width)", "height": "\(Self.size.height)", "rx": "8"])
    svg.add("text", ["x": "16", "y": "28", "font-size": "16", "font-weight": "600"], text: title)
    for (number, line) in subtitles.enumerated() {
      svg.add("text", ["class": "faint", "x": "16", "y": "\(48 + 18 * number)"], text: line)
    }
    for tick in vertical.ticks {
      let height = SVG.number(y(tick))
      svg.add(
        "line",
        ["class": "grid", "x1": SVG.number(frame.left), "y1": height, "x2": SVG.number(frame.right), "y2": height])
      svg.add(
        "text",
        ["class": "faint", "x": SVG.number(frame.left - 8), "y": SVG.number(y(tick) + 4), "text-anchor": "end"],
        text: Format.fixed(tick, vertical.digits))
    }
    for tick in horizontal.ticks {
      svg.add(
        "text",
        ["class": "faint", "x": SVG.number(x(tick)), "y": SVG.number(frame.bottom + 20), "text-anchor": "middle"],
        text: Format.fixed(tick, horizontal.digits))
    }
    svg.add(
      "text", ["x": SVG.number((frame.left + frame.right) / 2), "y": "522", "text-anchor": "middle"], text: xTitle)
    let middle = SVG.number((frame.top + frame.bottom) / 2)
    svg.add(
      "text", ["x": "24", "y": middle, "text-anchor": "middle", "transform": "rotate(-90 24 \(middle))"], text: yTitle)
    for line in series {
      let places = line.points.filter { $0.x.isFinite && $0.y.isFinite }.map { SVG.Point(x: x($0.x), y: y($0.y)) }
      guard !places.isEmpty else { continue }
      svg.addPath(places, class: line.kind.rawValue)
      guard line.isMarked else { continue }
      for place in places {
        svg.add(
          "circle", ["class": line.kind.rawValue, "cx": SVG.number(place.x), "cy": SVG.number(place.y), "r": "3"])
      }
    }
    addLegend(to: &svg)
    return svg.text
  }

  private func addLegend(to svg: inout SVG) {
    var left = 16.0
    for line in series {
      guard let name = line.name else { continue }
      svg.addPath([.init(x: left, y: 94), .init(x: left + 28, y: 94)], class: line.kind.rawValue)
      svg.add("text", ["x": SVG.number(left + 36), "y": "98"], text: name)
      // Letters are about 6.4 units wide.
      left += 36 + 6.4 * Double(name.count) + 24
    }
  }
}
