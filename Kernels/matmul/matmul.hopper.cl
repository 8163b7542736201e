// Matrix product for NVIDIA Hopper, fp16 or bf16 with fp32 sums.
//
//   C[m, n] = alpha sum_k A[m, k] B[n, k] + beta C[m, n] + bias[n]      with BETA, with BIAS
//
// A is [M, K] with K contiguous, or with A_TRANSPOSED [K, M] with M contiguous; B is [N, K], or with B_TRANSPOSED
// [K, N]; C is [M, N] with N contiguous, rounded once. Distances between rows of A and B are any multiples of 16 bytes,
// as are addresses; M, N and K are arbitrary. A, B and C go through tensor maps (tilecl_product_maps). Tensor stores
// write whole chunks of 16 bytes, past an end that is not one, so C of other rows is written by work-items (DIRECT), as
// is C of another type than A and B (OUTPUT).
//
// hopper/products.hopper.clh has the main loop. Sums leave by way of local memory, 64 x 64 of a warpgroup at a time:
// while it writes one such piece, tensor stores take the one before to memory, and the other warpgroups and the copies
// of the next tile go on. With STAGING 0 pieces lie in the rows of A that the warpgroup has just multiplied, whose slot
// it then gives back only after the stores.
//
// Groups take every get_num_groups(0)-th tile; bands of raster_rows tiles of rows come one after the other.
//
// Work-group (WORK_ITEMS, 1, 1), one a multiprocessor. Local memory: STAGES steps of A and B, STAGING_BYTES, barriers.
//
// Tunables: those of the main loop, of which STAGING_BYTES is a multiple of CONSUMERS * 8192, a piece for each.
//
// Preconditions: M, N, K in 1 ... 2^30, raster_rows at least 1; unless DIRECT, address and distance of the rows of C
// and their own bytes are multiples of 16.
//
// Program parts: common/storage.clh, common/vectors.clh, common/output.clh, hopper/instructions.hopper.clh,
// hopper/products.hopper.clh, this file.
//
// Needs: ../common/vectors.clh
// Needs: ../common/output.clh
// Needs: ../hopper/instructions.hopper.clh
// Needs: ../hopper/products.hopper.clh
// Check: -D BETA=1 -D STAGES=3 -D STAGING_BYTES=32768
// Check: -D CONSUMERS=3 -D TILE_COLUMNS=256 -D STAGES=4 -D SELF_FED=1
// Check: -D ROW_BLOCKS=2 -D TILE_COLUMNS=200 -D STAGES=3 -D BETA=1
// Check: -D DIRECT=1 -D STAGES=3 -D BETA=1 -D BIAS=1
// Check: -D DIRECT=1 -D OUTPUT=0

#ifndef BETA  // whether what C holds takes part
#define BETA 0
#endif
#ifndef BIAS  // whether each column has a number of its own
#define BIAS 0
#endif
#ifndef DIRECT  // whether work-items write C themselves
#define DIRECT 0
#endif
// Of a tile's columns, in eights, those from here on are written by work-items: a store of 64 would pass them.
#define FIRST_DIRECT (DIRECT ? 0 : TILE_COLUMNS / 64 * 8)

#if BETA
#define BETA_PARAMETER , const float beta
#define BETA_ARGUMENT , beta
#else
#define BETA_PARAMETER
#define BETA_ARGUMENT
#endif
#if BIAS
#define BIAS_PARAMETERS , __global const storage_t *bias, const ulong bias_offset
#define BIAS_PARAMETER , __global const storage_t *bias
#define BIAS_NAME , bias
#define BIAS_ARGUMENT , bias + bias_offset
#else
#define BIAS_PARAMETERS
#define BIAS_PARAMETER
#define BIAS_NAME
#define BIAS_ARGUMENT
#endif

// Two neighbours in a row of C: where they are, and how many of them there are, which are all that is read.
typedef struct {
  __global output_t *at;
  int column;
  int count;
} neighbours_t;

static inline float2 finished(const float2 sums, const neighbours_t place,
                              const float alpha BETA_PARAMETER BIAS_PARAMETER)
{
  float2 results = alpha * sums;
#if BETA
  if (place.count > 0)
    results.x = fma(beta, load_output(place.at, 0), results.x);
  if (place.count > 1)
    results.y = fma(beta, load_output(place.at, 1), results.y);
#endif
#if BIAS
  if (place.count > 0)
    results.x += load_storage(bias, place.column);
  if (place.count > 1)
    results.y += load_storage(bias, place.column + 1);
#endif
  return results;
}

