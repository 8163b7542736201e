// Activations times quantized weights: Y[m, n] = sum over k of X[m, k] * W[n, k].
//
//   W[n, k] = scale[n, g] * code[n, k] + offset[n, g],   g = k >> group_shift     symmetric: offset = -MIDPOINT * scale
//
// Layout   X storage_t [M][K] and Y storage_t [M][N], rows x_stride and y_stride elements apart;
//          codes uint [N][words_per_row], 32 / BITS codes a word, the lowest k lowest, rows padded to 16 bytes;
//          scales, offsets float [N][groups_per_row]. A group is 2^group_shift weights, or a row (group_shift 31).
// Kernels  tilecl_quantized_matmul_rows, for few rows of X: a work-group takes ROW_TILE rows and COLUMN_TILE columns
//          of Y; its work-items share K, 8 * UNITS weights at a time, and add up in a fixed order at the end.
//            groups (ceil(N / COLUMN_TILE), ceil(M / ROW_TILE)), local memory 4 * WORK_GROUP * tile bytes.
//          tilecl_quantized_matmul_tiles, for many: a work-group takes TILE_ROWS x TILE_COLUMNS of Y and brings
//          TILE_DEPTH of K at a time into local memory, W dequantized; a work-item owns micro-tiles of
//          MICRO_ROWS x MICRO_COLUMNS.
//            groups (ceil(N / TILE_COLUMNS), ceil(M / TILE_ROWS)),
//            local memory 4 * (TILE_ROWS + TILE_COLUMNS) * (TILE_DEPTH + PADDING) bytes.
// Keys     STORAGE; BITS 4 or 8; SYMMETRIC 1 or 0; TILED 0 (rows) or 1 (tiles); WORK_GROUP and the tunables below.
// Needs    WORK_GROUP a power of two that divides the number of micro-tiles; group sizes multiples of 32.
//
// Codes are centred and scaled before they meet an activation, rather than the zero point folded into
// scale * sum(code * x) + offset * sum(x): the folded form makes NaN of an infinite activation, cancels, and saves
// nothing where a weight is used for one row. Sums are fp32.

#ifndef BITS
#define BITS 4
#endif
#ifndef SYMMETRIC
#define SYMMETRIC 1
#endif
#ifndef TILED
#define TILED 0
#endif
#ifndef WORK_GROUP
#define WORK_GROUP 64     // Work-items of a work-group; 1 on a CPU, whose lanes are VECTOR_SUMS instead
#endif
#ifndef VECTOR_SUMS
#define VECTOR_SUMS 0     // 1: a sum is 8 lanes wide until the end, 0: one number
#endif

// A unit is the 8 weights that one 256-bit vector holds.
#define UNIT 8
#define MIDPOINT (1 << (BITS - 1))

#if VECTOR_SUMS
typedef float8 sum_t;
static inline sum_t multiply_add(float8 a, float8 b, sum_t sum) { return fma(a, b, sum); }
static inline sum_t scale_add(sum_t a, float scale, sum_t sum) { return fma(a, (float8)(scale), sum); }
static inline float total(sum_t sum)
{
  const float4 four = sum.lo + sum.hi;
  const float2 two = four.lo + four.hi;
  return two.x + two.y;
}
#else
typedef float sum_t;
static inline sum_t multiply_add(float8 a, float8 b, sum_t sum)
{
  sum = fma(a.s0, b.s0, sum);
  sum = fma(a.s1, b.s1, sum);
  sum = fma(a.s2, b.s2, sum);
  sum = fma(a.s3, b.s3, sum);
  sum = fma(a.s4, b.s4, sum);
  sum = fma(a.s5, b.s5, sum);
  sum = fma(a.s6, b.s6, sum);
  return fma(a.s7, b.s7, sum);
}
static inline sum_t scale_add(sum_t a, float scale, sum_t sum) { return fma(a, scale, sum); }
static inline float total(sum_t sum) { return sum; }
#endif

// Codes of unit `unit` of a row, less MIDPOINT in the symmetric scheme. An integer below 2^23 in the fraction of 2^23
// is 2^23 plus itself: no conversion instruction, which is slow on GPUs, and the centring comes for free.
static inline float8 load_codes(__global const uint *row, uint unit)
{
#if BITS == 4
  const uint8 bits = ((uint8)(row[unit]) >> (uint8)(0, 4, 8, 12, 16, 20, 24, 28)) & 15u;
#else
  const uint8 bits = convert_uint8(as_uchar8(((__global const uint2 *)row)[unit]));
#endif
  return as_float8(bits | 0x4B000000u) - (8388608.0f + (SYMMETRIC ? MIDPOINT : 0));
}

