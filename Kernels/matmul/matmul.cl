// Matrix product, on any device.
//
// Formula, layouts and arguments are those of tiles.clh. Elements become fp32 when they are copied; all arithmetic is
// fp32, a sum runs along the depth without a break.
//
// Work-group (GROUP_ROWS * GROUP_COLUMNS, 1, 1): a tile of 4 * ITEM_ROWS * GROUP_ROWS rows by 4 * ITEM_COLUMNS *
// GROUP_COLUMNS columns of C, DEPTH of the depth at a time. An item has ITEM_ROWS x ITEM_COLUMNS squares of 4 x 4 sums,
// GROUP_ROWS squares and GROUP_COLUMNS squares apart, so that neighbours read neighbouring memory. While it multiplies
// one step, its share of the next is on its way into registers.
//
// Local memory, in floats: DEPTH * (TILE_ROWS + TILE_COLUMNS + 8).
//
// Tunables: GROUP_ROWS, GROUP_COLUMNS, ITEM_ROWS, ITEM_COLUMNS, DEPTH.
//
// Preconditions: VECTOR is 4; the work-group's size divides DEPTH * TILE_ROWS and DEPTH * TILE_COLUMNS.
//
// Needs: ../common/vectors.clh
// Needs: ../common/output.clh
// Needs: tiles.clh
// Check: -D TRANSPOSE_A=1 -D TRANSPOSE_B=1 -D OUTPUT=0
// Check: -D TRANSPOSE_B=1 -D ITEM_ROWS=1 -D ITEM_COLUMNS=1

#ifndef GROUP_ROWS
#define GROUP_ROWS 8
#endif
#ifndef GROUP_COLUMNS
#define GROUP_COLUMNS 8
#endif
#ifndef ITEM_ROWS
#define ITEM_ROWS 2
#endif
#ifndef ITEM_COLUMNS
#define ITEM_COLUMNS 2
#endif
#ifndef DEPTH
#define DEPTH 16
#endif

#define GROUP_ITEMS (GROUP_ROWS * GROUP_COLUMNS)
#define TILE_ROWS (4 * ITEM_ROWS * GROUP_ROWS)
#define TILE_COLUMNS (4 * ITEM_COLUMNS * GROUP_COLUMNS)
// A pad of one vector keeps items that write neighbouring depths off one memory bank.
#define ROW_PITCH (TILE_ROWS / 4 + 1)
#define COLUMN_PITCH (TILE_COLUMNS / 4 + 1)
#define ROW_SHARE (TILE_ROWS * DEPTH / GROUP_ITEMS)
#define COLUMN_SHARE (TILE_COLUMNS * DEPTH / GROUP_ITEMS)

// An item's share of a tile of `width` rows, or columns, by DEPTH: element (i, k) lies at from + i * stride + k, or at
// from + k * stride + i where the depth is not what is adjacent. Zeros beyond `end` of them and `count` of the depth.
INLINE void fetch(float *share, const uint width, const uint size, const bool depth_is_adjacent,
                  __global const storage_t *source, const ulong from, const ulong stride, const uint end,
                  const uint count)
{
#pragma unroll
  for (uint n = 0; n < size; ++n) {
    const uint e = n * GROUP_ITEMS + (uint)get_local_id(0);
    const uint i = depth_is_adjacent ? e / DEPTH : e % width;
    const uint k = depth_is_adjacent ? e % DEPTH : e / width;
    const ulong place = depth_is_adjacent ? from + i * stride + k : from + k * stride + i;
    share[n] = i < end && k < count ? load_storage(source, place) : 0.0f;
  }
}

// Puts it where all items see it, as tile[k][i].
INLINE void put(__local float *tile, const uint pitch, const uint width, const uint size, const bool depth_is_adjacent,
                const float *share)
{
#pragma unroll
  for (uint n = 0; n < size; ++n) {
    const uint e = n * GROUP_ITEMS + (uint)get_local_id(0);
    const uint i = depth_is_adjacent ? e / DEPTH : e % width;
    const uint k = depth_is_adjacent ? e % DEPTH : e / width;
    tile[k * 4 * pitch + i] = share[n];
  }
}

