import Foundation
import Testing
import TileCL
import TileCLTestSupport

@Suite struct EngineTests {
  @Test func theReferenceNeedsNoOpenCL() throws {
    let engine = try Engine(environment: Environment(variables: ["TILECL_BACKEND": "reference"]))
    #expect(engine.context == nil)
    #expect(engine.name == "reference")
    try engine.synchronize()
  }

  @Test func anUnknownDeviceIsAnErrorAndNoFallback() throws {
    let environment = try Environment(variables: ["TILECL_DEVICE": "::abacus"])
    let error = try #require(throws: TileCLError.self) { try Engine(environment: environment) }
    #expect(error.code == .noDevice)
  }

  @Test(.enabled(if: !TestEngines.hasOpenCL))
  func withoutOpenCLOnlyAutoFallsBack() throws {
    #expect(try Engine(environment: Environment(variables: [:])).context == nil)
    let error = try #require(throws: TileCLError.self) {
      try Engine(environment: Environment(variables: ["TILECL_BACKEND": "opencl"]))
    }
    #expect(error.code == .noDevice)
  }

  @Test(.enabled(if: TestEngines.hasOpenCL))
  func everyOperationHasAKernel() throws {
    let context = try #require(TestEngines.openCL?.context)
    for operation in OperationKind.allCases {
      let variant = try KernelTable.choose(operation, on: context)
      #expect(variant.operation == operation)
    }
    for file in KernelTable.rows.flatMap(\.files) { #expect(try !KernelLibrary.text(file).isEmpty) }
  }

  @Test(.enabled(if: TestEngines.hasOpenCL))
  func aVariantIsForcedOrAnError() throws {
    let device = try #require(TestEngines.openCL?.context?.device)
    func context(_ variant: String) throws -> Context {
      try Context(device: device, environment: Environment(variables: ["TILECL_VARIANT": variant]))
    }
    #expect(try KernelTable.candidates(.attention, on: context("portable")).map(\.name) == ["portable"])
    let unknown = try #require(throws: TileCLError.self) {
      try KernelTable.choose(.attention, on: context("abacus"))
    }
    #expect(unknown.code == .environment)
    #expect(unknown.message.contains("hopper, portable"))

    let hopper = try context("hopper")
    #expect(try KernelTable.choose(.quantizedMatmul, on: hopper).name == "portable", "there is no such row")
    if hopper.probes.wgmma.isPresent {
      #expect(try KernelTable.candidates(.attention, on: hopper).map(\.name) == ["hopper", "portable"])
    } else {
      let missing = try #require(throws: TileCLError.self) { try KernelTable.choose(.attention, on: hopper) }
      #expect(missing.code == .unsupported)
      #expect(missing.message.contains(hopper.probes.wgmma.reason))
      #expect(try KernelTable.choose(.attention, on: context("")).name != "hopper")
    }
  }

  @Test(.enabled(if: TestEngines.hasOpenCL))
  func aTuningIsKnownOrAnError() throws {
    let device = try #require(TestEngines.openCL?.context?.device)
    func context(_ tuning: String) throws -> Context {
      try Context(device: device, environment: Environment(variables: ["TILECL_TUNING": tuning]))
    }
    for row in KernelTable.rows {
      #expect(Set(row.tunings).count == row.tunings.count, "names are unique")
      for tuning in row.tunings {
        #expect(throws: Never.self) { try KernelTable.choose(.attention, on: context(tuning)) }
      }
    }
    let unknown = try #require(throws: TileCLError.self) {
      try KernelTable.choose(.attention, on: context("giant"))
    }
    #expect(unknown.code == .environment)
    #expect(unknown.argument == "TILECL_TUNING")
  }
}

