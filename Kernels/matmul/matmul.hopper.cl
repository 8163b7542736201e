// Matrix product for NVIDIA Hopper, fp16 or bf16 with fp32 sums: C = alpha A B^T, and with BETA, + beta C.
//
//   C[m, n] = alpha sum_k A[m, k] B[n, k] + beta C[m, n]
//
// A is [M, K] with K contiguous, or with A_TRANSPOSED [K, M] with M contiguous; B is [N, K], or with B_TRANSPOSED
// [K, N]; C is [M, N] with N contiguous, rounded once. Distances between rows of A and B are any multiples of 16 bytes,
// as are addresses; M, N and K are arbitrary. A, B and C go through tensor maps (tilecl_product_maps). Tensor stores
// write whole chunks of 16 bytes, past an end that is not one, so C of other rows is written by work-items (DIRECT).
//
// hopper/products.hopper.clh has the main loop. Sums leave by way of local memory, 64 x 64 of a warpgroup at a time:
// while it writes one such piece, tensor stores take the one before to memory, and the other warpgroups and the copies
// of the next tile go on. With STAGING 0 pieces lie in the rows of A that the warpgroup has just multiplied, whose slot
// it then gives back only after the stores.
//
// Groups take every get_num_groups(0)-th tile; bands of raster_rows tiles of rows come one after the other.
//
// Work-group (WORK_ITEMS, 1, 1), one a multiprocessor. Local memory: STAGES steps of A and B, STAGING pieces
// of 8 KiB for each computing warpgroup, barriers.
//
// Tunables: those of the main loop, of which STAGING_BYTES is STAGING * CONSUMERS * 8192.
//
// Preconditions: M, N, K in 1 ... 2^30, raster_rows at least 1; unless DIRECT, address and distance of the rows of C
// and their own bytes are multiples of 16.
//
// Program parts: common/storage.clh, hopper/instructions.hopper.clh, hopper/products.hopper.clh, this file.
//
// Needs: ../hopper/instructions.hopper.clh
// Needs: ../hopper/products.hopper.clh
// Check: -D BETA=1 -D STAGES=3 -D STAGING_BYTES=32768
// Check: -D CONSUMERS=3 -D TILE_COLUMNS=256 -D STAGES=4 -D SELF_FED=1
// Check: -D ROW_BLOCKS=2 -D TILE_COLUMNS=200 -D STAGES=3 -D BETA=1
// Check: -D DIRECT=1 -D STAGES=3 -D BETA=1

// Pieces of 64 x 64 outputs in local memory for each computing warpgroup.
#define STAGING (STAGING_BYTES / (CONSUMERS * BLOCK_BYTES))
#ifndef BETA  // whether what C holds takes part
#define BETA 0
#endif
#ifndef DIRECT  // whether work-items write C themselves
#define DIRECT 0
#endif
// Of a tile's columns, in eights, those from here on are written by work-items: a store of 64 would pass them.
#define FIRST_DIRECT (DIRECT ? 0 : TILE_COLUMNS / 64 * 8)

// The pieces that a warpgroup has room for.
#define PIECES (STAGING > 0 ? STAGING : ROW_BLOCKS)

#if BETA
#define BETA_PARAMETER , const float beta
#define BETA_ARGUMENT , beta
#define OLD_PARAMETERS , __global const storage_t *old, const bool has_low, const bool has_high, const float beta
#define OLD(r, across) , at[r] + (across), has_rows[r] && (across) < left, has_rows[r] && (across) + 1 < left, beta
#else
#define BETA_PARAMETER
#define BETA_ARGUMENT
#define OLD_PARAMETERS
#define OLD(r, across)
#endif

// Two neighbours of C, which `old` points to; those beyond its end are not read.
static inline uint result(const float low, const float high, const float alpha OLD_PARAMETERS)
{
#if BETA
  const float old_low = has_low ? load_storage(old, 0) : 0.0f;
  const float old_high = has_high ? load_storage(old, 1) : 0.0f;
  return packed(fma(alpha, low, beta * old_low), fma(alpha, high, beta * old_high));
#else
  return packed(alpha * low, alpha * high);
#endif
}

