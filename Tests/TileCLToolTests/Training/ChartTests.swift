import Testing

@testable import TileCLTool

@Suite struct ChartTests {
  @Test func axesHaveRoundTicks() {
    let axis = ChartAxis([2.3, 7.7, .nan], widens: true)
    #expect(axis.ticks == [2, 3, 4, 5, 6, 7, 8] && axis.range == 2...8 && axis.digits == 0)
    #expect(axis.part(2) == 0 && axis.part(5) == 0.5)
    let steps = ChartAxis([0, 600], widens: false)
    #expect(steps.ticks == [0, 100, 200, 300, 400, 500, 600] && steps.range == 0...600)
    let small = ChartAxis([0.31, 0.52], widens: true)
    #expect(small.digits == 2 && small.range.lowerBound <= 0.31 && small.range.upperBound >= 0.52)
    #expect(ChartAxis([4, 4], widens: true).range.contains(4))
    #expect(ChartAxis([], widens: false).range == 0...1)
  }

  @Test func textIsNoMarkup() {
    var svg = SVG(width: 10, height: 20, label: "a \"b\" <c>", style: "text {}")
    svg.add("text", ["x": "1' y='2"], text: "x < y & \u{7}z")
    svg.addPath([.init(x: 1, y: 2), .init(x: 3.25, y: 4)], class: "line")
    #expect(svg.text.contains("aria-label=\"a &quot;b&quot; &lt;c&gt;\""))
    #expect(svg.text.contains("<text x=\"1&#39; y=&#39;2\">x &lt; y &amp;  z</text>"))
    #expect(svg.text.contains("d=\"M1.0 2.0L3.2 4.0\"") || svg.text.contains("d=\"M1.0 2.0L3.3 4.0\""))
  }

  @Test func linesRunWhereTheirValuesAre() throws {
    let chart = LineChart(
      title: "Title", subtitles: ["Subtitle", "Another"], xTitle: "step", yTitle: "loss, nats",
      series: [
        .init(kind: .training, name: "training", points: [(0, 8), (50, 4), (100, 2)]),
        .init(kind: .heldOut, name: "held out", points: [(0, 8), (100, .nan)], isMarked: true),
      ])
    let svg = chart.svg
    for text in ["Title", "Subtitle", "Another", "step", "loss, nats", "training", "held out", ">100<", ">8<", ">2<"] {
      #expect(svg.contains(text))
    }
    // The frame is 72 ... 936 by 124 ... 484; 4 is a third of the way from 2 to 8.
    #expect(svg.contains("d=\"M72.0 124.0L504.0 364.0L936.0 484.0\""))
    // What is no number is no point.
    #expect(svg.contains("d=\"M72.0 124.0\"") && !svg.contains("nan"))
    #expect(svg.split(separator: "<circle").count == 2)
    #expect(svg.contains("prefers-color-scheme: dark"))
  }
}
