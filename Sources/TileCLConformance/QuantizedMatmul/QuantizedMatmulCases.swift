import TileCL

public enum QuantizedMatmulCases {
  public static let all: [ConformanceCase] = []
}
