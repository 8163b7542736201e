// Probe: does this NVIDIA driver take inline PTX in OpenCL C, and compute with it?
//
// Formula:     out[i] = in[i] rotated left by i bits, through `shf.l.wrap.b32`.
// Layout:      in, out: 32 uints.
// Work-group:  32 x 1 x 1. Local memory: none. Tunables: none.
// Requires:    an NVIDIA device; no other compiler may see this file.

__kernel void tilecl_probe_inline_ptx(__global const uint *in, __global uint *out)
{
  const uint i = (uint)get_global_id(0);
  const uint x = in[i];
  uint y;
  __asm volatile("shf.l.wrap.b32 %0, %1, %1, %2;" : "=r"(y) : "r"(x), "r"(i));
  out[i] = y;
}
