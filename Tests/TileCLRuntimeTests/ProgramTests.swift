import Logging
import Testing
import TileCL
import TileCLTestSupport

@testable import TileCLRuntime

/// A context of its own for each test.
func makeContext(_ variables: [String: String] = [:]) throws -> Context {
  let device = try #require(TestEngines.openCL?.context?.device)
  return try Context(device: device, environment: Environment(variables: variables))
}

let scaleText = """
  __kernel void scale(__global const float *in, __global float *out, float factor)
  {
    const size_t i = get_global_id(0);
    out[i] = in[i] * factor * UNIT;
  }
  """

func scaleSource(_ unit: Int = 1) -> ProgramSource {
  ProgramSource(name: "scale.cl", parts: [.text(name: "scale.cl", scaleText)], defines: ["UNIT": unit])
}

/// Runs the scale kernel once and gives what it wrote.
func runScale(_ kernel: Kernel, _ context: Context, values: [Float], factor: Float) throws -> [Float] {
  let input = try context.makeBuffer(byteCount: values.count * 4)
  let output = try context.makeBuffer(byteCount: values.count * 4)
  try values.withUnsafeBytes { try context.queue.write($0, to: input) }
  try context.queue.launch(
    kernel, global: [values.count], local: [1], [.buffer(input), .buffer(output), .float(factor)])
  var result = [Float](repeating: .nan, count: values.count)
  try result.withUnsafeMutableBytes { try context.queue.read(output, into: $0) }
  return result
}

@Suite(.enabled(if: TestEngines.hasOpenCL)) struct ProgramTests {
  @Test func definesReachTheKernel() throws {
    let context = try makeContext()
    let kernel = try context.program(scaleSource(7)).kernel("scale")
    #expect(try runScale(kernel, context, values: [1, 2, 3], factor: 2) == [14, 28, 42])
  }

  @Test func aBuildErrorNamesFileLineOptionsAndDevice() throws {
    let context = try makeContext()
    let source = ProgramSource(
      name: "broken.cl",
      parts: [
        .text(name: "first.cl", "// nothing wrong here"),
        .text(name: "broken.cl", "\n__kernel void k() { undeclared; }"),
      ],
      defines: ["TILE": 16])
    let error = try #require(throws: TileCLError.self) { try context.program(source) }
    #expect(error.code == .programBuild)
    #expect(error.call == "clBuildProgram")
    #expect(error.kernel == "broken.cl")
    #expect(error.device == context.device.name)
    #expect(error.driver == context.device.driverVersion)
    #expect(error.options?.contains("-DTILE=16") == true)
    #expect(error.log?.contains("broken.cl:2") == true, "the log should name our file and line")
  }

  @Test func aMissingKernelIsAnError() throws {
    let context = try makeContext()
    let error = try #require(throws: TileCLError.self) { try context.program(scaleSource()).kernel("absent") }
    #expect(error.code == .openCL)
    #expect(error.kernel == "absent")
  }

  @Test func aMissingFileIsAnError() throws {
    let context = try makeContext()
    let error = try #require(throws: TileCLError.self) { try context.program(ProgramSource(files: ["no/such.cl"])) }
    #expect(error.code == .file)
    #expect(error.message.contains("no/such.cl"))
  }

  @Test func launchesAreValidated() throws {
    let context = try makeContext()
    let kernel = try context.program(scaleSource()).kernel("scale")
    let buffer = try context.makeBuffer(byteCount: 64)
    let arguments: [KernelArgument] = [.buffer(buffer), .buffer(buffer), .float(1)]
    let refused = #expect(throws: TileCLError.self) {
      try context.queue.launch(kernel, global: [1], local: [1], [.local(byteCount: 4), .buffer(buffer), .float(1)])
    }
    #expect(refused?.call?.hasPrefix("clSetKernelArg(0") == true)
    #expect(refused?.kernel == "scale" && refused?.device == context.device.name)
    for (global, local) in [([5], [2]), ([0], [1]), ([4], [0]), ([4, 4], [2]), ([1, 1, 1, 1], [1, 1, 1, 1])] {
      let error = #expect(throws: TileCLError.self) {
        try context.queue.launch(kernel, global: global, local: local, arguments)
      }
      #expect(error?.code == .invalidArgument)
    }
    let huge = kernel.maximumWorkGroupSize * 2
    let error = #expect(throws: TileCLError.self) {
      try context.queue.launch(kernel, global: [huge], local: [huge], arguments)
    }
    #expect(error?.code == .limitExceeded)
    let count = #expect(throws: TileCLError.self) {
      try context.queue.launch(kernel, global: [1], local: [1], [.float(1)])
    }
    #expect(count?.argument == "arguments")
  }

  @Test func manyThreadsLaunchOneKernel() async throws {
    let context = try makeContext()
    let program = try context.program(scaleSource())
    let values = (0..<64).map(Float.init)
    try await withThrowingTaskGroup(of: Bool.self) { group in
      for factor in 1...32 {
        group.addTask {
          let kernel = try program.kernel("scale")
          let result = try runScale(kernel, context, values: values, factor: Float(factor))
          return result == values.map { $0 * Float(factor) }
        }
      }
      for try await isRight in group { #expect(isRight) }
    }
  }

  @Test func oneBuildServesAllThreads() async throws {
    let context = try makeContext()
    let programs = try await withThrowingTaskGroup(of: Program.self) { group in
      for _ in 0..<8 { group.addTask { try context.program(scaleSource(3)) } }
      return try await group.reduce(into: []) { $0.append($1) }
    }
    #expect(programs.allSatisfy { $0 === programs[0] })
  }

  @Test func kernelFolderReplacesTheEmbeddedFiles() throws {
    let folder = try TemporaryDirectory()
    try FileSystem.writeAtomically(Array(scaleText.utf8), to: folder.path + "/edited.cl")
    let context = try makeContext(["TILECL_KERNEL_DIR": folder.path])
    let kernel = try context.program(ProgramSource(files: ["edited.cl"], defines: ["UNIT": 5])).kernel("scale")
    #expect(try runScale(kernel, context, values: [1], factor: 1) == [5])
  }

  @Test func dumpsWhatWasBuilt() throws {
    let folder = try TemporaryDirectory()
    let context = try makeContext(["TILECL_DUMP_DIR": folder.path + "/dump"])
    _ = try context.program(scaleSource())
    let files = FileSystem.list(folder.path + "/dump").map(\.name)
    #expect(files.contains { $0.hasSuffix(".cl") })
    let text = try #require(files.first { $0.hasSuffix(".cl") })
    let content = String(decoding: try FileSystem.read(folder.path + "/dump/" + text), as: UTF8.self)
    #expect(content.contains("-DUNIT=1") && content.contains("#line 1 \"scale.cl\""))
  }
}

