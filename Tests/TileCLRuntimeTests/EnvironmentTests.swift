import Logging
import Testing

@testable import TileCLRuntime

@Suite struct EnvironmentTests {
  @Test func defaults() throws {
    let environment = try Environment(variables: ["HOME": "/home/somebody"])
    #expect(environment.backend == .auto)
    #expect(environment.device == nil)
    #expect(environment.cacheDirectory == "/home/somebody/.cache/tilecl")
    #expect(environment.maximumAllocation == nil)
    #expect(!environment.profiling)
    #expect(environment.fuzzCount == 12)
    #expect(environment.disabledCapabilities.isEmpty)
  }

  @Test func cacheFolderFollowsXDG() throws {
    let variables = ["HOME": "/h", "XDG_CACHE_HOME": "/x"]
    #expect(try Environment(variables: variables).cacheDirectory == "/x/tilecl")
    #expect(try Environment(variables: variables.merging(["TILECL_CACHE_DIR": "/t"]) { $1 }).cacheDirectory == "/t")
    #expect(try Environment(variables: variables.merging(["TILECL_NO_CACHE": "1"]) { $1 }).cacheDirectory == nil)
    #expect(try Environment(variables: [:]).cacheDirectory == nil)
    #expect(try Environment(variables: ["XDG_CACHE_HOME": "here"]).cacheDirectory == nil, "relative, so ignored")
  }

  @Test func values() throws {
    let environment = try Environment(variables: [
      "TILECL_BACKEND": "opencl", "TILECL_DEVICE": "nvidia:gpu:1", "TILECL_MAX_ALLOC": "64K", "TILECL_LOG": "debug",
      "TILECL_PROFILE": "1", "TILECL_BUILD_OPTIONS": "-cl-opt-disable", "TILECL_DUMP_DIR": "/d",
      "TILECL_KERNEL_DIR": "/k", "TILECL_VARIANT": "portable", "TILECL_TUNING": "q64", "TILECL_FUZZ": "0",
      "TILECL_DISABLE": "wgmma,ptx",
    ])
    #expect(environment.backend == .opencl)
    #expect(environment.device?.description == "nvidia:gpu:1")
    #expect(environment.maximumAllocation == 65536)
    #expect(environment.logLevel == .debug)
    #expect(environment.profiling)
    #expect(environment.buildOptions == "-cl-opt-disable")
    #expect(environment.dumpDirectory == "/d")
    #expect(environment.kernelDirectory == "/k")
    #expect(environment.variant == "portable")
    #expect(environment.tuning == "q64")
    #expect(environment.fuzzCount == 0)
    #expect(environment.disabledCapabilities == [.wgmma, .inlinePTX])
  }

  @Test(arguments: [
    ("TILECL_BACKEND", "cuda"), ("TILECL_DEVICE", "a:b:c:d"), ("TILECL_DEVICE", "x:fpga"), ("TILECL_DEVICE", "::-1"),
    ("TILECL_MAX_ALLOC", "lots"), ("TILECL_MAX_ALLOC", "0"), ("TILECL_MAX_ALLOC", "4ß"),
    ("TILECL_MAX_ALLOC", "99999999999G"),
    ("TILECL_LOG", "loud"), ("TILECL_PROFILE", "yes"), ("TILECL_NO_CACHE", "true"),
    ("TILECL_FUZZ", "abc"), ("TILECL_FUZZ", "-1"), ("TILECL_FUZZ", "1000001"),
    ("TILECL_DISABLE", "warp"), ("TILECL_DISABLE", "wgmma,"), ("TILECL_DISABLE", "wgmma, ptx"),
  ])
  func badValuesNameTheVariable(name: String, value: String) throws {
    let error = try #require(throws: TileCLError.self) { try Environment(variables: [name: value]) }
    #expect(error.code == .environment)
    #expect(error.argument == name)
    #expect(error.message.contains("allowed"))
  }
}

@Suite struct DeviceSelectorTests {
  @Test func noMatchIsAnErrorThatSaysSo() throws {
    let error = try #require(throws: TileCLError.self) {
      try DeviceSelector(parsing: "nowhere:gpu:3").select(from: [])
    }
    #expect(error.code == .noDevice)
    #expect(error.message.contains("nowhere:gpu:3"))
  }
}
