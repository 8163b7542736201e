// Linear cross-entropy, backward, for NVIDIA Hopper, fp16 or bf16: what linear_cross_entropy_backward.cl computes for
// targets that are classes, a dense classifier and no gradient of the entropy, by matrix units alone.
//
//   g[n, v]  = p A[n] - S[n]                       p = exp(z - LSE), z as linear_cross_entropy.hopper.cl has it
//   g[n, y]  = expm1(log p) A[n] + R[n] - S[n]     for the class target y; S with DENSE
//   x[n, v]  = f (1 - (z / softcap)^2) g[n, v], rounded to the type of E and C
//   dE[n, :] = scale / f sum_v x[n, v] C[v, :]      dC[v, :] = scale / f sum_n x[n, v] E[n, :] - smoothing
//   db[v]    = scale / f sum_n x[n, v]
//
// A, R, S and LSE are planes of the coefficients that linear_cross_entropy_gradient_steps.cl makes. f is a power of 2
// that takes the largest |A| + |R| near 2^14, so that fp16 holds what matters of x.
//
// The host takes as many columns at a time, a *wave*, as have room for their x, [N][wave], and runs, in this order,
//
//   PART_TILES       computes x and notes which cells, CELL_ROWS tokens by CELL_COLUMNS classes, hold some |g| that is
//                    not below its token's threshold: those are live. Tiles without a flag, none of whose cells can be,
//                    are not computed, but zero; ..._queues has the numbers of the others. Where the forward pass has
//                    kept the logits, ..._stored_gradients makes x of those, to the same bits.
//   ..._lists        lists for each tile of rows of a product which blocks of its depth are live;
//   PART_CLASSIFIER  dC of the wave's classes: rows are classes, the depth is tokens, by blocks of cells;
//   PART_EMBEDDINGS  adds to sums[n][d] what the wave gives: rows are tokens, the depth is classes.
//
// hopper/products.hopper.clh has the main loop of all three. One program holds one part, as each has its own tiles. Of
// a tile of the first, row numbers of tokens and their coefficients are read when its products are done, so that they
// take no registers before. Each element of dC and of sums is written by one work-item in a launch: sums take additions
// in memory, but one for each wave, whose order is that of the queue. Equal runs give equal bits, whatever the device
// does first.
//
// A cell is a warpgroup's part of a tile. Cells, and tiles of products, have fixed places in N and V, since waves begin
// at multiples of both: what the filter leaves out does not depend on the size of a wave.
//
// Work-group (WORK_ITEMS, 1, 1), one a multiprocessor. Local memory: STAGES steps of both operands, STAGING_BYTES,
// barriers.
//
// Tunables: those of the main loop, without SELF_FED; BLOCK_STEPS of a product is a cell's side over 64, CELL_ROWS is
// OWN_ROWS and CELL_COLUMNS is TILE_COLUMNS of the first part. That is QUEUED, the others are LISTED.
//
// Preconditions: N, V, D in 1 ... 2^30, D a multiple of 8, raster_rows at least 1; columns of a wave a multiple of
// TILE_COLUMNS of the first part and of TILE_ROWS of the second, but for the last one; x has rows of so many columns.
//
// Needs: ../hopper/instructions.hopper.clh
// Needs: ../nvidia/tanh.nvidia.clh
// Needs: ../hopper/products.hopper.clh
// Needs: logits.nvidia.clh
// Needs: gradient_lists.nvidia.clh
// Needs: gradients.nvidia.clh
// Check: -D PART=0 -D QUEUED=1 -D STAGES=3 -D STAGING_BYTES=32768 -D HAS_BIAS=1 -D SOFTCAP=1 -D DENSE=1
// Check: -D PART=0 -D QUEUED=1 -D ROW_BLOCKS=2 -D TILE_COLUMNS=192 -D STAGES=3 -D STAGING_BYTES=32768
// Check: -D PART=1 -D A_TRANSPOSED=1 -D B_TRANSPOSED=1 -D LISTED=1 -D STAGES=3 -D STAGING_BYTES=32768 -D SMOOTHING=1
// Check: -D PART=2 -D B_TRANSPOSED=1 -D LISTED=1 -D BLOCK_STEPS=4

#if PART == PART_TILES

