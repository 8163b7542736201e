// Linear cross-entropy, forward: the loss of a linear classifier without its N x V logits.
//
//   z[n, v] = sum_d E[n, d] C[v, d]        LSE[n] = log sum_v exp z[n, v]        loss[n] = LSE[n] - z[n, target[n]]
//
// E is [N, D], C is [V, D], both of storage_t with D contiguous and any distance between rows; targets are int32 [N].
// Products, sums and exponentials are fp32. Three kernels run one after the other on one queue:
//
//   tilecl_linear_cross_entropy_partials   grid (row tiles, splits). A work-group walks its share of the vocabulary
//       tile by tile; per tile, a matrix product through local memory leaves TILE_ROWS x TILE_COLUMNS logits in
//       registers, which at once enter each work-item's running maximum and sum of exponentials. Neither logits nor
//       locks touch global memory: a group writes one (maximum, sum, target's logit) a row to
//       partials[part][split][n], part = 0, 1, 2.
//   tilecl_linear_cross_entropy_combine    one work-item a token merges its splits in order: LSE[n] and loss[n].
//   tilecl_linear_cross_entropy_reduce     one work-group checks every target and adds the losses up in a fixed order.
//
// Work-group of partials: GROUP_COLUMNS x GROUP_ROWS work-items. A work-item owns STEPS x ITEM_ROWS rows of the tile
// and ITEM_VECTORS vectors of VECTOR_WIDTH columns. On a GPU, STEPS is 1 and the accumulators are registers; on a CPU
// one work-item is the group, and STEPS register tiles share each column tile that was brought into local memory.
// Local memory: max(TILE_ROWS * ROW_STRIDE + DEPTH * COLUMN_STRIDE, 3 * GROUP_COLUMNS * TILE_ROWS) floats.
//
// The target's logit comes from the same accumulators as the sum, so a loss is negative at most by rounding of the
// logarithm. Infinite logits follow the formula's limits: all -inf gives LSE -inf, any +inf gives LSE +inf. A token
// whose target equals ignore_index has loss 0 and its LSE all the same.
//
// Preconditions: N, V, D in 1...2^31 - 1; partials of 3 * splits * N floats; columns_per_split a multiple of
// TILE_COLUMNS with splits * columns_per_split >= V.

#ifndef VECTOR_WIDTH
#define VECTOR_WIDTH 4 // columns in one vector: 4, 8 or 16
#endif
#ifndef ITEM_VECTORS
#define ITEM_VECTORS 2 // vectors of columns of a work-item
#endif
#ifndef ITEM_ROWS
#define ITEM_ROWS 8 // rows of one register tile
#endif
#ifndef STEPS
#define STEPS 1 // register tiles of a work-item, one below the other
#endif
#ifndef GROUP_COLUMNS
#define GROUP_COLUMNS 16 // work-items along the vocabulary
#endif
#ifndef GROUP_ROWS
#define GROUP_ROWS 16 // work-items along the tokens
#endif
#ifndef DEPTH
#define DEPTH 16 // elements of D that are in local memory at a time, a multiple of 4
#endif
#ifndef REDUCE_ITEMS
#define REDUCE_ITEMS 256 // work-items of the reduction, a power of two
#endif

#define PASTE_(a, b) a##b
#define PASTE(a, b) PASTE_(a, b)
typedef PASTE(float, VECTOR_WIDTH) vector_t;
typedef PASTE(int, VECTOR_WIDTH) mask_t;

