import COpenCL
import Glibc

/// What a device's driver reports: limits, features and vendor facts.
///
/// Facts that only running a kernel can establish are in ``Probes``.
public struct Capabilities: Hashable, Sendable, Codable {
  /// Whether the device can be used now.
  public let isAvailable: Bool
  /// Whether the driver compiles OpenCL C; some accelerators only take what was compiled elsewhere.
  public let hasCompiler: Bool
  /// Compute units: multiprocessors of a GPU, cores of a CPU.
  public let computeUnits: Int
  /// The highest clock, in MHz.
  public let clockMegahertz: Int
  /// Device memory, in bytes.
  public let globalMemory: Int
  /// The most bytes that one buffer may have.
  public let maximumAllocation: Int
  /// Local memory that a kernel's arguments and static arrays may take together, in bytes.
  public let localMemory: Int
  /// The most work-items in one group, whatever the kernel.
  public let maximumWorkGroupSize: Int
  /// The most work-items along each axis of a group.
  public let maximumWorkItemSizes: [Int]
  /// The alignment that buffers start at, in bytes (drivers report it in bits).
  public let baseAddressAlignment: Int
  /// Whether host and device use one memory, so that a host pointer can back a buffer without a copy.
  public let sharesHostMemory: Bool
  /// The OpenCL C version, as "OpenCL C major.minor".
  public let languageVersion: String
  /// Extensions, sorted.
  public let extensions: [String]
  /// Arithmetic on `half`; storing and loading halves works on every device.
  public let halfArithmetic: Bool
  /// Arithmetic on `double`.
  public let doubleArithmetic: Bool
  /// Subgroup functions.
  public let subgroups: Bool
  /// Dot products of packed 8-bit integers.
  public let integerDotProduct: Bool
  /// How many `float`s a vector of the device holds; 1 where items have no vectors.
  public let floatVectorWidth: Int
  /// Facts about an NVIDIA GPU; nil elsewhere.
  public let nvidia: NVIDIA?
  /// Instruction-set extensions of an x86 CPU device, as Linux names them; empty elsewhere.
  public let x86Features: [String]

  /// What NVIDIA's driver tells about its GPU (cl_nv_device_attribute_query).
  public struct NVIDIA: Hashable, Sendable, Codable {
    public let computeCapabilityMajor: Int
    public let computeCapabilityMinor: Int
    public let warpSize: Int

    /// Hopper: wgmma and TMA are instructions of this architecture alone.
    public var isHopper: Bool { computeCapabilityMajor == 9 && computeCapabilityMinor == 0 }
  }

  init(_ info: DeviceInfo, hostProcessor: Bool) throws {
    isAvailable = try info.value(CL_DEVICE_AVAILABLE, cl_bool.self) != 0
    hasCompiler = try info.value(CL_DEVICE_COMPILER_AVAILABLE, cl_bool.self) != 0
    computeUnits = Int(try info.value(CL_DEVICE_MAX_COMPUTE_UNITS, cl_uint.self))
    clockMegahertz = Int(try info.value(CL_DEVICE_MAX_CLOCK_FREQUENCY, cl_uint.self))
    globalMemory = Int(clamping: try info.value(CL_DEVICE_GLOBAL_MEM_SIZE, cl_ulong.self))
    maximumAllocation = Int(clamping: try info.value(CL_DEVICE_MAX_MEM_ALLOC_SIZE, cl_ulong.self))
    localMemory = Int(clamping: try info.value(CL_DEVICE_LOCAL_MEM_SIZE, cl_ulong.self))
    maximumWorkGroupSize = Int(clamping: try info.value(CL_DEVICE_MAX_WORK_GROUP_SIZE, UInt.self))
    maximumWorkItemSizes = try info.sizes(CL_DEVICE_MAX_WORK_ITEM_SIZES)
    baseAddressAlignment = Int(try info.value(CL_DEVICE_MEM_BASE_ADDR_ALIGN, cl_uint.self)) / 8
    sharesHostMemory = try info.value(CL_DEVICE_HOST_UNIFIED_MEMORY, cl_bool.self) != 0
    languageVersion = try info.string(CL_DEVICE_OPENCL_C_VERSION)
    extensions = try info.string(CL_DEVICE_EXTENSIONS).split(separator: " ").map(String.init).sorted()
    halfArithmetic = extensions.contains("cl_khr_fp16")
    doubleArithmetic = extensions.contains("cl_khr_fp64")
    subgroups = extensions.contains { $0 == "cl_khr_subgroups" || $0 == "cl_intel_subgroups" }
    integerDotProduct = extensions.contains("cl_khr_integer_dot_product")
    floatVectorWidth = Int(try info.value(CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT, cl_uint.self))
    nvidia = extensions.contains("cl_nv_device_attribute_query") ? NVIDIA(info) : nil
    x86Features = hostProcessor ? Self.hostFeatures() : []
  }

  /// The CPU flags of this host that kernels may ask about.
  private static func hostFeatures() -> [String] {
    let interesting: Set<Substring> = [
      "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512vl", "avx512_vnni", "avx512_bf16", "avx512_fp16",
      "amx_tile", "amx_int8", "amx_bf16",
    ]
    guard let file = fopen("/proc/cpuinfo", "r") else { return [] }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 8192)
    while fgets(&line, Int32(line.count), file) != nil {
      let text = String(decoding: line.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
      guard text.hasPrefix("flags"), let colon = text.firstIndex(of: ":") else { continue }
      let flags = text[text.index(after: colon)...].split { $0 == " " || $0 == "\n" }
      return flags.filter(interesting.contains).map(String.init).sorted()
    }
    return []
  }
}

extension Capabilities.NVIDIA {
  /// Nil when the driver lists the extension but does not answer.
  fileprivate init?(_ info: DeviceInfo) {
    guard let major = info.optional(CL_DEVICE_COMPUTE_CAPABILITY_MAJOR_NV, cl_uint.self),
      let minor = info.optional(CL_DEVICE_COMPUTE_CAPABILITY_MINOR_NV, cl_uint.self),
      let warp = info.optional(CL_DEVICE_WARP_SIZE_NV, cl_uint.self)
    else { return nil }
    computeCapabilityMajor = Int(major)
    computeCapabilityMinor = Int(minor)
    warpSize = Int(warp)
  }
}