/// Taking a capability away must show in the probe's answer and in the choice, whatever the device has.
@Suite(.serialized, .enabled(if: TestEngines.hasOpenCL)) struct DisabledCapabilityTests {
  private func context(_ disabled: String, variant: String = "") throws -> Context {
    let device = try #require(TestEngines.openCL?.context?.device)
    return try Context(
      device: device, environment: Environment(variables: ["TILECL_DISABLE": disabled, "TILECL_VARIANT": variant]))
  }

  @Test(arguments: Probes.Capability.allCases)
  func theProbeSaysWhy(capability: Probes.Capability) throws {
    let answer = try context(capability.rawValue).probes.answer(capability)
    #expect(!answer.isPresent)
    #expect(answer.reason == "TILECL_DISABLE=\(capability.rawValue)")
  }

  @Test(arguments: Probes.Capability.allCases)
  func theNextKernelIsTaken(capability: Probes.Capability) throws {
    let whole = try #require(TestEngines.openCL?.context)
    let context = try context(capability.rawValue)
    for row in KernelTable.rows {
      let rows = try KernelTable.candidates(row.operation, part: row.part, on: context)
      let all = try KernelTable.candidates(row.operation, part: row.part, on: whole)
      // What is left keeps its order, and something is always left.
      #expect(rows == all.filter(rows.contains))
      #expect(rows.last?.requirement == KernelVariant.Requirement.none)
      #expect(rows.contains(row) == KernelTable.verdict(row, on: context).isMet)
    }
  }

  private static let hasAVX512 = TestEngines.openCL?.context?.probes.avx512.isPresent == true

  @Test(.enabled(if: hasAVX512)) func withoutAVX512OtherVectorsAreTaken() throws {
    let problem = try AttentionDescriptor(queryHeads: 1, queryLength: 256, headDimension: 64)
    func variant(_ disabled: String) throws -> String {
      let engine = try Engine(
        device: #require(TestEngines.openCL?.context?.device),
        environment: Environment(variables: ["TILECL_DISABLE": disabled]))
      return try engine.makePlan(problem).variant
    }
    #expect(try variant("") == "avx512")
    #expect(try variant("avx512") == "vector")
  }

  @Test(arguments: [Probes.Capability.avx512bf16, .amx])
  func withoutAVX512ItsExtensionsAreAbsent(capability: Probes.Capability) throws {
    let answer = try context("avx512").probes.answer(capability)
    #expect(!answer.isPresent)
    #expect(answer.reason == "no AVX-512")
  }

  private static let namesBF16 =
    TestEngines.openCL?.context?.device.capabilities.x86Features.contains("avx512_bf16") == true

  @Test(.enabled(if: hasAVX512 && namesBF16)) func dotProductsRunWhereTheFlagsNameThem() throws {
    let answer = try context("").probes.avx512bf16
    #expect(answer.isPresent, "\(answer.reason)")
  }

  @Test func withoutAllOnlyKernelsThatNeedNoneAreLeft() throws {
    let none = Probes.Capability.allCases.map(\.rawValue).joined(separator: ",")
    let context = try context(none)
    for row in KernelTable.rows where row.requirement.capability != nil {
      let verdict = KernelTable.verdict(row, on: context)
      #expect(!verdict.isMet)
      #expect(verdict.reason.contains("TILECL_DISABLE"))
      let left = try KernelTable.candidates(row.operation, part: row.part, on: context)
      #expect(left.allSatisfy { $0.requirement.capability == nil })
      let forced = try self.context(none, variant: row.name)
      let error = try #require(throws: TileCLError.self) {
        try KernelTable.choose(row.operation, part: row.part, on: forced)
      }
      #expect(error.code == .unsupported)
      #expect(error.message.contains("TILECL_DISABLE"))
    }
  }
}

@Suite(.serialized) struct TensorTests {
  @Test(arguments: TestEngines.all)
  func valuesRoundTrip(engine: Engine) throws {
    #expect(try engine.tensor([1, 2, 3, 4, 5, 6] as [Float], shape: [2, 3]).array() == [1, 2, 3, 4, 5, 6])
    #expect(try engine.tensor([-1, 7] as [Int32], shape: [2]).array() == [-1, 7])
    #expect(try engine.tensor([0.5] as [Float16], shape: []).array() == [0.5])
    #expect(try engine.tensor([BFloat16(3)], shape: [1]).array() == [BFloat16(3)])
    #expect(try engine.zeros(UInt8.self, shape: [300]).array() == [UInt8](repeating: 0, count: 300))
    #expect(try engine.zeros(Int8.self, shape: [3]).dtype == .int8)
  }

  @Test(arguments: TestEngines.all)
  func views(engine: Engine) throws {
    let tensor = try engine.tensor((0..<24).map { Float($0) }, shape: [2, 3, 4])
    let row = try tensor.sliced(axis: 0, range: 1..<2).sliced(axis: 1, range: 2..<3)
    #expect(row.isContiguous, "strides of axes with one element are never taken")
    #expect(try row.reshaped([4]).array() == [20, 21, 22, 23])
    let transposed = try tensor.transposed(1, 2)
    #expect(transposed.shape == [2, 4, 3])
    #expect(!transposed.isContiguous)
    #expect(try transposed.array().prefix(6) == [0, 4, 8, 1, 5, 9])
    let slice = try transposed.sliced(axis: 1, range: 1..<3)
    #expect(try slice.array() == [1, 5, 9, 2, 6, 10, 13, 17, 21, 14, 18, 22])
    #expect(try slice.contiguous().reshaped([12]).array() == slice.array())
    #expect(try tensor.reshaped([6, 4]).sliced(axis: 0, range: 5..<6).array() == [20, 21, 22, 23])
  }

  @Test func literalsAreFloats() throws {
    let tensor = try Engine.reference.tensor([1, 2.5], shape: [2])
    #expect(try tensor.array() == [1, 2.5] as [Float])
  }

  @Test func typesThatLieAboutTheirSizeAreRefused() {
    struct Wide: TensorElement {
      static var dtype: DType { .float32 }
      var value: Double = 0
    }
    let error = #expect(throws: TileCLError.self) { try Engine.reference.tensor([Wide()], shape: [1]) }
    #expect(error?.argument == "Element")
  }