#define GROUP_ITEMS (GROUP_COLUMNS * GROUP_ROWS)
#define TILE_ROWS (GROUP_ROWS * STEPS * ITEM_ROWS)
#define COLUMN_VECTORS (GROUP_COLUMNS * ITEM_VECTORS)
#define TILE_COLUMNS (COLUMN_VECTORS * VECTOR_WIDTH)
// A pad of one vector keeps work-items that read neighbouring rows, or write neighbouring depths, off one memory bank.
#define PAD (GROUP_ITEMS > 1 ? 1 : 0)
#define ROW_STRIDE (DEPTH + 4 * PAD)
#define VECTOR_STRIDE (COLUMN_VECTORS + PAD)
#define COLUMN_STRIDE (VECTOR_STRIDE * VECTOR_WIDTH)
#define TILE_FLOATS (TILE_ROWS * ROW_STRIDE + DEPTH * COLUMN_STRIDE)
#define MERGE_FLOATS (3 * GROUP_COLUMNS * TILE_ROWS)
#define LOCAL_FLOATS (TILE_FLOATS > MERGE_FLOATS ? TILE_FLOATS : MERGE_FLOATS)
// Work-items that load one row of a tile together.
#define LOADERS (GROUP_ITEMS < DEPTH ? GROUP_ITEMS : DEPTH)

#if VECTOR_WIDTH == 4
#define LANES (int4)(0, 1, 2, 3)
#elif VECTOR_WIDTH == 8
#define LANES (int8)(0, 1, 2, 3, 4, 5, 6, 7)
#else
#define LANES (int16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
#endif

static inline float largest(vector_t v)
{
#if VECTOR_WIDTH == 16
  const float8 w = fmax(v.lo, v.hi);
  const float4 x = fmax(w.lo, w.hi);
#elif VECTOR_WIDTH == 8
  const float4 x = fmax(v.lo, v.hi);
#else
  const float4 x = v;
#endif
  const float2 y = fmax(x.lo, x.hi);
  return fmax(y.x, y.y);
}

static inline float total(vector_t v)
{
#if VECTOR_WIDTH == 16
  const float8 w = v.lo + v.hi;
  const float4 x = w.lo + w.hi;
#elif VECTOR_WIDTH == 8
  const float4 x = v.lo + v.hi;
#else
  const float4 x = v;
#endif
  return dot(x, (float4)(1.0f));
}

// What exponents are taken relative to: the maximum, or 0 where inf - inf would make a NaN of a defined result.
static inline float shift_of(float maximum)
{
  return isinf(maximum) ? 0.0f : maximum;
}

// Merges the sum of exponentials `sum2` relative to `maximum2` into (maximum, sum).
static inline void merge(float *maximum, float *sum, float maximum2, float sum2)
{
  const float m = fmax(*maximum, maximum2);
  const float shift = shift_of(m);
  // A sum is relative to 0 where its maximum is infinite; an empty one is 0 and its factor exp(-inf) = 0 keeps it so.
  const float shift1 = *maximum == INFINITY ? 0.0f : *maximum;
  const float shift2 = maximum2 == INFINITY ? 0.0f : maximum2;
  *sum = *sum * exp(shift1 - shift) + sum2 * exp(shift2 - shift);
  *maximum = m;
}

// Brings `rows` rows of DEPTH elements, starting at element `depth`, from `source` into local memory as floats: row r,
// element k to tile[r * row_stride + k * depth_stride]. Rows past the end repeat the last one, whose results nobody
// uses; elements past `size` are 0, so that they add nothing to a sum.
static inline void load_tile(
    __local float *tile, uint row_stride, uint depth_stride, uint rows, __global const storage_t *source, ulong stride,
    uint first, uint last, uint depth, uint size, uint item)
{
  const uint filled = min((uint)DEPTH, size - depth);
  for (uint r = item / LOADERS; r < rows; r += GROUP_ITEMS / LOADERS) {
    const size_t from = (size_t)min(first + r, last) * stride + depth;
    __local float *to = tile + r * row_stride;
    if (filled == DEPTH) {
      for (uint k = item % LOADERS; k < DEPTH; k += LOADERS)
        to[k * depth_stride] = load_storage(source, from + k);
    } else {
      for (uint k = item % LOADERS; k < DEPTH; k += LOADERS)
        to[k * depth_stride] = k < filled ? load_storage(source, from + k) : 0.0f;
    }
  }
}

