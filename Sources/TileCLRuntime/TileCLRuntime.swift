@_exported public import TileCLCore