static inline float8 dequantize(float8 codes, float scale, float offset)
{
#if SYMMETRIC
  return codes * scale;
#else
  return fma(codes, (float8)(scale), (float8)(offset));
#endif
}

static inline float8 load_unit(__global const storage_t *p)
{
#if STORAGE == STORAGE_FLOAT32
#if WORK_GROUP > 1
  // vloadn promises no alignment, for which some compilers pay with eight loads.
  if (((size_t)p & 15) == 0) {
    __global const float4 *q = (__global const float4 *)p;
    return (float8)(q[0], q[1]);
  }
#endif
  return vload8(0, p);
#elif STORAGE == STORAGE_FLOAT16
  return vload_half8(0, (__global const half *)p);
#else
  return as_float8(convert_uint8(vload8(0, p)) << 16);
#endif
}

// The activations k ..< k + 8 of a row, zero from K on.
static inline float8 load_activations(__global const storage_t *row, uint k, uint K)
{
  if (k + UNIT <= K)
    return load_unit(row + k);
  float tail[UNIT];
  for (uint i = 0; i < UNIT; ++i)
    tail[i] = k + i < K ? load_storage(row, k + i) : 0.0f;
  return vload8(0, tail);
}

#if !TILED

#ifndef ROW_TILE
#define ROW_TILE 1        // Rows of X that share one pass over the weights
#endif
#ifndef COLUMN_TILE
#define COLUMN_TILE 4     // Columns of Y that share one load of X
#endif
#ifndef UNITS
#define UNITS 1           // Consecutive units that a work-item takes, 1, 2 or 4
#endif
#define SPAN (UNIT * UNITS)
#define OUTPUTS (ROW_TILE * COLUMN_TILE)
// A span lies in one group, so a symmetric scale may wait until the span is summed; that is fewer operations unless
// many rows share the scaled weight. A sum of unscaled products may overflow where activations exceed 2^115.
#define SCALE_LAST (SYMMETRIC && ROW_TILE < UNITS * (VECTOR_SUMS ? 1 : UNIT))

