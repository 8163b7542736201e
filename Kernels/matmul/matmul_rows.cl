// Matrix product with few rows, on any device: bound by reading B once.
//
// Formula, layouts and arguments are those of tiles.clh. Elements become fp32 when they are loaded; all arithmetic is
// fp32. A is small: a group brings DEPTH of its depth at a time into local memory.
//
// Work-group (GROUP_ITEMS, 1, 1): ROWS rows by TILE_COLUMNS columns of C. NEIGHBOURS work-items in turn read vectors
// of VECTOR elements that lie side by side in B, of 16 bytes on a GPU. On a CPU a group is one item.
//
//   TRANSPOSE_B, rows of B along the depth: neighbours share the depth of BLOCKS * COLUMNS columns.
//   otherwise, rows of B along the columns: an item has BLOCKS vectors of columns, and the GROUP_ITEMS / NEIGHBOURS
//   items that have the same ones share the depth, four rows of B at a time.
//
// Items that share the depth add up their sums as a tree, in a fixed order. On a CPU the lanes of a vector do likewise.
//
// Local memory, in floats, at different times: ROWS * DEPTH of A; REDUCED_ROWS * TILE_COLUMNS * (SHARES + 1) of sums.
//
// Tunables: GROUP_ITEMS, NEIGHBOURS, VECTOR, ROWS, COLUMNS, BLOCKS, DEPTH.
//
// Preconditions: all tunables are powers of two; NEIGHBOURS divides GROUP_ITEMS; VECTOR is 4 or 8 unless GROUP_ITEMS is
// 1, and divides DEPTH; split_depth is a multiple of 4 and, with TRANSPOSE_B, of VECTOR. With ALIGNED the rows of B
// begin at multiples of 16 bytes, which is what VECTOR elements take.
//
// Needs: ../common/vectors.clh
// Needs: ../common/output.clh
// Needs: tiles.clh
// Check: -D TRANSPOSE_A=1 -D TRANSPOSE_B=1 -D OUTPUT=0
// Check: -D TRANSPOSE_B=1 -D VECTOR=8 -D ROWS=8 -D COLUMNS=1
// Check: -D TRANSPOSE_B=1 -D VECTOR=16 -D GROUP_ITEMS=1 -D NEIGHBOURS=1 -D BLOCKS=16
// Check: -D VECTOR=8 -D GROUP_ITEMS=1 -D NEIGHBOURS=1 -D BLOCKS=32

#ifndef GROUP_ITEMS
#define GROUP_ITEMS 128
#endif
#ifndef NEIGHBOURS
#define NEIGHBOURS 32
#endif
#ifndef ROWS
#define ROWS 4
#endif
#ifndef COLUMNS
#define COLUMNS 4  // that an item reads side by side; with B not transposed those of a vector
#endif
#ifndef BLOCKS
#define BLOCKS 1
#endif
#ifndef DEPTH
#define DEPTH 1024
#endif
#ifndef ALIGNED
#define ALIGNED 0
#endif

#if !TRANSPOSE_B
#undef COLUMNS
#define COLUMNS VECTOR
#endif

// How many items share the depth of a column, and how many have columns of their own.
#if TRANSPOSE_B
#define SHARES NEIGHBOURS
#define OWNERS (GROUP_ITEMS / NEIGHBOURS)
#define SHARE ((uint)get_local_id(0) % NEIGHBOURS)
#define OWNER ((uint)get_local_id(0) / NEIGHBOURS)
#else
#define SHARES (GROUP_ITEMS / NEIGHBOURS)
#define OWNERS NEIGHBOURS
#define SHARE ((uint)get_local_id(0) / NEIGHBOURS)
#define OWNER ((uint)get_local_id(0) % NEIGHBOURS)
#endif
#define TILE_COLUMNS (OWNERS * BLOCKS * COLUMNS)
#define QUADS (VECTOR / 4)
#define CHUNKS (DEPTH / VECTOR)
// Rows of sums in local memory at a time.
#define REDUCED_ROWS (ROWS < 4 ? ROWS : 4)
// One more than there are shares, so that neighbours write to different banks.
#define SHARE_PITCH (SHARES + 1)
#define TILE_FLOATS (ROWS * DEPTH)
#define SUM_FLOATS (SHARES > 1 ? REDUCED_ROWS * TILE_COLUMNS * SHARE_PITCH : 0)
#define LOCAL_FLOATS (TILE_FLOATS > SUM_FLOATS ? TILE_FLOATS : SUM_FLOATS)