// Takes the sums of a warpgroup's rows, from `row` on, to memory.
static inline void store_sums(const uint base, const int slot, const int warpgroup, float sums[ROW_BLOCKS][SUMS],
                              const ulong c_map, __global output_t *c, const ulong c_stride, const int row,
                              const int column, const int rows, const int columns,
                              const float alpha BETA_PARAMETER BIAS_PARAMETER)
{
  const int item = (int)get_local_id(0) & 127;
  const int own_row = item / 32 * 16 + item % 32 / 4;
  const uint pieces = STAGING_BYTES > 0
                          ? base + STAGING_BASE + warpgroup * STAGED_PIECES * BLOCK_BYTES
                          : base + slot * STAGE_BYTES + warpgroup * STAGED_PIECES * BLOCK_BYTES;
#pragma unroll
  for (int i = 0; i < ROW_BLOCKS; ++i) {
    const int first_row = row + 64 * i + own_row;
    const int first_column = column + 2 * (item % 4);
    __global output_t *const first = c + (ulong)first_row * c_stride + first_column;
// Accumulators 4 j + 2 r and the next one, of row r of two, as they are to be in C.
#define NEIGHBOURS(j, r)                                                                        \
  {first + (ulong)(8 * (r)) * c_stride + 8 * (j), first_column + 8 * (j),                       \
   first_row + 8 * (r) < rows ? clamp(columns - first_column - 8 * (j), 0, 2) : 0}
#define FINISHED(j, r, place)                                                                   \
  finished((float2)(sums[i][4 * (j) + 2 * (r)], sums[i][4 * (j) + 2 * (r) + 1]), place,          \
           alpha BETA_ARGUMENT BIAS_NAME)
#pragma unroll
    for (int j = FIRST_DIRECT; j < TILE_COLUMNS / 8; ++j)
#pragma unroll
      for (int r = 0; r < 2; ++r) {
        const neighbours_t place = NEIGHBOURS(j, r);
        const float2 both = FINISHED(j, r, place);
        if (place.count > 0)
          store_output(place.at, 0, both.x);
        if (place.count > 1)
          store_output(place.at, 1, both.y);
      }
#pragma unroll
    for (int g = 0; g < FIRST_DIRECT / 8; ++g) {
#pragma unroll
      for (int j = 8 * g; j < 8 * g + 8; ++j)
#pragma unroll
        for (int r = 0; r < 2; ++r) {
          const neighbours_t at = NEIGHBOURS(j, r);
          const float2 both = FINISHED(j, r, at);
          sums[i][4 * j + 2 * r] = both.x;
          sums[i][4 * j + 2 * r + 1] = both.y;
        }
      store_piece(pieces, i * (TILE_COLUMNS / 64) + g, warpgroup, sums[i] + 32 * g, c_map, column + 64 * g,
                  row + 64 * i);
    }
  }
}

__kernel __attribute__((reqd_work_group_size(WORK_ITEMS, 1, 1)))
void tilecl_matmul_hopper(
    __global const uchar *maps, __global output_t *c, const ulong c_offset, const ulong c_stride, const int rows,
    const int columns, const int depth, const int raster_rows, const float alpha BETA_PARAMETER BIAS_PARAMETERS)
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
      const int slot = multiply(base, &ring, sums, a, b, work.steps, &next, &work);
      if (STAGING_BYTES > 0)
        release_stage(base, slot, &next, &work);
      const item_t item = item_of(number, &work);
      store_sums(base, slot, warpgroup, sums, c_map, c + c_offset, c_stride, item.row + warpgroup * OWN_ROWS,
                 (int)item.column, rows, columns, alpha BETA_ARGUMENT BIAS_ARGUMENT);
      if (STAGING_BYTES == 0) {
        if (thread % 128 == 0)
          WAIT_STORES_READ();
        MEET(1 + warpgroup, 128);
        release_stage(base, slot, &next, &work);
      }
    }
    if (STAGING_BYTES > 0 && thread % 128 == 0)
      WAIT_STORES_READ();
  }
}
