@_exported public import TileCLCore
@_exported public import TileCLReference
@_exported public import TileCLRuntime
