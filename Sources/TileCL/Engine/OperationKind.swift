/// The operations of this package; a raw value is the stem of the operation's files.
public enum OperationKind: String, Hashable, Sendable, CaseIterable, Codable {
  case attention
  case linearCrossEntropy = "linear_cross_entropy"
  case linearDistillation = "linear_distillation"
  case quantizedMatmul = "quantized_matmul"
  case matmul
  case embedding
  case rmsNorm = "rms_norm"
  case rotary
  case swiglu
  case adamW = "adamw"
  case elementwise
}