// Takes the sums of a warpgroup's rows, from `row` on, to memory.
static inline void store_sums(const uint base, const int slot, const int warpgroup, float sums[ROW_BLOCKS][SUMS],
                              const ulong c_map, __global storage_t *c, const ulong c_stride, const int row,
                              const int column, const int rows, const int columns, const float alpha BETA_PARAMETER)
{
  const int item = (int)get_local_id(0) & 127;
  const int own_row = item / 32 * 16 + item % 32 / 4;
  const uint pieces = STAGING > 0 ? base + STAGING_BASE + warpgroup * PIECES * BLOCK_BYTES
                                  : base + slot * STAGE_BYTES + warpgroup * PIECES * BLOCK_BYTES;
#pragma unroll
  for (int i = 0; i < ROW_BLOCKS; ++i) {
#if BETA || FIRST_DIRECT < TILE_COLUMNS / 8
    const int first_row = row + 64 * i + own_row;
    const int own_column = 2 * (item % 4);
    const int left = columns - column - own_column;
    const bool has_rows[2] = {first_row < rows, first_row + 8 < rows};
    __global storage_t *const first = c + (ulong)first_row * c_stride + column + own_column;
    __global storage_t *const at[2] = {first, first + 8 * c_stride};
#endif
#if FIRST_DIRECT < TILE_COLUMNS / 8
#pragma unroll
    for (int j = FIRST_DIRECT; j < TILE_COLUMNS / 8; ++j)
#pragma unroll
      for (int r = 0; r < 2; ++r) {
        const bool has_low = has_rows[r] && 8 * j < left;
        const bool has_high = has_rows[r] && 8 * j + 1 < left;
        const uint both = result(sums[i][4 * j + 2 * r], sums[i][4 * j + 2 * r + 1], alpha OLD(r, 8 * j));
        if (!DIRECT && has_high) {
          *(__global uint *)(at[r] + 8 * j) = both;
        } else {
          __global ushort *const words = (__global ushort *)(at[r] + 8 * j);
          if (has_low)
            words[0] = (ushort)(both & 0xffff);
          if (has_high)
            words[1] = (ushort)(both >> 16);
        }
      }
#endif
#pragma unroll
    for (int g = 0; g < FIRST_DIRECT / 8; ++g) {
      const uint piece = pieces + (i * (TILE_COLUMNS / 64) + g) % PIECES * BLOCK_BYTES;
      // Pieces begin at multiples of 1024, so the swizzle of a chunk's number is one of its address.
      const uint place = piece + own_row * 128 + own_row % 8 * 16 + item % 4 * 4;
      if (item == 0)
        WAIT_STORES_READ_BUT(PIECES - 1);
      MEET(1 + warpgroup, 128);
#pragma unroll
      for (int j = 0; j < 8; ++j) {
        const float *own = sums[i] + 32 * g + 4 * j;
        const uint chunk = place ^ (uint)(j << 4);
        store_local(chunk, result(own[0], own[1], alpha OLD(0, 64 * g + 8 * j)));
        store_local(chunk + 8 * 128, result(own[2], own[3], alpha OLD(1, 64 * g + 8 * j)));
      }
      FENCE_ASYNC();
      MEET(1 + warpgroup, 128);
      if (item == 0)
        store_box(c_map, column + 64 * g, row + 64 * i, piece);
    }
  }
}

__kernel __attribute__((reqd_work_group_size(WORK_ITEMS, 1, 1)))
void tilecl_matmul_hopper(
    __global const uchar *maps, __global storage_t *c, const ulong c_offset, const ulong c_stride, const int rows,
    const int columns, const int depth, const int raster_rows, const float alpha BETA_PARAMETER)
{
  GROUPS_AT_ONCE(1);
  __local uchar memory[LOCAL_BYTES] __attribute__((aligned(1024)));
  const uint base = LOCAL_ADDRESS(memory);
  const int thread = (int)get_local_id(0);
  // The same in a whole warp, which the compiler has to know.
  const int warp = (int)from_first_lane((uint)thread / 32);
  const int warpgroup = warp / 4 - !SELF_FED;
  const work_t work = {(ulong)maps, CEIL_DIV(rows, TILE_ROWS), CEIL_DIV(columns, TILE_COLUMNS), TILE_COLUMNS,
                       (uint)columns, raster_rows, CEIL_DIV(depth, STEP_DEPTH)};
  cursor_t next;
  start_ring(base, &next, &work);

#if !SELF_FED
  if (warpgroup < 0) {
    GIVE_REGISTERS(COPYING_REGISTERS);
    if (thread == 0)
      fill_stages(base, &next, &work);
  } else
#endif
  {
#if !SELF_FED
    TAKE_REGISTERS(COMPUTING_REGISTERS);
#endif
    const ulong a = own_rows(base, warpgroup);
    const ulong b = all_columns(base);
    const ulong c_map = work.maps + 256;
    float sums[ROW_BLOCKS][SUMS];
    ring_t ring = {0, 0};
    if (!DIRECT && thread % 128 == 0)
      acquire_map(c_map);
    FOR_EACH_ITEM(number, work) {
      const int slot = multiply(base, &ring, sums, a, b, &next, &work);
      if (STAGING > 0)
        release_stage(base, slot, &next, &work);
      const item_t item = item_of(number, &work);
      store_sums(base, slot, warpgroup, sums, c_map, c + c_offset, c_stride, item.row + warpgroup * OWN_ROWS,
                 (int)item.column, rows, columns, alpha BETA_ARGUMENT);
      if (STAGING == 0) {
        if (thread % 128 == 0)
          WAIT_STORES_READ();
        MEET(1 + warpgroup, 128);
        release_stage(base, slot, &next, &work);
      }
    }
    if (STAGING > 0 && thread % 128 == 0)
      WAIT_STORES_READ();
  }
}
