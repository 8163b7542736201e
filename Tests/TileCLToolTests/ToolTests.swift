import ArgumentParser
import FoundationEssentials
import Testing
import TileCL
import TileCLConformance
import TileCLTestSupport

@testable import TileCLTool

@Suite struct SelftestCommandTests {
  @Test func unknownOperationsAreRefused() {
    let error = #expect(throws: (any Error).self) { try TileCLTool.parseAsRoot(["selftest", "--op", "convolution"]) }
    #expect(error.map { TileCLTool.fullMessage(for: $0).contains("attention") } == true)
    #expect(throws: Never.self) { try TileCLTool.parseAsRoot(["selftest", "--op", "attention", "--small"]) }
    for shard in ["0/3", "4/3", "1/0", "1", "a/b", "1/2/3", "-1/-1"] {
      #expect(Shard(argument: shard) == nil)
      #expect(throws: (any Error).self) { try TileCLTool.parseAsRoot(["selftest", "--shard", shard]) }
    }
    let shards = (1...3).compactMap { Shard(argument: "\($0)/3") }
    #expect((0..<7).map { index in shards.map { $0.contains(index) } }.allSatisfy { $0.count { $0 } == 1 })
  }

  @Test func aFilterThatMatchesNothingIsAnError() throws {
    var command = try TileCLTool.parseAsRoot(["selftest", "--filter", "no case has this name"])
    #expect(throws: (any Error).self) { try command.run() }
  }

  @Test func failuresAndErrorsAreCounted() throws {
    struct Broken: Error {}
    let right = ConformanceCase(operation: .attention, name: "right") { _ in
      [.exact("x", candidate: [1], expected: [1])]
    }
    let wrong = ConformanceCase(operation: .attention, name: "wrong") { _ in
      [.exact("x", candidate: [1], expected: [1]), .exact("y", candidate: [1], expected: [2])]
    }
    let empty = ConformanceCase(operation: .quantizedMatmul, name: "empty") { _ in [] }
    let thrown = ConformanceCase(operation: .quantizedMatmul, name: "thrown") { _ in throw Broken() }
    var texts: [String] = []
    let report = SelftestReport(running: [right, wrong, empty, thrown], on: .reference) { texts.append($0.text) }
    #expect(report.passed == 1)
    #expect(report.failed == 3)
    #expect(report.summary.hasSuffix("\n1 passed, 3 failed"))
    #expect(report.summary.contains("attention: 1 of 2 cases passed"))
    #expect(texts[1].hasPrefix("FAIL attention/wrong"))
    #expect(texts[1].contains("y[0] is 1, should be 2"))
    #expect(texts[3].contains("Broken"))
    let json = try prettyJSON(report)
    #expect(json.contains("\"failed\" : 3"))
  }

  @Test func theSmallCasesCoverEveryOperation() {
    for operation in OperationKind.allCases {
      #expect(ConformanceCase.all.contains { $0.operation == operation && $0.isSmall })
    }
  }
}

@Suite struct InfoCommandTests {
  @Test func everyDeviceAndKernelIsReported() throws {
    let report = try MachineReport(settings: ToolSettings())
    let text = report.text
    #expect(text.hasPrefix("chosen: "))
    for device in report.devices {
      #expect(text.contains(device.name))
      #expect(report.platforms.contains { $0.hasPrefix(device.platform) })
      #expect(device.problem == nil)
      let parts = Set(device.kernels.map { "\($0.operation), \($0.part)" })
      #expect(Set(device.kernels.filter(\.isChosen).map { "\($0.operation), \($0.part)" }) == parts)
      for part in parts {
        let own = device.kernels.filter { "\($0.operation), \($0.part)" == part }
        let places = own.compactMap(\.place)
        #expect(places == Array(1...own.count { $0.canRun }))
        #expect(own.allSatisfy { $0.canRun == ($0.place != nil) && $0.isChosen == ($0.place == 1) })
        #expect(own.last?.kernel == "portable" && own.last?.canRun == true)
        for kernel in own {
          let rank = kernel.place.map { "choice \($0): " } ?? "not "
          #expect(text.contains("\(rank)\(kernel.kernel), \(kernel.file): "))
        }
      }
      for operation in OperationKind.allCases { #expect(parts.contains("\(operation.rawValue), forward")) }
      #expect(device.probes.allSatisfy { !$0.reason.isEmpty })
    }
    #expect(TestEngines.hasOpenCL == !report.devices.isEmpty)
    #expect(try prettyJSON(report).contains("\"chosen\""))
  }

  @Test func byteCountsAreReadable() {
    #expect(formatBytes(0) == "0 B")
    #expect(formatBytes(1023) == "1023 B")
    #expect(formatBytes(1536) == "1.5 KiB")
    #expect(formatBytes(3 << 40) == "3.0 TiB")
  }
}

@Suite struct EngineOptionTests {
  @Test func referenceIsADeviceName() throws {
    #expect(try ToolSettings().engine("reference").context == nil)
  }

  @Test func aDeviceAskedForNeverFallsBack() throws {
    let error = #expect(throws: TileCLError.self) { try ToolSettings().engine("::abacus") }
    #expect(error?.code == .noDevice)
  }
}