// Where four elements of a vector of A's tile stand. Neighbours that read vectors side by side read fours side by side.
#if TRANSPOSE_B && GROUP_ITEMS > 1
#define QUAD(row, chunk, q) (((row) * QUADS + (q)) * CHUNKS + (chunk))
#else
#define QUAD(row, chunk, q) (((row) * CHUNKS + (chunk)) * QUADS + (q))
#endif

typedef union { vec_t vector; float4 quads[QUADS]; } vector_quads_t;

// Sums of one row for COLUMNS columns.
#if TRANSPOSE_B
typedef struct { float lanes[COLUMNS]; } sums_t;
#else
typedef float_lanes_t sums_t;
#endif

// VECTOR elements of B from element i on.
INLINE vec_t load_vector(__global const storage_t *b, const ulong i)
{
#if ALIGNED && STORAGE == STORAGE_FLOAT32 && VECTOR == 4
  return *(__global const float4 *)(b + i);
#elif ALIGNED && STORAGE != STORAGE_FLOAT32 && VECTOR == 8
  const uint4 bits = *(__global const uint4 *)(b + i);
#if STORAGE == STORAGE_FLOAT16
  return vload_half8(0, (const half *)&bits);
#else
  vec_t x;
  x.even = as_float4(bits << 16);
  x.odd = as_float4(bits & 0xffff0000u);
  return x;
#endif
#else
  return load_elements(b, i);
#endif
}

// Brings `count` of the depth of A's rows, from element `from` on, into local memory, with zeros behind them up to a
// whole vector and for rows from `rows` on.
INLINE void copy_rows(__local float4 *tile, __global const storage_t *a, const ulong from, const ulong stride,
                      const uint rows, const uint count)
{
  for (uint row = 0; row < ROWS; ++row)
    for (uint chunk = (uint)get_local_id(0); chunk * VECTOR < count; chunk += GROUP_ITEMS) {
      const uint k = chunk * VECTOR;
      vector_quads_t x;
      x.vector = 0.0f;
#if TRANSPOSE_A
      float_lanes_t gathered;
#pragma unroll
      for (uint i = 0; i < VECTOR; ++i)
        gathered.lanes[i] = row < rows && k + i < count ? load_storage(a, from + (k + i) * stride + row) : 0.0f;
      x.vector = gathered.vector;
#else
      if (row < rows)
        x.vector = load_some(a, from + row * stride + k, count - k);
#endif
#pragma unroll
      for (uint q = 0; q < QUADS; ++q)
        tile[QUAD(row, chunk, q)] = x.quads[q];
    }
}

#if TRANSPOSE_B

// On a CPU the lanes of a vector share the depth until the sum is whole.
#if GROUP_ITEMS == 1

typedef vec_t partial_t;

INLINE vec_t tile_vector(__local const float4 *tile, const uint row, const uint chunk)
{
  return LOAD(0, (__local const float *)(tile + QUAD(row, chunk, 0)));
}

INLINE partial_t add_products(const vec_t a, const vec_t b, const partial_t sum)
{
  return fma(a, b, sum);
}

INLINE float total(const partial_t sum)
{
#if VECTOR == 16
  const float8 y = sum.lo + sum.hi;
  const float4 z = y.lo + y.hi;
#elif VECTOR == 8
  const float4 z = sum.lo + sum.hi;
#else
  const float4 z = sum;
#endif
  const float2 w = z.lo + z.hi;
  return w.x + w.y;
}

#else

typedef float partial_t;

INLINE vec_t tile_vector(__local const float4 *tile, const uint row, const uint chunk)
{
#if VECTOR == 4
  return tile[QUAD(row, chunk, 0)];
#else
  return (vec_t)(tile[QUAD(row, chunk, 0)], tile[QUAD(row, chunk, 1)]);
#endif
}

INLINE partial_t add_products(const vec_t a, const vec_t b, partial_t sum)
{
  sum = fma(a.s0, b.s0, sum);
  sum = fma(a.s1, b.s1, sum);
  sum = fma(a.s2, b.s2, sum);
  sum = fma(a.s3, b.s3, sum);
#if VECTOR == 8
  sum = fma(a.s4, b.s4, sum);
  sum = fma(a.s5, b.s5, sum);
  sum = fma(a.s6, b.s6, sum);
  sum = fma(a.s7, b.s7, sum);
#endif
  return sum;
}

