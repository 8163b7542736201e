// Probe: does a program retargeted to sm_90a run warpgroup matrix instructions, and are the numbers right?
//
// Formula:     C[m][n] = sum over k of A[m][k] * B[n][k], bf16 inputs, fp32 accumulation; M = N = K = 64.
// Layout:      A, B: 64 x 64 bf16, row-major; C: 64 x 64 float, row-major.
//              In local memory a row of 64 bf16 is 128 bytes; its 16-byte chunks stand in the 128-byte swizzle,
//              chunk c of row r at c ^ (r & 7) (PTX ISA, "Asynchronous Warpgroup Level Matrix Shared Memory Layout").
// Work-group:  128 x 1 x 1, one warpgroup. Local memory: 16 KiB, static. Tunables: none.
// Requires:    compute capability 9.0, built with the Hopper target; no other compiler may see this file.

#define ROWS 64
#define DEPTH 64
#define DEPTH_PER_INSTRUCTION 16

// A matrix descriptor: start address, 1024 bytes between groups of 8 rows, 128-byte swizzle.
static inline ulong descriptor(uint address)
{
  return (ulong)((address & 0x3ffffu) >> 4) | (ulong)1 << 16 | (ulong)(1024 >> 4) << 32 | (ulong)1 << 62;
}

static inline void load_swizzled(__local uchar *to, __global const uchar *from, uint item)
{
  // 512 chunks of 16 bytes, four for each work-item.
  for (uint chunk = item; chunk < ROWS * 8; chunk += 128) {
    const uint row = chunk >> 3;
    const uint place = row * 128 + (((chunk & 7) ^ (row & 7)) << 4);
    *(__local uint4 *)(to + place) = *(__global const uint4 *)(from + chunk * 16);
  }
}

__attribute__((reqd_work_group_size(128, 1, 1)))
__kernel void tilecl_probe_wgmma(__global const uchar *a, __global const uchar *b, __global float *c)
{
  __local uchar tile_a[ROWS * 128] __attribute__((aligned(1024)));
  __local uchar tile_b[ROWS * 128] __attribute__((aligned(1024)));
  const uint item = (uint)get_local_id(0);

  load_swizzled(tile_a, a, item);
  load_swizzled(tile_b, b, item);
  // wgmma reads through the asynchronous proxy, which ordinary stores reach only after this fence.
  __asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
  barrier(CLK_LOCAL_MEM_FENCE);

  float d[32];
  for (uint i = 0; i < 32; i++) d[i] = 0.0f;

  __asm volatile("//@90a wgmma.fence.sync.aligned;\n" ::: "memory");
#pragma unroll
  for (uint k = 0; k < DEPTH / DEPTH_PER_INSTRUCTION; k++) {
    const ulong da = descriptor((uint)(ulong)tile_a + k * DEPTH_PER_INSTRUCTION * 2);
    const ulong db = descriptor((uint)(ulong)tile_b + k * DEPTH_PER_INSTRUCTION * 2);
    __asm volatile(
        "//@90a wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 "
        "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,"
        "%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31}, %32, %33, 1, 1, 1, 0, 0;\n"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]), "+f"(d[4]), "+f"(d[5]), "+f"(d[6]), "+f"(d[7]),
          "+f"(d[8]), "+f"(d[9]), "+f"(d[10]), "+f"(d[11]), "+f"(d[12]), "+f"(d[13]), "+f"(d[14]), "+f"(d[15]),
          "+f"(d[16]), "+f"(d[17]), "+f"(d[18]), "+f"(d[19]), "+f"(d[20]), "+f"(d[21]), "+f"(d[22]), "+f"(d[23]),
          "+f"(d[24]), "+f"(d[25]), "+f"(d[26]), "+f"(d[27]), "+f"(d[28]), "+f"(d[29]), "+f"(d[30]), "+f"(d[31])
        : "l"(da), "l"(db));
  }
  __asm volatile("//@90a wgmma.commit_group.sync.aligned;\n" ::: "memory");
  __asm volatile("//@90a wgmma.wait_group.sync.aligned 0;\n" ::: "memory");

  // Accumulator fragment: warp w holds rows 16w ... 16w + 15; see the PTX ISA's figure for .m64nNk16.
  const uint row = (item >> 5) * 16 + ((item & 31) >> 2);
  const uint column = (item & 3) * 2;
  for (uint j = 0; j < 8; j++) {
    c[row * 64 + column + j * 8] = d[j * 4];
    c[row * 64 + column + j * 8 + 1] = d[j * 4 + 1];
    c[(row + 8) * 64 + column + j * 8] = d[j * 4 + 2];
    c[(row + 8) * 64 + column + j * 8 + 1] = d[j * 4 + 3];
  }
}
