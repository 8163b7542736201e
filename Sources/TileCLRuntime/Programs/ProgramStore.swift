import COpenCL
import Logging
import Synchronization
import TileCLCore

/// Builds each program of a context once, whoever asks, from the cache on disk where it can.
final class ProgramStore: Sendable {
  /// The place of one program; its lock makes threads that ask for the same program wait for one build.
  private final class Slot: Sendable {
    let program = Mutex<Program?>(nil)
  }

  private let context: ContextHandle
  private let environment: Environment
  private let logger: Logger
  private let cache: ProgramCache?
  private let slots = Mutex<[ProgramSource: Slot]>([:])
  private let builds = Atomic<Int>(0)

  init(context: ContextHandle, environment: Environment, logger: Logger, cache: ProgramCache?) {
    self.context = context
    self.environment = environment
    self.logger = logger
    self.cache = cache
  }

  /// How many times a program was built, or taken from the cache on disk.
  var buildCount: Int { builds.load(ordering: .relaxed) }

  func program(_ source: ProgramSource) throws -> Program {
    let slot = slots.withLock { slots in
      let slot = slots[source] ?? Slot()
      slots[source] = slot
      return slot
    }
    return try slot.program.withLock { program in
      if let program { return program }
      let built = try build(source)
      program = built
      return built
    }
  }

  private func build(_ source: ProgramSource) throws -> Program {
    builds.wrappingAdd(1, ordering: .relaxed)
    let text = try source.expanded(directory: environment.kernelDirectory)
    let options = source.optionString(environment)
    let key = ProgramCache.Key(
      fields: [source.target.cacheIdentity, options] + context.device.cacheIdentity + [text])
    if let program = cached(source, key, options) { return program }

    let clock = ContinuousClock()
    let start = clock.now
    var program: ProgramHandle
    var log: String
    do {
      switch source.target {
      case .device:
        program = try ProgramHandle.compiling(text, context: context)
        log = try program.build(options, name: source.name)
      case .hopper:
        (program, log) = try Retargeting.build(text, options: options, name: source.name, context: context)
      }
      log = BuildLog.located(log, in: text)
    } catch var error as TileCLError {
      error.log = error.log.map { BuildLog.located($0, in: text) }
      throw error
    }
    logger.debug("built \(source.name) [\(options)] in \(clock.now - start)")
    if let cache {
      do {
        try cache.store(try program.binary(), for: key)
      } catch {
        // A cache that cannot be written costs time on the next start and nothing else.
        logger.debug("not cached: \(error)")
      }
    }
    dump(source, text: text, options: options, program: program)
    return Program(source: source, handle: program, buildLog: log, isFromCache: false)
  }

  /// The program of a sound cache entry; any fault means that there is none.
  private func cached(_ source: ProgramSource, _ key: ProgramCache.Key, _ options: String) -> Program? {
    guard let cache, environment.dumpDirectory == nil, let binary = cache.binary(for: key) else { return nil }
    do {
      let program = try ProgramHandle.loading(binary, context: context)
      let log = try program.build(options, name: source.name)
      return Program(source: source, handle: program, buildLog: log, isFromCache: true)
    } catch {
      logger.debug("cached \(source.name) was refused and is built again: \(error)")
      return nil
    }
  }

  /// Writes what was built where `TILECL_DUMP_DIR` says.
  private func dump(_ source: ProgramSource, text: String, options: String, program: ProgramHandle) {
    guard let directory = environment.dumpDirectory else { return }
    let stem = source.name.map { $0 == "/" ? "-" : String($0) }.joined()
    let path = "\(directory)/\(stem)-\(ProgramCache.Key(fields: [options, text]).fileName)"
    do {
      try FileSystem.makeDirectory(directory)
      try FileSystem.writeAtomically(Array("// \(options)\n\(text)".utf8), to: path + ".cl")
      try FileSystem.writeAtomically(try program.binary(), to: path + ".bin")
    } catch {
      logger.warning("not dumped: \(error)")
    }
  }
}

extension ProgramSource.Target {
  /// What a binary depends on besides the driver's compiler.
  fileprivate var cacheIdentity: String {
    switch self {
    case .device: rawValue
    case .hopper: "\(rawValue), \(Retargeting.version)"
    }
  }
}

extension Device {
  /// What a binary depends on besides source and options.
  fileprivate var cacheIdentity: [String] {
    [platform.name, platform.version, name, version, driverVersion]
  }
}
