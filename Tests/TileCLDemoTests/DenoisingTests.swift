import Foundation
import Testing
import TileCL
import TileCLPicture
import TileCLTestSupport

@testable import TileCLDemo

@Suite struct DenoisingTests {
  /// Stripes and a ramp, which have many patches of the same content.
  private static let clean = RGBImage(
    width: 41, height: 37,
    samples: (0..<37 * 41).flatMap { place in
      let (y, x) = place.quotientAndRemainder(dividingBy: 41)
      return [UInt8((x + y) / 6 % 2 == 0 ? 60 : 190), UInt8(40 + 4 * y), UInt8(100 + 3 * x)]
    })

  @Test(arguments: TestEngines.all)
  func denoisingGainsAndAgreesWithTheReference(engine: Engine) throws {
    let noisy = Self.clean.addingNoise(sigma: 25, seed: 3)
    let run = try DenoisingRun(
      engine: engine, noisy: noisy, options: DenoisingOptions(sigma: 25, curves: 3, denseLimit: 0),
      progress: Progress())
    let (denoised, table) = try run.run(clean: Self.clean)
    #expect(denoised.psnr(against: Self.clean) > noisy.psnr(against: Self.clean) + 4)
    #expect(table.checkCount == 3 && table.passes)
  }

  @Test func aWrongResultIsNoticed() throws {
    let noisy = Self.clean.addingNoise(sigma: 25, seed: 3)
    let run = try DenoisingRun(
      engine: .reference, noisy: noisy, options: DenoisingOptions(sigma: 25, curves: 1, denseLimit: 0),
      progress: Progress())
    let order = try WindowPass(0, window: 16).order(width: 41, height: 37)
    let colours = noisy.samples.map { Double($0) / 255 }
    #expect(!run.checkPixels(colours, orders: [order]).passes)
  }

  @Test func smallPicturesAreRefused() {
    let small = RGBImage(width: 15, height: 40, samples: [UInt8](repeating: 0, count: 1800))
    let error = #expect(throws: TileCLError.self) {
      try DenoisingRun(
        engine: .reference, noisy: small, options: DenoisingOptions(sigma: 25, curves: 1, denseLimit: 0),
        progress: Progress())
    }
    #expect(error?.argument == "picture")
  }

  @Test func passesVisitEveryPixelAndDiffer() throws {
    let orders = try (0..<16).map { try WindowPass($0, window: 16).order(width: 23, height: 17) }
    for order in orders { #expect(order.permutation.sorted() == (0..<23 * 17).map(Int32.init)) }
    #expect(Set(orders).count == 16)
    #expect(orders[0] == (try TokenOrder.hilbert(height: 17, width: 23)))
  }

  @Test(arguments: [(16, 64), (5, 32), (7, 64)])
  func maskWithoutItsDiagonal(window: Int, block: Int) throws {
    let whole = try BlockMask.hilbertWindow(height: 19, width: 13, window: window, blockSize: block)
    let mask = try whole.excludingSelf()
    for query in 0..<19 * 13 {
      for key in 0..<19 * 13 {
        let expected = query != key && query / (window * window) == key / (window * window)
        #expect(mask.isVisible(query: query, key: key) == expected)
      }
    }
  }

  @Test func mergedPartsAreOneSoftmax() {
    // One pixel; scores and values of five keys in parts of two and three.
    let scores = [0.5, -2, 90, 88.5, 87]
    let values = [0.1, 0.9, 0.3, 0.7, 0.2]
    var merge = WindowMerge(pixelCount: 1)
    for part in [0..<2, 2..<5] {
      let lse = log(part.reduce(0) { $0 + exp(scores[$1]) })
      let output = part.reduce(0) { $0 + exp(scores[$1] - lse) * values[$1] }
      merge.add(outputs: [Float](repeating: Float(output), count: 3), lse: [Float(lse)])
    }
    merge.add(outputs: [.nan, .nan, .nan], lse: [-.infinity])
    let sum = scores.reduce(0) { $0 + exp($1) }
    let expected = zip(scores, values).reduce(0) { $0 + exp($1.0) * $1.1 } / sum
    for colour in merge.merged { #expect((colour - expected).magnitude < 1e-5) }
  }
}
