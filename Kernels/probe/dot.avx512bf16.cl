// Probe: does this driver take the assembly of AVX512_BF16, and does the CPU compute with it?
//
// Formula:     out[i] = c[i] + a[2i] b[0] + a[2i + 1] b[1], bf16 inputs, fp32 sums, through `vdpbf16ps`.
// Layout:      in: words, 16 of a, two bf16 each, the first one in the lower half; 16 floats c; one word of b.
//              out: 16 floats.
// Work-group:  1 x 1 x 1. Local memory: none. Tunables: none.
// Requires:    an x86 CPU whose flags name avx512_bf16; no other compiler may see this file.
//
// Needs: ../common/vectors.clh
// Needs: ../x86/dot.avx512bf16.clh

__kernel void tilecl_probe_dot(__global const uint *in, __global float *out)
{
  vstore16(dot_pairs(as_float16(vload16(1, in)), vload16(0, in), in[32]), 0, out);
}
