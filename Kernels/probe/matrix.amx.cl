// Probe: may this process use matrix tiles, does the driver take their assembly, and are the numbers right?
//
// Formula:     C[m][n] = sum over k of A[m][k] * B[k][n], bf16 inputs, fp32 accumulation; M = N = 16, K = 32.
// Layout:      in: A, 16 x 32 bf16, row-major; then B, 16 x 16 pairs of bf16, rows 2k and 2k + 1 side by side.
//              out: C, 16 x 16 floats, row-major; all zeros without leave.
// Work-group:  1 x 1 x 1. Local memory: 64 bytes. Tunables: none.
// Requires:    Linux on an x86-64 CPU whose flags name amx_tile and amx_bf16; no other compiler may see this file.
//
// Linux gives a process the tiles when it asks, arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA), and stops one that
// uses them unasked (Linux, Documentation/arch/x86/xstate.rst). It counts for all threads, and lasts.

__kernel void tilecl_probe_matrix(__global const uint *in, __global float *out)
{
  __local uchar config[64];
  long refused;
  __asm volatile("syscall" : "=a"(refused) : "a"(158l), "D"(0x1023l), "S"(18l) : "rcx", "r11", "memory");
  for (int i = 0; i < 256; ++i)
    out[i] = 0.0f;
  if (refused)
    return;
  for (int i = 0; i < 64; ++i)
    config[i] = i == 0 ? 1 : i >= 16 && i < 32 ? (i % 2 == 0 ? 64 : 0) : i >= 48 && i < 56 ? 16 : 0;
  __asm volatile("ldtilecfg (%0)\n tilezero %%tmm0\n tileloadd (%1,%4,1), %%tmm1\n tileloadd (%2,%4,1), %%tmm2\n"
                 "tdpbf16ps %%tmm2, %%tmm1, %%tmm0\n tilestored %%tmm0, (%3,%4,1)\n tilerelease"
                 : : "r"((ulong)config), "r"((ulong)in), "r"((ulong)(in + 256)), "r"((ulong)out), "r"(64ul)
                 : "memory");
}
