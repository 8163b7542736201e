import Testing
import TileCL
import TileCLTestSupport

@testable import TileCLRuntime

@Suite struct LoaderTests {
  @Test func aMissingLoaderIsAnError() throws {
    let error = try #require(throws: TileCLError.self) { try OpenCLLibrary.open(library: "libNowhere.so.9") }
    #expect(error.code == .noDevice)
    #expect(error.message.contains("libNowhere.so.9"))
    #expect(error.hint != nil)
  }

  @Test func aLibraryThatIsNoLoaderIsAnError() throws {
    let error = try #require(throws: TileCLError.self) { try OpenCLLibrary.open(library: "libm.so.6") }
    #expect(error.code == .noDevice)
    #expect(error.message.contains("clGetPlatformIDs"))
  }

  @Test func openCLIsPresentWhereItIsRequired() {
    #expect(
      !TestEngines.requiresOpenCL || TestEngines.hasOpenCL, "TILECL_REQUIRE_OPENCL=1: \(TestEngines.absence)")
  }

  @Test func statusNamesAndHints() {
    #expect(OpenCLStatus.name(-61) == "CL_INVALID_BUFFER_SIZE")
    #expect(OpenCLStatus.name(-9999) == "status -9999")
    #expect(OpenCLStatus.hint(-1001)?.contains("pocl-opencl-icd") == true)
    #expect(throws: Never.self) { try check(0, "clFinish") }
    let error = #expect(throws: TileCLError.self) { try check(-36, "clFinish") }
    #expect(error?.status == -36)
    #expect(error?.call == "clFinish")
  }
}

@Suite(.enabled(if: TestEngines.hasOpenCL)) struct DeviceTests {
  @Test func manyThreadsMayDiscoverAtOnce() async throws {
    let expected = try Device.all()
    try await withThrowingTaskGroup(of: [Device].self) { group in
      for _ in 0..<16 { group.addTask { try Device.all() } }
      for try await devices in group { #expect(devices == expected) }
    }
  }

  @Test func devicesReportSaneLimits() throws {
    for device in try Device.all() {
      let capabilities = device.capabilities
      #expect(!device.name.isEmpty)
      #expect(capabilities.computeUnits >= 1)
      #expect(capabilities.localMemory >= 32 << 10, "OpenCL guarantees 32 KiB")
      #expect(
        capabilities.maximumAllocation >= 128 << 20 && capabilities.maximumAllocation <= capabilities.globalMemory)
      #expect(capabilities.maximumWorkItemSizes.count >= 3)
      #expect(capabilities.baseAddressAlignment >= 1)
    }
  }

  @Test func positionsCountAmongDevicesThatMatch() throws {
    let devices = try Device.all()
    for (position, device) in devices.enumerated() {
      #expect(try DeviceSelector(parsing: "::\(position)").select(from: devices) == device)
      let named = devices.first { $0.name.contains(device.name) }
      #expect(try DeviceSelector(parsing: "::\(device.name.uppercased())").select(from: devices) == named)
    }
    #expect(throws: TileCLError.self) { try DeviceSelector(parsing: "::\(devices.count)").select(from: devices) }
  }

  @Test func everyDeviceIsFoundByPlatformAndType() throws {
    let devices = try Device.all()
    for device in devices {
      #expect(
        try DeviceSelector(parsing: "\(device.platform.name):\(device.kind.rawValue):0").select(from: devices).kind
          == device.kind)
      #expect(try DeviceSelector(parsing: device.kind.rawValue).select(from: devices).kind == device.kind)
      let word = try #require(device.platform.name.split(separator: " ").first)
      #expect(try DeviceSelector(parsing: word.uppercased()).select(from: devices).platform.name.contains(word))
      guard device.platform.isPoCL else { continue }
      #expect(try DeviceSelector(parsing: "pocl").select(from: devices).platform.isPoCL)
      #expect(try DeviceSelector(parsing: "PoCL:cpu:0").select(from: devices).platform.isPoCL)
    }
  }

  @Test func anUnknownDeviceIsAnErrorThatListsTheDevices() throws {
    let devices = try Device.all()
    let error = try #require(throws: TileCLError.self) { try DeviceSelector(parsing: "::abacus").select(from: devices) }
    #expect(error.code == .noDevice)
    for device in devices { #expect(error.message.contains(device.name)) }
  }

  @Test func preferenceKeepsEveryDeviceAndPutsGPUsFirst() throws {
    let devices = try Device.all()
    let ordered = Device.byPreference(devices)
    #expect(Set(ordered) == Set(devices))
    let ranks = ordered.map { [.gpu: 0, .accelerator: 1, .cpu: 2][$0.kind] ?? 3 }
    #expect(ranks == ranks.sorted())
  }
}