@Suite(.enabled(if: TestEngines.hasOpenCL)) struct ProgramStoreTests {
  private func store(_ context: Context, _ cache: ProgramCache) -> ProgramStore {
    ProgramStore(context: context.handle, environment: context.environment, logger: Logger(label: "test"), cache: cache)
  }

  @Test func aSecondStoreLoadsWhatTheFirstBuilt() throws {
    let folder = try TemporaryDirectory()
    let cache = ProgramCache(directory: folder.path + "/programs")
    let context = try makeContext()
    #expect(try !store(context, cache).program(scaleSource(2)).isFromCache)
    #expect(cache.entries().count == 1)
    let loaded = try store(context, cache).program(scaleSource(2))
    #expect(loaded.isFromCache)
    #expect(try runScale(loaded.kernel("scale"), context, values: [3], factor: 1) == [6])
    #expect(try !store(context, cache).program(scaleSource(4)).isFromCache, "another key")
    #expect(try cache.clear() == 2)
    #expect(cache.entries().isEmpty)
  }

  @Test(arguments: ["cut", "flipped", "garbage", "empty", "sound frame around no program"])
  func aDamagedEntryIsBuiltAgain(damage: String) throws {
    let folder = try TemporaryDirectory()
    let cache = ProgramCache(directory: folder.path)
    let context = try makeContext()
    _ = try store(context, cache).program(scaleSource(2))
    let name = try #require(cache.entries().first?.name)
    let path = folder.path + "/" + name
    var content = try FileSystem.read(path)
    switch damage {
    case "cut": content.removeLast(content.count / 3)
    case "flipped": content[content.count - 5] ^= 0x10
    case "garbage": content = Array("hello".utf8)
    case "empty": content = []
    default:
      let source = scaleSource(2)
      let key = ProgramCache.Key(fields: [
        "device", source.optionString(context.environment), context.device.platform.name,
        context.device.platform.version, context.device.name, context.device.version, context.device.driverVersion,
        try source.expanded(directory: nil),
      ])
      #expect(cache.path(key) == path)
      try cache.store(Array("not a program".utf8), for: key)
      content = try FileSystem.read(path)
    }
    try FileSystem.writeAtomically(content, to: path)
    let program = try store(context, cache).program(scaleSource(2))
    #expect(!program.isFromCache)
    #expect(try runScale(program.kernel("scale"), context, values: [3], factor: 1) == [6])
    #expect(try store(context, cache).program(scaleSource(2)).isFromCache, "the entry should have been mended")
  }

  @Test func aFolderThatCannotBeWrittenCostsNothing() throws {
    let context = try makeContext()
    let program = try store(context, ProgramCache(directory: "/proc/nowhere")).program(scaleSource(2))
    #expect(try runScale(program.kernel("scale"), context, values: [3], factor: 1) == [6])
  }
}