__kernel __attribute__((reqd_work_group_size(WORK_GROUP, 1, 1)))
void tilecl_quantized_matmul_rows(
    __global const storage_t *x, ulong x_offset, ulong x_stride, __global const uint *codes,
    __global const float *scales, __global const float *offsets, __global storage_t *y, ulong y_offset,
    ulong y_stride, uint M, uint N, uint K, uint words_per_row, uint groups_per_row, uint group_shift)
{
  const uint lane = get_local_id(0);
  const uint first_column = get_group_id(0) * COLUMN_TILE;
  const uint first_row = get_group_id(1) * ROW_TILE;

  // Rows and columns over the edge repeat the last one, so that the loop needs no test; they are not stored.
  __global const storage_t *x_row[ROW_TILE];
  __global const uint *code_row[COLUMN_TILE];
  size_t group_row[COLUMN_TILE];
  for (uint r = 0; r < ROW_TILE; ++r)
    x_row[r] = x + x_offset + min(first_row + r, M - 1) * x_stride;
  for (uint c = 0; c < COLUMN_TILE; ++c) {
    const size_t n = min(first_column + c, N - 1);
    code_row[c] = codes + n * words_per_row;
    group_row[c] = n * groups_per_row;
  }
  sum_t sums[COLUMN_TILE][ROW_TILE];
  for (uint c = 0; c < COLUMN_TILE; ++c)
    for (uint r = 0; r < ROW_TILE; ++r)
      sums[c][r] = (sum_t)(0.0f);

  const uint whole = K - K % SPAN;
  for (uint k = lane * SPAN; k < whole; k += WORK_GROUP * SPAN) {
    const uint g = k >> group_shift;
#if SCALE_LAST
    sum_t span[COLUMN_TILE][ROW_TILE];
    for (uint c = 0; c < COLUMN_TILE; ++c)
      for (uint r = 0; r < ROW_TILE; ++r)
        span[c][r] = (sum_t)(0.0f);
#endif
#pragma unroll
    for (uint u = 0; u < UNITS; ++u) {
      float8 activations[ROW_TILE];
#pragma unroll
      for (uint r = 0; r < ROW_TILE; ++r)
        activations[r] = load_unit(x_row[r] + k + u * UNIT);
#pragma unroll
      for (uint c = 0; c < COLUMN_TILE; ++c) {
        const float8 unit = load_codes(code_row[c], k / UNIT + u);
#if SCALE_LAST
#pragma unroll
        for (uint r = 0; r < ROW_TILE; ++r)
          span[c][r] = multiply_add(unit, activations[r], span[c][r]);
#else
        const float8 weights =
            dequantize(unit, scales[group_row[c] + g], SYMMETRIC ? 0.0f : offsets[group_row[c] + g]);
#pragma unroll
        for (uint r = 0; r < ROW_TILE; ++r)
          sums[c][r] = multiply_add(weights, activations[r], sums[c][r]);
#endif
      }
    }
#if SCALE_LAST
#pragma unroll
    for (uint c = 0; c < COLUMN_TILE; ++c) {
      const float scale = scales[group_row[c] + g];
#pragma unroll
      for (uint r = 0; r < ROW_TILE; ++r)
        sums[c][r] = scale_add(span[c][r], scale, sums[c][r]);
    }
#endif
  }
  // What is left of K is less than a span.
  for (uint k = whole + lane * UNIT; k < K; k += WORK_GROUP * UNIT) {
    const uint g = k >> group_shift;
    for (uint c = 0; c < COLUMN_TILE; ++c) {
      const float8 weights = dequantize(
          load_codes(code_row[c], k / UNIT), scales[group_row[c] + g],
          SYMMETRIC ? 0.0f : offsets[group_row[c] + g]);
      for (uint r = 0; r < ROW_TILE; ++r)
        sums[c][r] = multiply_add(weights, load_activations(x_row[r], k, K), sums[c][r]);
    }
  }

#if WORK_GROUP > 1
  __local float partial[OUTPUTS][WORK_GROUP];
  for (uint c = 0; c < COLUMN_TILE; ++c)
    for (uint r = 0; r < ROW_TILE; ++r)
      partial[c * ROW_TILE + r][lane] = total(sums[c][r]);
  for (uint reach = WORK_GROUP / 2; reach > 0; reach /= 2) {
    barrier(CLK_LOCAL_MEM_FENCE);
    if (lane < reach)
      for (uint i = 0; i < OUTPUTS; ++i)
        partial[i][lane] += partial[i][lane + reach];
  }
  barrier(CLK_LOCAL_MEM_FENCE);
  for (uint i = lane; i < OUTPUTS; i += WORK_GROUP) {
    const uint n = first_column + i / ROW_TILE;
    const uint m = first_row + i % ROW_TILE;
    if (m < M && n < N)
      store_storage(y, y_offset + m * y_stride + n, partial[i][0]);
  }
#else
  for (uint c = 0; c < COLUMN_TILE; ++c)
    for (uint r = 0; r < ROW_TILE; ++r)
      if (first_row + r < M && first_column + c < N)
        store_storage(y, y_offset + (first_row + r) * y_stride + first_column + c, total(sums[c][r]));
#endif
}

#else

#ifndef TILE_ROWS
#define TILE_ROWS 64      // Rows of Y of a work-group
#endif
#ifndef TILE_COLUMNS
#define TILE_COLUMNS 64   // Columns of Y of a work-group
#endif
#ifndef TILE_DEPTH
#define TILE_DEPTH 32     // Depth of K in local memory, a multiple of 8
#endif
#ifndef MICRO_ROWS
#define MICRO_ROWS 4      // Rows of a micro-tile
#endif
#ifndef MICRO_COLUMNS
#define MICRO_COLUMNS 4   // Columns of a micro-tile, TILE_COLUMNS / MICRO_COLUMNS apart
#endif
#ifndef PADDING
#define PADDING 4         // Unused floats after each row in local memory, against bank conflicts; a multiple of 4
#endif

#define MICRO_ACROSS (TILE_COLUMNS / MICRO_COLUMNS)
#define MICRO_TILES (MICRO_ACROSS * (TILE_ROWS / MICRO_ROWS))
#define UNITS_DEEP (TILE_DEPTH / UNIT)
// A row in local memory, in float4.
#define PITCH ((TILE_DEPTH + PADDING) / 4)

static inline float8 load_local(__local const float4 *row, uint unit)
{
  return (float8)(row[2 * unit], row[2 * unit + 1]);
}

static inline void store_local(__local float4 *row, uint unit, float8 value)
{
  row[2 * unit] = value.lo;
  row[2 * unit + 1] = value.hi;
}