__kernel __attribute__((reqd_work_group_size(GROUP_COLUMNS, GROUP_ROWS, 1))) void tilecl_linear_cross_entropy_partials(
    __global const storage_t *embeddings, ulong embedding_offset, ulong embedding_stride,
    __global const storage_t *classifier, ulong classifier_offset, ulong classifier_stride,
    __global const int *targets, ulong target_offset, ulong target_stride,
    uint tokens, uint vocabulary, uint hidden_size, uint columns_per_split, __global float *partials)
{
  __local vector_t memory[(LOCAL_FLOATS + VECTOR_WIDTH - 1) / VECTOR_WIDTH];
  __local vector_t *column_tile = memory;
  __local float *row_tile = (__local float *)(memory + DEPTH * VECTOR_STRIDE);

  const uint group_column = get_local_id(0);
  const uint group_row = get_local_id(1);
  const uint item = group_row * GROUP_COLUMNS + group_column;
  const uint first_row = get_group_id(0) * TILE_ROWS;
  const uint split = get_group_id(1);
  // 2^31 - 1 columns and one tile more still fit 32 bits.
  const uint begin = split * columns_per_split;
  const uint end = min(begin + columns_per_split, vocabulary);
  // Register tiles that hold a token, the same number for every work-item: a short batch skips the others.
  const uint step_rows = GROUP_ROWS * ITEM_ROWS;
  const uint steps = STEPS == 1 ? 1 : min((uint)STEPS, (tokens - first_row + step_rows - 1) / step_rows);
  embeddings += embedding_offset;
  classifier += classifier_offset;
  targets += target_offset;

  float maximum[STEPS * ITEM_ROWS], sum[STEPS * ITEM_ROWS], target_logit[STEPS * ITEM_ROWS];
  for (uint r = 0; r < STEPS * ITEM_ROWS; ++r) {
    maximum[r] = -INFINITY;
    sum[r] = 0.0f;
    target_logit[r] = -INFINITY;
  }

  for (uint column = begin; column < end; column += TILE_COLUMNS) {
    vector_t logits[STEPS][ITEM_ROWS][ITEM_VECTORS];
    for (uint s = 0; s < steps; ++s)
      for (uint r = 0; r < ITEM_ROWS; ++r)
        for (uint v = 0; v < ITEM_VECTORS; ++v)
          logits[s][r][v] = 0.0f;

    for (uint depth = 0; depth < hidden_size; depth += DEPTH) {
      load_tile(row_tile, ROW_STRIDE, 1, steps * step_rows, embeddings, embedding_stride, first_row, tokens - 1, depth,
          hidden_size, item);
      load_tile((__local float *)column_tile, 1, COLUMN_STRIDE, TILE_COLUMNS, classifier, classifier_stride, column,
          vocabulary - 1, depth, hidden_size, item);
      barrier(CLK_LOCAL_MEM_FENCE);
      for (uint s = 0; s < steps; ++s) {
        __local const float *rows = row_tile + (s * GROUP_ROWS + group_row) * ITEM_ROWS * ROW_STRIDE;
        vector_t z[ITEM_ROWS][ITEM_VECTORS];
#pragma unroll
        for (uint r = 0; r < ITEM_ROWS; ++r)
#pragma unroll
          for (uint v = 0; v < ITEM_VECTORS; ++v)
            z[r][v] = logits[s][r][v];
#pragma unroll 4
        for (uint k = 0; k < DEPTH; ++k) {
          vector_t c[ITEM_VECTORS];
#pragma unroll
          for (uint v = 0; v < ITEM_VECTORS; ++v)
            c[v] = column_tile[k * VECTOR_STRIDE + v * GROUP_COLUMNS + group_column];
#pragma unroll
          for (uint r = 0; r < ITEM_ROWS; ++r)
#pragma unroll
            for (uint v = 0; v < ITEM_VECTORS; ++v)
              z[r][v] = fma((vector_t)(rows[r * ROW_STRIDE + k]), c[v], z[r][v]);
        }
#pragma unroll
        for (uint r = 0; r < ITEM_ROWS; ++r)
#pragma unroll
          for (uint v = 0; v < ITEM_VECTORS; ++v)
            logits[s][r][v] = z[r][v];
      }
      barrier(CLK_LOCAL_MEM_FENCE);
    }

    for (uint s = 0; s < steps; ++s) {
#pragma unroll
      for (uint r = 0; r < ITEM_ROWS; ++r) {
        const uint own = s * ITEM_ROWS + r;
        const uint row = min(first_row + (s * GROUP_ROWS + group_row) * ITEM_ROWS + r, tokens - 1);
        vector_t top = -INFINITY;
#pragma unroll
        for (uint v = 0; v < ITEM_VECTORS; ++v) {
          const int left = (int)(end - column) - (int)((v * GROUP_COLUMNS + group_column) * VECTOR_WIDTH);
          logits[s][r][v] = select((vector_t)(-INFINITY), logits[s][r][v], (mask_t)(LANES < left));
          top = fmax(top, logits[s][r][v]);
        }
        const float higher = fmax(maximum[own], largest(top));
        const float shift = shift_of(higher);
        // A new maximum grows rare as tiles go by; the factor for an old one is exactly 1.
        if (higher > maximum[own]) {
          sum[own] *= exp(maximum[own] - shift);
          maximum[own] = higher;
        }
        vector_t terms = 0.0f;
#pragma unroll
        for (uint v = 0; v < ITEM_VECTORS; ++v)
          terms += exp(logits[s][r][v] - shift);
        sum[own] += total(terms);

        const uint hit = (uint)targets[row * target_stride] - column;
        if (hit < TILE_COLUMNS && hit / VECTOR_WIDTH % GROUP_COLUMNS == group_column) {
          vector_t found = -INFINITY;
#pragma unroll
          for (uint v = 0; v < ITEM_VECTORS; ++v) {
            const int lane = (int)hit - (int)((v * GROUP_COLUMNS + group_column) * VECTOR_WIDTH);
            found = fmax(found, select((vector_t)(-INFINITY), logits[s][r][v], (mask_t)(LANES == lane)));
          }
          target_logit[own] = largest(found);
        }
      }
    }
  }

  // Every barrier of the loop lies behind: the tiles' memory now takes the work-items' results.
  __local float *results = (__local float *)memory;
  for (uint s = 0; s < STEPS; ++s) {
    for (uint r = 0; r < ITEM_ROWS; ++r) {
      const uint at = group_column * TILE_ROWS + (s * GROUP_ROWS + group_row) * ITEM_ROWS + r;
      results[at] = maximum[s * ITEM_ROWS + r];
      results[at + GROUP_COLUMNS * TILE_ROWS] = sum[s * ITEM_ROWS + r];
      results[at + 2 * GROUP_COLUMNS * TILE_ROWS] = target_logit[s * ITEM_ROWS + r];
    }
  }
  barrier(CLK_LOCAL_MEM_FENCE);
  const size_t plane = (size_t)get_num_groups(1) * tokens;
  for (uint r = item; r < TILE_ROWS && first_row + r < tokens; r += GROUP_ITEMS) {
    float m = results[r], s = results[r + GROUP_COLUMNS * TILE_ROWS], t = results[r + 2 * GROUP_COLUMNS * TILE_ROWS];
    for (uint g = 1; g < GROUP_COLUMNS; ++g) {
      const uint at = g * TILE_ROWS + r;
      merge(&m, &s, results[at], results[at + GROUP_COLUMNS * TILE_ROWS]);
      t = fmax(t, results[at + 2 * GROUP_COLUMNS * TILE_ROWS]);
    }
    const size_t at = (size_t)split * tokens + first_row + r;
    partials[at] = m;
    partials[plane + at] = s;
    partials[2 * plane + at] = t;
  }
}