INLINE float total(const partial_t sum)
{
  return sum;
}

#endif

INLINE void add_vectors(partial_t partial[ROWS][COLUMNS], __local const float4 *tile, const uint chunk,
                        const vec_t *columns)
{
#pragma unroll
  for (uint r = 0; r < ROWS; ++r) {
    const vec_t row = tile_vector(tile, r, chunk);
#pragma unroll
    for (uint c = 0; c < COLUMNS; ++c)
      partial[r][c] = add_products(row, columns[c], partial[r][c]);
  }
}

// Adds the products of A's tile with `count` of the depth of the item's columns, of which `end` exist.
INLINE void multiply(sums_t sums[BLOCKS][ROWS], __local const float4 *tile, __global const storage_t *b,
                     const ulong from, const ulong stride, const uint end, const uint count)
{
  const uint whole = count / VECTOR;
#pragma unroll 1
  for (uint block = 0; block < BLOCKS; ++block) {
    const uint first = (block * OWNERS + OWNER) * COLUMNS;
    if (first >= end)
      continue;
    // What lies behind the last column repeats it, so that the loop needs no test, and is not stored.
    __global const storage_t *columns[COLUMNS];
    partial_t partial[ROWS][COLUMNS];
#pragma unroll
    for (uint c = 0; c < COLUMNS; ++c) {
      columns[c] = b + (from + min(first + c, end - 1) * stride);
#pragma unroll
      for (uint r = 0; r < ROWS; ++r)
        partial[r][c] = (partial_t)(0.0f);
    }
#pragma unroll 2
    for (uint chunk = SHARE; chunk < whole; chunk += NEIGHBOURS) {
      vec_t x[COLUMNS];
#pragma unroll
      for (uint c = 0; c < COLUMNS; ++c)
        x[c] = load_vector(columns[c], chunk * VECTOR);
      add_vectors(partial, tile, chunk, x);
    }
    if (count % VECTOR != 0 && whole % NEIGHBOURS == SHARE) {
      vec_t x[COLUMNS];
#pragma unroll
      for (uint c = 0; c < COLUMNS; ++c)
        x[c] = load_some(columns[c], whole * VECTOR, count % VECTOR);
      add_vectors(partial, tile, whole, x);
    }
#pragma unroll
    for (uint r = 0; r < ROWS; ++r)
#pragma unroll
      for (uint c = 0; c < COLUMNS; ++c)
        sums[block][r].lanes[c] += total(partial[r][c]);
  }
}

#else

// Adds the products of A's tile with `count` of the depth of the item's columns, of which `end` exist.
INLINE void multiply(sums_t sums[BLOCKS][ROWS], __local const float4 *tile, __global const storage_t *b,
                     const ulong from, const ulong stride, const uint end, const uint count)
{
#pragma unroll 2
  for (uint k = SHARE * 4; k < count; k += SHARES * 4)
#pragma unroll 1
    for (uint block = 0; block < BLOCKS; ++block) {
      const uint first = (block * OWNERS + OWNER) * COLUMNS;
      const ulong place = from + k * stride + first;
      vec_t x[4];
      if (first + COLUMNS <= end && k + 4 <= count) {
#pragma unroll
        for (uint i = 0; i < 4; ++i)
          x[i] = load_vector(b, place + i * stride);
      } else {
        const uint some = first < end ? min(end - first, (uint)COLUMNS) : 0;
#pragma unroll
        for (uint i = 0; i < 4; ++i)
          x[i] = load_some(b, place + i * stride, k + i < count ? some : 0);
      }
#pragma unroll
      for (uint r = 0; r < ROWS; ++r) {
        const float4 row = tile[QUAD(r, 0, k / 4)];
        vec_t sum = sums[block][r].vector;
        sum = fma((vec_t)(row.x), x[0], sum);
        sum = fma((vec_t)(row.y), x[1], sum);
        sum = fma((vec_t)(row.z), x[2], sum);
        sums[block][r].vector = fma((vec_t)(row.w), x[3], sum);
      }
    }
}

#endif

#define RESULT_ARGUMENTS \
  c, c_offset, c_batch_stride, c_row_stride, bias, bias_offset, parts, alpha, beta, batch, rows, columns