__kernel __attribute__((reqd_work_group_size(WORK_GROUP, 1, 1)))
void tilecl_quantized_matmul_tiles(
    __global const storage_t *x, ulong x_offset, ulong x_stride, __global const uint *codes,
    __global const float *scales, __global const float *offsets, __global storage_t *y, ulong y_offset,
    ulong y_stride, uint M, uint N, uint K, uint words_per_row, uint groups_per_row, uint group_shift)
{
  __local float4 x_tile[TILE_ROWS * PITCH];
  __local float4 w_tile[TILE_COLUMNS * PITCH];
  const uint lane = get_local_id(0);
  const uint first_column = get_group_id(0) * TILE_COLUMNS;
  const uint first_row = get_group_id(1) * TILE_ROWS;
  const uint rows = min(M - first_row, (uint)TILE_ROWS);

  sum_t sums[MICRO_TILES / WORK_GROUP][MICRO_ROWS][MICRO_COLUMNS];
  for (uint t = 0; t < MICRO_TILES / WORK_GROUP; ++t)
    for (uint r = 0; r < MICRO_ROWS; ++r)
      for (uint c = 0; c < MICRO_COLUMNS; ++c)
        sums[t][r][c] = (sum_t)(0.0f);

  for (uint depth = 0; depth < K; depth += TILE_DEPTH) {
    // Beyond K both tiles are zero; beyond M and N they repeat the last row, whose products are not stored.
    for (uint i = lane; i < TILE_ROWS * UNITS_DEEP; i += WORK_GROUP) {
      const uint r = i / UNITS_DEEP;
      const uint k = depth + i % UNITS_DEEP * UNIT;
      __global const storage_t *row = x + x_offset + min(first_row + r, M - 1) * x_stride;
      store_local(x_tile + r * PITCH, i % UNITS_DEEP, load_activations(row, k, K));
    }
    for (uint i = lane; i < TILE_COLUMNS * UNITS_DEEP; i += WORK_GROUP) {
      const uint c = i / UNITS_DEEP;
      const uint k = depth + i % UNITS_DEEP * UNIT;
      const size_t n = min(first_column + c, N - 1);
      const size_t group = n * groups_per_row + (k >> group_shift);
      float8 weights = (float8)(0.0f);
      if (k < K)
        weights = dequantize(
            load_codes(codes + n * words_per_row, k / UNIT), scales[group], SYMMETRIC ? 0.0f : offsets[group]);
      store_local(w_tile + c * PITCH, i % UNITS_DEEP, weights);
    }
#if WORK_GROUP > 1
    barrier(CLK_LOCAL_MEM_FENCE);
#endif
    for (uint t = 0; t < MICRO_TILES / WORK_GROUP; ++t) {
      const uint micro = lane + t * WORK_GROUP;
      const uint row = micro / MICRO_ACROSS * MICRO_ROWS;
      if (row < rows) {
        __local const float4 *x_rows = x_tile + row * PITCH;
        __local const float4 *w_rows = w_tile + micro % MICRO_ACROSS * PITCH;
        sum_t micro_sums[MICRO_ROWS][MICRO_COLUMNS];
#pragma unroll
        for (uint r = 0; r < MICRO_ROWS; ++r)
#pragma unroll
          for (uint c = 0; c < MICRO_COLUMNS; ++c)
            micro_sums[r][c] = sums[t][r][c];
        for (uint u = 0; u < UNITS_DEEP; ++u) {
          float8 activations[MICRO_ROWS];
#pragma unroll
          for (uint r = 0; r < MICRO_ROWS; ++r)
            activations[r] = load_local(x_rows + r * PITCH, u);
#pragma unroll
          for (uint c = 0; c < MICRO_COLUMNS; ++c) {
            const float8 weights = load_local(w_rows + c * MICRO_ACROSS * PITCH, u);
#pragma unroll
            for (uint r = 0; r < MICRO_ROWS; ++r)
              micro_sums[r][c] = multiply_add(weights, activations[r], micro_sums[r][c]);
          }
        }
#pragma unroll
        for (uint r = 0; r < MICRO_ROWS; ++r)
#pragma unroll
          for (uint c = 0; c < MICRO_COLUMNS; ++c)
            sums[t][r][c] = micro_sums[r][c];
      }
    }
#if WORK_GROUP > 1
    barrier(CLK_LOCAL_MEM_FENCE);
#endif
  }

  for (uint t = 0; t < MICRO_TILES / WORK_GROUP; ++t) {
    const uint micro = lane + t * WORK_GROUP;
    for (uint r = 0; r < MICRO_ROWS; ++r)
      for (uint c = 0; c < MICRO_COLUMNS; ++c) {
        const uint m = first_row + micro / MICRO_ACROSS * MICRO_ROWS + r;
        const uint n = first_column + micro % MICRO_ACROSS + c * MICRO_ACROSS;
        if (m < M && n < N)
          store_storage(y, y_offset + m * y_stride + n, total(sums[t][r][c]));
      }
  }
}

#endif