__kernel __attribute__((reqd_work_group_size(GROUP_ITEMS, 1, 1)))
void tilecl_matmul(MATMUL_PARAMETERS)
{
  __local float4 a_tile[DEPTH * ROW_PITCH];
  __local float4 b_tile[DEPTH * COLUMN_PITCH];

  const uint group_row = (uint)get_local_id(0) / GROUP_COLUMNS;
  const uint group_column = (uint)get_local_id(0) % GROUP_COLUMNS;
  const place_t place = find_place(TILE_ROWS, TILE_COLUMNS, rows, columns, depth, split_depth, splits);
  const uint end_row = rows - place.first_row;
  const uint end_column = columns - place.first_column;
  const ulong a_step = TRANSPOSE_A ? a_row_stride : 1;
  const ulong b_step = TRANSPOSE_B ? 1 : b_row_stride;
  const ulong a_first = a_offset + place.entry * a_batch_stride + place.first_row * (TRANSPOSE_A ? 1 : a_row_stride);
  const ulong b_first = b_offset + place.entry * b_batch_stride + place.first_column * (TRANSPOSE_B ? b_row_stride : 1);

  float4 sums[4 * ITEM_ROWS][ITEM_COLUMNS];
#pragma unroll
  for (int i = 0; i < 4 * ITEM_ROWS; ++i)
#pragma unroll
    for (int v = 0; v < ITEM_COLUMNS; ++v)
      sums[i][v] = 0.0f;

  float a_share[ROW_SHARE];
  float b_share[COLUMN_SHARE];
  fetch(a_share, TILE_ROWS, ROW_SHARE, !TRANSPOSE_A, a, a_first + place.first_depth * a_step, a_row_stride, end_row,
        place.end_depth - place.first_depth);
  fetch(b_share, TILE_COLUMNS, COLUMN_SHARE, TRANSPOSE_B, b, b_first + place.first_depth * b_step, b_row_stride,
        end_column, place.end_depth - place.first_depth);
  for (uint k = place.first_depth; k < place.end_depth; k += DEPTH) {
    put((__local float *)a_tile, ROW_PITCH, TILE_ROWS, ROW_SHARE, !TRANSPOSE_A, a_share);
    put((__local float *)b_tile, COLUMN_PITCH, TILE_COLUMNS, COLUMN_SHARE, TRANSPOSE_B, b_share);
    barrier(CLK_LOCAL_MEM_FENCE);
    const uint next = k + DEPTH;
    if (next < place.end_depth) {
      fetch(a_share, TILE_ROWS, ROW_SHARE, !TRANSPOSE_A, a, a_first + next * a_step, a_row_stride, end_row,
            place.end_depth - next);
      fetch(b_share, TILE_COLUMNS, COLUMN_SHARE, TRANSPOSE_B, b, b_first + next * b_step, b_row_stride, end_column,
            place.end_depth - next);
    }
#pragma unroll
    for (int d = 0; d < DEPTH; ++d) {
      float4 column[ITEM_COLUMNS];
#pragma unroll
      for (int v = 0; v < ITEM_COLUMNS; ++v)
        column[v] = b_tile[d * COLUMN_PITCH + v * GROUP_COLUMNS + group_column];
#pragma unroll
      for (int r = 0; r < ITEM_ROWS; ++r) {
        const float4 row = a_tile[d * ROW_PITCH + r * GROUP_ROWS + group_row];
#pragma unroll
        for (int v = 0; v < ITEM_COLUMNS; ++v) {
          sums[4 * r][v] = fma((float4)(row.x), column[v], sums[4 * r][v]);
          sums[4 * r + 1][v] = fma((float4)(row.y), column[v], sums[4 * r + 1][v]);
          sums[4 * r + 2][v] = fma((float4)(row.z), column[v], sums[4 * r + 2][v]);
          sums[4 * r + 3][v] = fma((float4)(row.w), column[v], sums[4 * r + 3][v]);
        }
      }
    }
    barrier(CLK_LOCAL_MEM_FENCE);
  }

#pragma unroll
  for (int i = 0; i < 4 * ITEM_ROWS; ++i) {
    const ulong row = place.first_row + (i / 4 * GROUP_ROWS + group_row) * 4 + i % 4;
    if (row >= rows)
      continue;
#pragma unroll
    for (int v = 0; v < ITEM_COLUMNS; ++v) {
      const float lanes[4] = {sums[i][v].x, sums[i][v].y, sums[i][v].z, sums[i][v].w};
      const uint first = place.first_column + (v * GROUP_COLUMNS + group_column) * 4;
#pragma unroll
      for (uint lane = 0; lane < 4; ++lane) {
        const uint column = first + lane;
        if (column >= columns)
          continue;
        if (parts) {
          parts[((place.split * (ulong)batch + place.entry) * rows + row) * columns + column] = lanes[lane];
        } else {
          const ulong target = c_offset + place.entry * c_batch_stride + row * c_row_stride + column;
          store_output(c, target, FINISHED(lanes[lane], target, column));
        }
      }
    }
  }
}
