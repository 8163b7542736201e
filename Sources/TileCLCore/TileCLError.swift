/// An error that says what failed, where, and how to mend it.
///
/// Every failure that input, a file, the environment or a driver can cause is thrown as this type. The fields about
/// OpenCL are filled by the runtime whenever a driver was involved, so that a report of ``description`` is enough to
/// reproduce the failure.
public struct TileCLError: Error, Hashable, Sendable {
  /// The kind of a failure; new kinds may be added in any release.
  public struct Code: Hashable, Sendable, RawRepresentable, CustomStringConvertible {
    public let rawValue: String

    public init(rawValue: String) {
      self.rawValue = rawValue
    }

    public var description: String { rawValue }

    /// An argument has a value, shape or type that the call does not take.
    public static let invalidArgument = Code(rawValue: "invalidArgument")
    /// An index or target lies outside the range that it points into.
    public static let outOfRange = Code(rawValue: "outOfRange")
    /// A size exceeds a limit of the device, or of this package.
    public static let limitExceeded = Code(rawValue: "limitExceeded")
    /// The device or the driver lacks something that the call needs.
    public static let unsupported = Code(rawValue: "unsupported")
    /// No OpenCL loader, no platform, or no device that matches what was asked for.
    public static let noDevice = Code(rawValue: "noDevice")
    /// An environment variable of this package has a value that it does not take.
    public static let environment = Code(rawValue: "environment")
    /// An OpenCL call returned an error.
    public static let openCL = Code(rawValue: "openCL")
    /// A kernel did not compile; ``TileCLError/log`` is the compiler's whole log.
    public static let programBuild = Code(rawValue: "programBuild")
    /// A file could not be read or written.
    public static let file = Code(rawValue: "file")
    /// A file's content does not follow its format.
    public static let fileFormat = Code(rawValue: "fileFormat")
  }

  /// The kind of the failure.
  public var code: Code
  /// What failed, with the values involved.
  public var message: String
  /// The argument, field or variable at fault, if one is.
  public var argument: String?
  /// What to do about it.
  public var hint: String?
  /// The OpenCL function that failed.
  public var call: String?
  /// The status that it returned, a negative number.
  public var status: Int32?
  /// The kernel or program involved.
  public var kernel: String?
  /// The name of the device.
  public var device: String?
  /// The version of the device's driver.
  public var driver: String?
  /// The build options in force.
  public var options: String?
  /// The complete build log.
  public var log: String?

  public init(_ code: Code, _ message: String, argument: String? = nil, hint: String? = nil) {
    self.code = code
    self.message = message
    self.argument = argument
    self.hint = hint
  }

  /// An error about one argument: its name, the value it had, and what is allowed.
  public static func invalid(
    _ argument: String, _ value: some Any, allowed: String, hint: String? = nil
  ) -> TileCLError {
    TileCLError(
      .invalidArgument, "\(argument) is \(value); allowed: \(allowed)", argument: argument, hint: hint)
  }
}

extension TileCLError: CustomStringConvertible {
  /// All fields that are set, one a line, the log last.
  public var description: String {
    var lines = ["\(code): \(message)"]
    if let call { lines.append("  call: \(call)") }
    if let kernel { lines.append("  kernel: \(kernel)") }
    if let device { lines.append("  device: \(device)\(driver.map { ", driver \($0)" } ?? "")") }
    if let options, !options.isEmpty { lines.append("  options: \(options)") }
    if let hint { lines.append("  hint: \(hint)") }
    if let log, !log.isEmpty { lines.append("  build log:\n\(log)") }
    return lines.joined(separator: "\n")
  }
}