// Stores the sum of a row and a column of the tile, if there are such.
INLINE void store_sum(const float sum, const uint tile_row, const uint tile_column, const place_t *place,
                      RESULT_PARAMETERS)
{
  const uint row = place->first_row + tile_row;
  const uint column = place->first_column + tile_column;
  if (row >= rows || column >= columns)
    return;
  if (parts) {
    parts[((place->split * (ulong)batch + place->entry) * rows + row) * columns + column] = sum;
  } else {
    const ulong target = c_offset + place->entry * c_batch_stride + row * c_row_stride + column;
    store_output(c, target, FINISHED(sum, target, column));
  }
}

__kernel __attribute__((reqd_work_group_size(GROUP_ITEMS, 1, 1)))
void tilecl_matmul_rows(MATMUL_PARAMETERS)
{
  __local float4 memory[CEIL_DIV(LOCAL_FLOATS, 4)] __attribute__((aligned(64)));

  const place_t place = find_place(ROWS, TILE_COLUMNS, rows, columns, depth, split_depth, splits);
  const uint end_column = min(columns - place.first_column, (uint)TILE_COLUMNS);
  const ulong a_step = TRANSPOSE_A ? a_row_stride : 1;
  const ulong b_step = TRANSPOSE_B ? 1 : b_row_stride;
  const ulong a_first = a_offset + place.entry * a_batch_stride + place.first_row * (TRANSPOSE_A ? 1 : a_row_stride);
  const ulong b_first = b_offset + place.entry * b_batch_stride + place.first_column * (TRANSPOSE_B ? b_row_stride : 1);

  sums_t sums[BLOCKS][ROWS];
#pragma unroll
  for (uint block = 0; block < BLOCKS; ++block)
#pragma unroll
    for (uint r = 0; r < ROWS; ++r)
#pragma unroll
      for (uint column = 0; column < COLUMNS; ++column)
        sums[block][r].lanes[column] = 0.0f;

  for (uint k = place.first_depth; k < place.end_depth; k += DEPTH) {
    const uint count = min((uint)DEPTH, place.end_depth - k);
    if (k > place.first_depth)
      barrier(CLK_LOCAL_MEM_FENCE);
    copy_rows(memory, a, a_first + k * a_step, a_row_stride, rows - place.first_row, count);
    barrier(CLK_LOCAL_MEM_FENCE);
    multiply(sums, memory, b, b_first + k * b_step, b_row_stride, end_column, count);
  }

#if SHARES == 1
  for (uint block = 0; block < BLOCKS; ++block)
#pragma unroll
    for (uint r = 0; r < ROWS; ++r)
#pragma unroll
      for (uint column = 0; column < COLUMNS; ++column)
        store_sum(sums[block][r].lanes[column], r, (block * OWNERS + OWNER) * COLUMNS + column, &place,
                  RESULT_ARGUMENTS);
#else
  const uint item = (uint)get_local_id(0);
  __local float *scratch = (__local float *)memory;
#pragma unroll
  for (uint first = 0; first < ROWS; first += REDUCED_ROWS) {
    barrier(CLK_LOCAL_MEM_FENCE);
#pragma unroll
    for (uint block = 0; block < BLOCKS; ++block)
#pragma unroll
      for (uint r = 0; r < REDUCED_ROWS; ++r)
#pragma unroll
        for (uint column = 0; column < COLUMNS; ++column)
          scratch[(r * TILE_COLUMNS + (block * OWNERS + OWNER) * COLUMNS + column) * SHARE_PITCH + SHARE] =
              sums[block][first + r].lanes[column];
#pragma unroll
    for (uint half_shares = SHARES / 2; half_shares > 0; half_shares /= 2) {
      barrier(CLK_LOCAL_MEM_FENCE);
      for (uint i = item; i < REDUCED_ROWS * TILE_COLUMNS * half_shares; i += GROUP_ITEMS) {
        const uint own = i / half_shares * SHARE_PITCH + i % half_shares;
        scratch[own] += scratch[own + half_shares];
      }
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    for (uint i = item; i < REDUCED_ROWS * TILE_COLUMNS; i += GROUP_ITEMS)
      store_sum(scratch[i * SHARE_PITCH], first + i / TILE_COLUMNS, i % TILE_COLUMNS, &place, RESULT_ARGUMENTS);
  }
#endif
}
