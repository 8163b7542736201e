/// The plain Swift twin of every operation, in fp64 accumulation, without OpenCL.
public enum Reference {}