// Where the flag of a tile is.
static inline ulong flag_of(const item_t *item, const int first_column, const int token_tiles)
{
  return (first_column + (ulong)item->column) / TILE_COLUMNS * token_tiles + item->row / TILE_ROWS;
}

// queues[wave][0]: how many tiles of the wave have a flag, queues[wave][1 ...]: the numbers of their items. A
// work-group of LIST_ITEMS makes a queue.
__kernel __attribute__((reqd_work_group_size(LIST_ITEMS, 1, 1)))
void tilecl_linear_cross_entropy_gradient_queues(
    __global const uint *flags, const int tokens, const int vocabulary, const int wave, const int raster_rows,
    const int queue_stride, __global int *queues)
{
  __local int wanted[LIST_ITEMS];
  const int item = (int)get_local_id(0);
  const int first_column = (int)get_group_id(0) * wave;
  const int columns = min(wave, vocabulary - first_column);
  const work_t work = {.row_tiles = CEIL_DIV(tokens, TILE_ROWS),
                       .splits = CEIL_DIV(columns, TILE_COLUMNS),
                       .columns_per_split = TILE_COLUMNS,
                       .columns = (uint)columns,
                       .raster_rows = raster_rows};
  const int items = work.row_tiles * work.splits;
  __global int *queue = queues + get_group_id(0) * (ulong)queue_stride;
  int count = 0;
  for (int number = 0; number < items; number += LIST_ITEMS) {
    if (number + item < items) {
      const item_t own = item_of(number + item, &work);
      wanted[item] = flags[flag_of(&own, first_column, work.row_tiles)] != 0;
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    if (item == 0)
      for (int i = 0; i < min(LIST_ITEMS, items - number); ++i)
        if (wanted[i])
          queue[1 + count++] = number + i;
    barrier(CLK_LOCAL_MEM_FENCE);
  }
  if (item == 0)
    queue[0] = count;
}

// Fills a piece in local memory with zeros; a warpgroup does.
static inline void start_zeros(const uint piece, const int warpgroup)
{
  const int item = (int)get_local_id(0) & 127;
#pragma unroll
  for (int i = 0; i < BLOCK_BYTES / 512; ++i)
    store_local(piece + 512 * i + 4 * item, 0);
  FENCE_ASYNC();
  MEET(1 + warpgroup, 128);
}

// Makes a warpgroup's part of a tile of x zero, from such a piece; one work-item does.
static inline void store_zeros(const uint piece, const ulong x_map, const int column, const int row)
{
  for (int i = 0; i < ROW_BLOCKS; ++i)
    for (int g = 0; g < TILE_COLUMNS / 64; ++g)
      store_box(x_map, column + 64 * g, row + 64 * i, piece);
}

// live[cell of tokens][cell of classes] is to be 0 before the first wave; x is the third map.
__kernel __attribute__((reqd_work_group_size(WORK_ITEMS, 1, 1)))
void tilecl_linear_cross_entropy_gradient_tiles_hopper(
    __global const uchar *maps, const int hidden_size, __global const int *targets, const int tokens,
    const int first_column, const int columns, const int raster_rows, const float scale,
    __global const uint *flags, __global const int *queues, const ulong queue_offset,
    __global const float *coefficients, __global const float *factors, const int live_stride,
    __global int *live BIAS_PARAMETERS SOFTCAP_PARAMETER)
{
  GROUPS_AT_ONCE(1);
  __local uchar memory[LOCAL_BYTES] __attribute__((aligned(1024)));
  const uint base = LOCAL_ADDRESS(memory);
  const int thread = (int)get_local_id(0);
  // The same in a whole warp, which the compiler has to know.
  const int warp = (int)from_first_lane((uint)thread / 32);
  const int warpgroup = warp / 4 - 1;
  const work_t work = {.maps = (ulong)maps,
                       .row_tiles = CEIL_DIV(tokens, TILE_ROWS),
                       .splits = CEIL_DIV(columns, TILE_COLUMNS),
                       .columns_per_split = TILE_COLUMNS,
                       .columns = (uint)columns,
                       .raster_rows = raster_rows,
                       .steps = CEIL_DIV(hidden_size, STEP_DEPTH),
#if QUEUED
                       .queue = flags ? queues + queue_offset : 0,
#endif
                       .b_column = first_column};
  cursor_t next;
  start_ring(base, &next, &work);

  if (warpgroup < 0) {
    GIVE_REGISTERS(COPYING_REGISTERS);
    if (thread == 0)
      fill_stages(base, &next, &work);
  } else {
    TAKE_REGISTERS(COMPUTING_REGISTERS);
    const ulong a = own_rows(base, warpgroup);
    const ulong b = all_columns(base);
    const int lane = thread % 32;
    const int own_row = warp % 4 * 16 + lane / 4;
    const int own_column = 2 * (lane % 4);
    const ulong x_map = work.maps + 256;
    const uint pieces = base + STAGING_BASE + warpgroup * STAGED_PIECES * BLOCK_BYTES;
    float sums[ROW_BLOCKS][SUMS];
    ring_t ring = {0, 0};
    if (thread % 128 == 0)
      acquire_map(x_map);
    if (flags) {
      start_zeros(pieces, warpgroup);
      for (int number = (int)get_group_id(0); number < work.row_tiles * work.splits; number += (int)get_num_groups(0)) {
        const item_t item = item_of(number, &work);
        if (thread % 128 == 0 && flags[flag_of(&item, first_column, work.row_tiles)] == 0)
          store_zeros(pieces, x_map, (int)item.column, item.row + warpgroup * OWN_ROWS);
      }
      // The piece is to hold other things next.
      if (thread % 128 == 0)
        WAIT_STORES_READ();
    }
    FOR_EACH_ITEM(number, work) {
      const item_t item = next_item_of(number, &work);
      const int row = item.row + warpgroup * OWN_ROWS;
      release_stage(base, multiply(base, &ring, sums, a, b, item.steps, &next, &work), &next, &work);
      const int first = first_column + (int)item.column + own_column;
      const int left = columns - (int)item.column - own_column;
      const float factor = factors[0];
      bool exceeds = false;
#pragma unroll
      for (int i = 0; i < ROW_BLOCKS; ++i) {
        token_t tokens_of[2];
#pragma unroll
        for (int r = 0; r < 2; ++r)
          tokens_of[r] = token_of(coefficients, targets, row + 64 * i + own_row + 8 * r, tokens, first, factor);
#pragma unroll
        for (int g = 0; g < TILE_COLUMNS / 64; ++g) {
          finish_logits(sums[i] + 32 * g, left - 64 * g, scale BIAS_ARGUMENT(first + 64 * g) SOFTCAP_ARGUMENT);
#pragma unroll
          for (int r = 0; r < 2; ++r)
            exceeds |= take_gradients(sums[i] + 32 * g, r, &tokens_of[r], tokens_of[r].target - 64 * g,
                                      left - 64 * g SOFTCAP_ARGUMENT);
          store_piece(pieces, i * (TILE_COLUMNS / 64) + g, warpgroup, sums[i] + 32 * g, x_map,
                      (int)item.column + 64 * g, row + 64 * i);
        }
      }
      if (any_lane(exceeds) && lane == 0 && row < tokens)
        atomic_or(live + (ulong)(row / OWN_ROWS) * live_stride + first / TILE_COLUMNS, 1);
    }
    if (thread % 128 == 0)
      WAIT_STORES_READ();
  }
}

#else

// What both products have in common: `row_count` rows, and `first` is the wave's first column.
static inline work_t work_of(__global const uchar *maps, const int row_count, const int hidden_size,
                             const int raster_rows, const int b_depth, __global const int *lists, const int list_stride)
{
  const work_t work = {.maps = (ulong)maps,
                       .row_tiles = CEIL_DIV(row_count, TILE_ROWS),
                       .splits = CEIL_DIV(hidden_size, TILE_COLUMNS),
                       .columns_per_split = TILE_COLUMNS,
                       .columns = (uint)hidden_size,
                       .raster_rows = raster_rows,
                       .b_depth = b_depth,
                       .lists = lists,
                       .list_stride = list_stride};
  return work;
}

#if PART == PART_CLASSIFIER
// A is x, transposed, B is E, transposed, the third map is of dC, all of it.
__kernel __attribute__((reqd_work_group_size(WORK_ITEMS, 1, 1)))
void tilecl_linear_cross_entropy_classifier_gradient_hopper(
    __global const uchar *maps, const int hidden_size, const int first_column, const int columns,
    const int raster_rows, __global const int *lists, const int list_stride, const float scale,
    __global const float *factors, __global const float *smoothing)
#else
// A is x, B is C, transposed.
__kernel __attribute__((reqd_work_group_size(WORK_ITEMS, 1, 1)))
void tilecl_linear_cross_entropy_embedding_gradient_hopper(
    __global const uchar *maps, const int tokens, const int hidden_size, const int first_column,
    const int raster_rows, __global const int *lists, const int list_stride, __global const float *factors,
    __global float *embedding_sums)
#endif
{
  GROUPS_AT_ONCE(1);
  __local uchar memory[LOCAL_BYTES] __attribute__((aligned(1024)));
  const uint base = LOCAL_ADDRESS(memory);
  const int thread = (int)get_local_id(0);
  // The same in a whole warp, which the compiler has to know.
  const int warp = (int)from_first_lane((uint)thread / 32);
  const int warpgroup = warp / 4 - 1;
#if PART == PART_CLASSIFIER
  const work_t work = work_of(maps, columns, hidden_size, raster_rows, 0, lists, list_stride);
#else
  const work_t work = work_of(maps, tokens, hidden_size, raster_rows, first_column, lists, list_stride);
#endif
  cursor_t next;
  start_ring(base, &next, &work);

  if (warpgroup < 0) {
    GIVE_REGISTERS(COPYING_REGISTERS);
    if (thread == 0)
      fill_stages(base, &next, &work);
  } else {
    TAKE_REGISTERS(COMPUTING_REGISTERS);
    const ulong a = own_rows(base, warpgroup);
    const ulong b = all_columns(base);
    float sums[ROW_BLOCKS][SUMS];
    ring_t ring = {0, 0};
#if PART == PART_CLASSIFIER
    const ulong c_map = work.maps + 256;
    const uint pieces = base + STAGING_BASE + warpgroup * STAGED_PIECES * BLOCK_BYTES;
    if (thread % 128 == 0)
      acquire_map(c_map);
#endif
    FOR_EACH_ITEM(number, work) {
      const item_t item = item_of(number, &work);
      const int row = item.row + warpgroup * OWN_ROWS;
      if (item.steps > 0)
        release_stage(base, multiply(base, &ring, sums, a, b, item.steps, &next, &work), &next, &work);
#if PART == PART_CLASSIFIER
      const float alpha = scale * factors[1];
#pragma unroll
      for (int i = 0; i < ROW_BLOCKS; ++i)
#pragma unroll
        for (int g = 0; g < TILE_COLUMNS / 64; ++g) {
#pragma unroll
          for (int k = 32 * g; k < 32 * g + 32; ++k) {
            sums[i][k] = item.steps > 0 ? alpha * sums[i][k] : 0.0f;
#if SMOOTHING
            const int column = (int)item.column + 2 * (thread % 4) + 8 * (k / 4) + k % 2;
            sums[i][k] -= smoothing[min(column, hidden_size - 1)];
#endif
          }
          store_piece(pieces, i * (TILE_COLUMNS / 64) + g, warpgroup, sums[i] + 32 * g, c_map,
                      (int)item.column + 64 * g, first_column + row + 64 * i);
        }
#else
      if (item.steps == 0)
        continue;
      const float alpha = factors[1];
      const int first = (int)item.column + 2 * (thread % 4);
#pragma unroll
      for (int i = 0; i < ROW_BLOCKS; ++i)
#pragma unroll
        for (int r = 0; r < 2; ++r) {
          const int token = row + 64 * i + warp % 4 * 16 + thread % 32 / 4 + 8 * r;
          if (token < tokens) {
            __global float *own = embedding_sums + (ulong)token * hidden_size + first;
#pragma unroll
            for (int j = 0; j < TILE_COLUMNS / 8; ++j)
              if (first + 8 * j < hidden_size)
                add_pair(own + 8 * j, alpha * sums[i][4 * j + 2 * r], alpha * sums[i][4 * j + 2 * r + 1]);
          }
        }
#endif
    }
#if PART == PART_CLASSIFIER
    if (thread % 128 == 0)
      WAIT_STORES_READ();
#endif
  }
}

#endif