__kernel void tilecl_linear_cross_entropy_combine(
    __global const float *partials, uint tokens, uint splits, __global const int *targets, ulong target_offset,
    ulong target_stride, int ignore_index, __global float *lse, __global float *losses)
{
  const size_t n = get_global_id(0);
  if (n >= tokens)
    return;
  const size_t plane = (size_t)splits * tokens;
  float m = -INFINITY, s = 0.0f, t = -INFINITY;
  for (uint split = 0; split < splits; ++split) {
    const size_t at = (size_t)split * tokens + n;
    merge(&m, &s, partials[at], partials[plane + at]);
    t = fmax(t, partials[2 * plane + at]);
  }
  const float shift = shift_of(m);
  lse[n] = log(s) + shift;
  // log(s) - (t - shift) keeps the digits of a small loss beside large logits, which LSE - t would round away.
  losses[n] = targets[target_offset + n * target_stride] == ignore_index ? 0.0f : log(s) - (t - shift);
}

// Adds x to the unevaluated sum high + low without losing a bit of it to rounding (Knuth's two-sum).
static inline void add_exactly(float *high, float *low, float x)
{
  const float old = *high;
  const float new = old + x;
  const float part = new - old;
  *low += (old - (new - part)) + (x - part);
  *high = new;
}

// status: the first token whose target is neither ignore_index nor in 0..<V, or N if there is none; that target's bits;
// how many tokens are not ignored.
// result[0], unless reduction is 0: the losses' sum (1) or their mean over tokens not ignored (2); 0 if none is left.
__kernel __attribute__((reqd_work_group_size(REDUCE_ITEMS, 1, 1))) void tilecl_linear_cross_entropy_reduce(
    __global const float *losses, uint tokens, uint vocabulary, __global const int *targets, ulong target_offset,
    ulong target_stride, int ignore_index, int reduction, __global float *result, __global uint *status)
{
  __local float highs[REDUCE_ITEMS], lows[REDUCE_ITEMS];
  __local uint firsts[REDUCE_ITEMS], counts[REDUCE_ITEMS];
  const uint item = get_local_id(0);
  float high = 0.0f, low = 0.0f;
  uint first = tokens, count = 0;
  for (size_t n = item; n < tokens; n += REDUCE_ITEMS) {
    const int target = targets[target_offset + n * target_stride];
    if (target != ignore_index) {
      ++count;
      if ((uint)target >= vocabulary)
        first = min(first, (uint)n);
      if (reduction != 0)
        add_exactly(&high, &low, losses[n]);
    }
  }
  highs[item] = high;
  lows[item] = low;
  firsts[item] = first;
  counts[item] = count;
  barrier(CLK_LOCAL_MEM_FENCE);
  for (uint half_size = REDUCE_ITEMS / 2; half_size > 0; half_size /= 2) {
    if (item < half_size) {
      float h = highs[item], l = lows[item] + lows[item + half_size];
      add_exactly(&h, &l, highs[item + half_size]);
      highs[item] = h;
      lows[item] = l;
      firsts[item] = min(firsts[item], firsts[item + half_size]);
      counts[item] += counts[item + half_size];
    }
    barrier(CLK_LOCAL_MEM_FENCE);
  }
  if (item == 0) {
    status[0] = firsts[0];
    status[1] = firsts[0] < tokens ? (uint)targets[target_offset + (size_t)firsts[0] * target_stride] : 0;
    status[2] = counts[0];
    // An infinite sum leaves a NaN in its rounding error.
    const float sum = isfinite(highs[0]) ? highs[0] + lows[0] : highs[0];
    if (reduction != 0)
      result[0] = counts[0] == 0 ? 0.0f : reduction == 2 ? sum / (float)counts[0] : sum;
  }
}
