import TileCL

public enum AttentionCases {
  public static let all: [ConformanceCase] = []
}