  @Test func sizesPastTheHostAreRefused() {
    for shape in [[Int.max], [Int.max - 4096]] {
      let error = #expect(throws: TileCLError.self) { try Engine.reference.zeros(UInt8.self, shape: shape) }
      #expect(error?.code == .limitExceeded)
    }
  }

  @Test("A tensor may have no elements", arguments: TestEngines.all)
  func noElements(engine: Engine) throws {
    for shape in [[0], [0, 5], [3, 0, 2]] {
      let tensor = try engine.zeros(Float.self, shape: shape)
      #expect(tensor.count == 0)
      #expect(tensor.isContiguous)
      #expect(try tensor.array() == [])
      #expect(try engine.tensor([] as [Float], shape: shape).reshaped([0]).array() == [])
    }
    #expect(try engine.zeros(Float.self, shape: [0, 5]).sliced(axis: 1, range: 1..<3).array() == [])
  }

  @Test(arguments: TestEngines.all)
  func badArgumentsAreNamed(engine: Engine) throws {
    func code(_ body: () throws -> some Any) -> (TileCLError.Code?, String?) {
      do {
        _ = try body()
        return (nil, nil)
      } catch let error as TileCLError {
        return (error.code, error.argument)
      } catch {
        return (nil, "\(error)")
      }
    }
    #expect(code { try engine.tensor([1] as [Float], shape: [2]) } == (.invalidArgument, "values"))
    #expect(code { try engine.zeros(Float.self, shape: [4, -1]) } == (.invalidArgument, "tensor.shape[1]"))
    #expect(code { try engine.zeros(Float.self, shape: [-3]) } == (.invalidArgument, "tensor.shape[0]"))
    #expect(code { try engine.zeros(Float.self, shape: [1 << 40, 1 << 40]) } == (.limitExceeded, "tensor"))
    let tensor = try engine.zeros(Float.self, shape: [2, 3])
    #expect(code { try tensor.transposed(0, 2) } == (.invalidArgument, "second"))
    #expect(code { try tensor.sliced(axis: 2, range: 0..<1) } == (.invalidArgument, "axis"))
    #expect(code { try tensor.sliced(axis: 0, range: 1..<3) } == (.outOfRange, "range"))
    #expect(code { try tensor.sliced(axis: 0, range: 1..<1) } == (.outOfRange, "range"))
    #expect(code { try tensor.reshaped([7]) } == (.invalidArgument, "newShape"))
    #expect(code { try tensor.transposed(0, 1).reshaped([6]) } == (.invalidArgument, "self"))
  }

  @Test(.enabled(if: TestEngines.hasOpenCL))
  func tensorsOverTheDevicesLimitAreRefused() throws {
    let device = try #require(TestEngines.openCL?.context?.device)
    let engine = try Engine(device: device, environment: Environment(variables: ["TILECL_MAX_ALLOC": "4K"]))
    #expect(try engine.zeros(Float.self, shape: [1024]).count == 1024)
    let error = try #require(throws: TileCLError.self) { try engine.zeros(Float.self, shape: [1025]) }
    #expect(error.code == .limitExceeded)
    #expect(error.message.contains("4100") && error.message.contains("4096"))
  }

  @Test(arguments: TestEngines.all)
  func sharedMemoryIsReadWhereItStands(engine: Engine) throws {
    final class Owner: @unchecked Sendable {
      let memory: UnsafeMutableBufferPointer<Float>
      init() {
        let raw = UnsafeMutableRawPointer.allocate(byteCount: 4096, alignment: 4096)
        memory = UnsafeMutableBufferPointer(start: raw.bindMemory(to: Float.self, capacity: 1024), count: 1024)
        memory.initialize(repeating: 2)
      }
      deinit { memory.deallocate() }
    }
    let owner = Owner()
    let tensor = try engine.tensor(sharing: owner.memory, shape: [32, 32], keepingAlive: owner)
    #expect(try tensor.array() == [Float](repeating: 2, count: 1024))
    let error = #expect(throws: TileCLError.self) {
      try engine.tensor(sharing: owner.memory, shape: [3], keepingAlive: owner)
    }
    #expect(error?.argument == "memory")
  }
}

@Suite struct KernelFilesTests {
  /// A file that is not embedded would work while edited and be missing when shipped.
  @Test func everyKernelFileIsEmbedded() throws {
    let here = URL(filePath: #filePath)
    let root = here.deletingLastPathComponent().appending(path: "../../../Kernels").standardizedFileURL
    let walk = try #require(FileManager.default.enumerator(at: root, includingPropertiesForKeys: nil))
    let files = walk.compactMap { ($0 as? URL)?.path(percentEncoded: false) }
      .filter { $0.hasSuffix(".cl") || $0.hasSuffix(".clh") }
      .map { String($0.dropFirst(root.path(percentEncoded: false).count)) }
      .map { $0.hasPrefix("/") ? String($0.dropFirst()) : $0 }
    #expect(files.count > 3)
    #expect(files.sorted() == KernelLibrary.paths)
  }
}