@Suite struct RetargetingTests {
  @Test func rewritesTargetMarkersAndRegisterBounds() throws {
    let ptx = """
      .version 9.0
      .target sm_90, texmode_independent
      .entry k()
      .reqntid 128, 1, 1
      {
      \t//@90a wgmma.fence.sync.aligned;
      \tadd.f32 %f1, %f2, %f3; // sm_90, stays
      }
      """
    let expected = """
      .version 9.0
      .target sm_90a, texmode_independent
      .entry k()
      .minnctapersm 1
      .reqntid 128, 1, 1
      {
      wgmma.fence.sync.aligned;
      \tadd.f32 %f1, %f2, %f3; // sm_90, stays
      }
      """
    let result = try Retargeting.rewrite(Array(ptx.utf8) + [0])
    #expect(String(decoding: result, as: UTF8.self) == expected)
  }

  @Test func aKernelSaysHowManyOfItsGroupsRunAtOnce() throws {
    let ptx = """
      .target sm_90
      .entry a()
      .reqntid 384, 1, 1
      {
      \t//@groups-at-once 3
      }
      .entry b()
      .reqntid 32, 1, 1
      """
    let text = try String(decoding: Retargeting.rewrite(Array(ptx.utf8)), as: UTF8.self)
    #expect(text.contains(".entry a()\n.minnctapersm 3\n.reqntid 384"))
    #expect(text.contains(".entry b()\n.minnctapersm 1\n.reqntid 32"))
  }

  @Test func aTargetThatIsRightAlreadyStays() throws {
    let ptx = ".target sm_90a, texmode_independent\n"
    #expect(try String(decoding: Retargeting.rewrite(Array(ptx.utf8)), as: UTF8.self) == ptx)
  }

  @Test(arguments: ["\u{7F}ELF....", "", ".target sm_80\n", ".target sm_900\n"])
  func otherBinariesAreRefused(binary: String) throws {
    let error = try #require(throws: TileCLError.self) { try Retargeting.rewrite(Array(binary.utf8)) }
    #expect(error.code == .unsupported)
  }

  @Test(
    .enabled(if: TestEngines.hasOpenCL && TestEngines.openCL?.context?.device.capabilities.nvidia?.isHopper != true))
  func otherDevicesAreRefusedBeforeTheirCompilerSeesIt() throws {
    let context = try makeContext()
    let error = try #require(throws: TileCLError.self) {
      try context.program(ProgramSource(files: ["probe/wgmma.hopper.cl"], target: .hopper))
    }
    #expect(error.code == .unsupported)
    #expect(!context.probes.wgmma.isPresent)
    #expect(!context.probes.wgmma.reason.isEmpty)
  }

  private static let isHopper = TestEngines.openCL?.context?.device.capabilities.nvidia?.isHopper == true

  @Test(.enabled(if: isHopper)) func hopperRunsItsOwnInstructions() throws {
    let context = try makeContext()
    #expect(context.probes.inlinePTX.isPresent, "\(context.probes.inlinePTX.reason)")
    #expect(context.probes.wgmma.isPresent, "\(context.probes.wgmma.reason)")
  }
}
