// Probe: does this driver take x86 assembly on 512-bit registers, and does the CPU compute with them?
//
// Formula:     out[i] = a[i] b[i] + c[i], through `vfmadd231ps` on zmm registers.
// Layout:      a: three times 16 floats, a, b and c one after another; out: 16 floats.
// Work-group:  1 x 1 x 1. Local memory: none. Tunables: none.
// Requires:    an x86 CPU whose flags name AVX-512; no other compiler may see this file.

__kernel void tilecl_probe_zmm(__global const float *in, __global float *out)
{
  const float16 a = vload16(0, in);
  const float16 b = vload16(1, in);
  float16 c = vload16(2, in);
  __asm volatile("vfmadd231ps %2, %1, %0" : "+v"(c) : "v"(a), "v"(b));
  vstore16(c, 0, out);
}
