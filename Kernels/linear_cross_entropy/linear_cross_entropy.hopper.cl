// Linear cross-entropy, forward, for NVIDIA Hopper, fp16 or bf16: what tilecl_linear_cross_entropy_partials of
// linear_cross_entropy.cl writes for targets that are classes, without class weights, order or tiles' maxima.
// linear_cross_entropy_steps.cl goes on from there.
//
//   z[n, v] = softcap(scale (E[n] . C[v] + bias[v]))       with SOFTCAP, with HAS_BIAS
//
//   partials[plane][split][n] over the columns v of a split: 0 the maximum of z, 1 the sum of exp(z - maximum), 2 the
//   target's z or -inf, PLANE_WEIGHTED with SMOOTHING the sum of z, PLANE_ARGMAX with ARGMAX the bits of the first v
//   whose z is largest.
//
// E is [N, D], C is [V, D], both with D contiguous; distances between rows are any multiples of 16 bytes, as are
// addresses; N, V and D are arbitrary. Both go through tensor maps (tilecl_product_maps, without C of that kernel).
//
// hopper/products.hopper.clh has the main loop: rows of its tiles are tokens, columns are of the vocabulary. An item is
// a tile of tokens and a split, whose columns a group walks tile by tile. Logits never leave the registers: each
// work-item has some columns of two rows for each block, and keeps their maxima and sums, which four work-items merge
// when the item ends. Infinite logits follow the formula's limits as in the portable kernel.
//
// Groups take every get_num_groups(0)-th item; bands of raster_rows tiles of tokens come one after the other, in a band
// split by split. So the tokens of a band, raster_rows * TILE_ROWS * D elements, should fit the cache.
//
// Work-group (WORK_ITEMS, 1, 1), one a multiprocessor. Local memory: STAGES steps of both operands,
// barriers.
//
// Tunables: those of the main loop.
//
// Preconditions: N, V, D in 1 ... 2^30, raster_rows at least 1; columns_per_split a multiple of TILE_COLUMNS, splits
// the least number with splits * columns_per_split >= V; no operand transposed; targets are classes or -1.
//
// Needs: ../hopper/instructions.hopper.clh
// Needs: ../hopper/tanh.hopper.clh
// Needs: ../hopper/products.hopper.clh
// Check: -D CONSUMERS=3 -D TILE_COLUMNS=256 -D SELF_FED=1 -D HAS_BIAS=1 -D SOFTCAP=1 -D SMOOTHING=1 -D ARGMAX=1
// Check: -D ROW_BLOCKS=2 -D TILE_COLUMNS=192 -D STAGES=4

#ifndef SCALED  // whether the scale is not 1
#define SCALED 1
#endif
#ifndef PLANE_WEIGHTED
#define PLANE_WEIGHTED 3
#endif
#ifndef PLANE_ARGMAX
#define PLANE_ARGMAX 4
#endif

#define LOG2_E 1.4426950408889634f
#define LOG_2 0.6931471805599453f
// Rows of a work-item, counted from its first one.
#define ROWS (2 * ROW_BLOCKS)
#define ROW_OF(r) (64 * ((r) / 2) + 8 * ((r) % 2))

#if HAS_BIAS
#define BIAS_PARAMETERS , __global const storage_t *biases, const ulong bias_offset
#define BIAS_PARAMETER , __global const storage_t *bias
#define BIAS_ARGUMENT , biases + bias_offset + first
#else
#define BIAS_PARAMETERS
#define BIAS_PARAMETER
#define BIAS_ARGUMENT
#endif
#if SOFTCAP
#define SOFTCAP_PARAMETER , const float softcap
#define SOFTCAP_ARGUMENT , softcap
#else
#define SOFTCAP_PARAMETER
#define SOFTCAP_ARGUMENT
#endif

// What has been seen of the columns of a row.
typedef struct {
  float maximum;
  float sum;  // of 2^(z log2 e - unit_of(maximum))
  float target_logit;
#if SMOOTHING
  float logit_sum;
#endif
#if ARGMAX
  int argmax;
#endif
} row_t;

// What exponents are taken relative to: 0 where inf - inf would make a NaN of a defined result.
static inline float reference_of(const float maximum)
{
  return isinf(maximum) ? 0.0f : maximum;
}

// What exponents are taken relative to, in powers of 2: a product that is rounded, and not fused into what follows, so
// that it is the same wherever it is taken.
static inline float unit_of(const float maximum)
{
  float unit;
  __asm("mul.rn.f32 %0, %1, %2;" : "=f"(unit) : "f"(reference_of(maximum)), "f"(LOG2_E));
  return unit;
}

static inline void start_row(row_t *row)
{
  row->maximum = -INFINITY;
  row->sum = 0.0f;
  row->target_logit = -INFINITY;
#if SMOOTHING
  row->logit_sum = 0.0f;
#endif
#if ARGMAX
  row->argmax = INT_MAX;
#endif
}

// Makes logits of a tile's products; `left` columns are there, counted from the work-item's first one.
static inline void finish_logits(float logits[SUMS], const int left, const float scale BIAS_PARAMETER SOFTCAP_PARAMETER)
{
#if HAS_BIAS
  // Eight lanes have the same columns: each loads an eighth of them for all.
  const uint lane = (uint)get_local_id(0) % 32;
  float loaded[CEIL_DIV(TILE_COLUMNS, 64)][2];
#pragma unroll
  for (int g = 0; g < CEIL_DIV(TILE_COLUMNS, 64); ++g)
#pragma unroll
    for (int e = 0; e < 2; ++e) {
      const int column = 64 * g + (int)(lane / 4) * 8 + e;
      loaded[g][e] = column < left ? load_storage(bias, column) : 0.0f;
    }
#pragma unroll
  for (int j = 0; j < SUMS / 4; ++j)
#pragma unroll
    for (int e = 0; e < 2; ++e) {
      const float own = as_float(from_lane(as_uint(loaded[j / 8][e]), j % 8 * 4 + lane % 4));
      logits[4 * j + e] += own;
      logits[4 * j + 2 + e] += own;
    }
#endif
#if SCALED
#pragma unroll
  for (int i = 0; i < SUMS; ++i)
    logits[i] *= scale;
#endif
#if SOFTCAP
  const float ratio = 1.0f / softcap;
  float largest = 0.0f;
#pragma unroll
  for (int i = 0; i < SUMS; ++i)
    largest = fmax(largest, fabs(logits[i]));
  if (any_lane(!(largest * ratio <= LONG_REACH))) {
#pragma unroll
    for (int i = 0; i < SUMS; ++i)
      logits[i] = capped(logits[i], ratio);
  } else {
    const long_fit_t fit = long_fit(ratio, 1.0f);
#pragma unroll
    for (int i = 0; i < SUMS; ++i)
      logits[i] *= fitted(&fit, logits[i]);
  }
#endif
}

// Takes a tile's logits of row r of two into what has been seen. `first` is the work-item's first column; `target` and
// `left` are counted from it.
static inline void take_logits(row_t *row, const float logits[SUMS], const int r, const int first, const uint target,
                               const int left)
{
  float tops[2] = {logits[2 * r], logits[2 * r + 1]};
#pragma unroll
  for (int j = 1; j < SUMS / 4; ++j)
#pragma unroll
    for (int e = 0; e < 2; ++e)
      tops[e] = fmax(tops[e], logits[4 * j + 2 * r + e]);
  const float top = fmax(tops[0], tops[1]);
  const float higher = fmax(row->maximum, top);
  const float unit = unit_of(higher);
  // A new maximum grows rare as tiles go by; the factor for an old one is exactly 1.
  if (higher > row->maximum) {
    row->sum = row->maximum == -INFINITY ? 0.0f : row->sum * fast_exp2(unit_of(row->maximum) - unit);
    row->maximum = higher;
#if ARGMAX
#pragma unroll
    for (int j = SUMS / 4 - 1; j >= 0; --j)
#pragma unroll
      for (int e = 1; e >= 0; --e)
        row->argmax = logits[4 * j + 2 * r + e] == higher ? first + 8 * j + e : row->argmax;
#endif
  }
  float sums[2] = {0.0f, 0.0f};
#pragma unroll
  for (int j = 0; j < SUMS / 4; ++j)
#pragma unroll
    for (int e = 0; e < 2; ++e)
      sums[e] += fast_exp2(fma(logits[4 * j + 2 * r + e], LOG2_E, -unit));
  row->sum += sums[0] + sums[1];
#if SMOOTHING
  float totals[2] = {0.0f, 0.0f};
#pragma unroll
  for (int j = 0; j < SUMS / 4; ++j)
#pragma unroll
    for (int e = 0; e < 2; ++e)
      totals[e] += 8 * j + e < left ? logits[4 * j + 2 * r + e] : 0.0f;
  row->logit_sum += totals[0] + totals[1];
#endif
  if (target < TILE_COLUMNS && target % 8 < 2) {
#pragma unroll
    for (int j = 0; j < SUMS / 4; ++j)
#pragma unroll
      for (int e = 0; e < 2; ++e)
        row->target_logit = target == (uint)(8 * j + e) ? logits[4 * j + 2 * r + e] : row->target_logit;
  }
}

// Makes the sum relative to the maximum itself: what rounding did to its unit is a factor near 1, 2^x = 1 + x log 2.
static inline void finish_row(row_t *row)
{
  const float rounding = fma(reference_of(row->maximum), LOG2_E, -unit_of(row->maximum));
  row->sum = fma(row->sum, -LOG_2 * rounding, row->sum);
}

// Adds what another lane has seen of the same row, both sums being relative to their maxima, or to 0 where those are
// infinite.
static inline void merge_row(row_t *row, const uint lanes)
{
  const float maximum = from_lane_xor(row->maximum, lanes);
  const float sum = from_lane_xor(row->sum, lanes);
  const float higher = fmax(row->maximum, maximum);
  const float shift = reference_of(higher);
  // A sum is relative to 0 where its maximum is infinite; an empty one is 0 and its factor exp(-inf) = 0 keeps it so.
  const float own_shift = row->maximum == INFINITY ? 0.0f : row->maximum;
  const float other_shift = maximum == INFINITY ? 0.0f : maximum;
#if ARGMAX
  const int argmax = as_int(from_lane_xor(as_float(row->argmax), lanes));
  row->argmax = maximum > row->maximum    ? argmax
                : maximum < row->maximum ? row->argmax
                                          : min(row->argmax, argmax);
#endif
  row->sum = row->sum * fast_exp2((own_shift - shift) * LOG2_E) + sum * fast_exp2((other_shift - shift) * LOG2_E);
  row->maximum = higher;
  row->target_logit = fmax(row->target_logit, from_lane_xor(row->target_logit, lanes));
#if SMOOTHING
  row->logit_sum += from_lane_xor(row->logit_sum, lanes);
#endif
}

__kernel __attribute__((reqd_work_group_size(WORK_ITEMS, 1, 1)))
void tilecl_linear_cross_entropy_partials_hopper(
    __global const uchar *maps, __global const int *targets, const int tokens, const int vocabulary,
    const int hidden_size, const int columns_per_split, const int splits, const int raster_rows, const float scale,
    __global float *partials BIAS_PARAMETERS SOFTCAP_PARAMETER)
{
  GROUPS_AT_ONCE(1);
  __local uchar memory[LOCAL_BYTES] __attribute__((aligned(1024)));
  const uint base = LOCAL_ADDRESS(memory);
  const int thread = (int)get_local_id(0);
  // The same in a whole warp, which the compiler has to know.
  const int warp = (int)from_first_lane((uint)thread / 32);
  const int warpgroup = warp / 4 - !SELF_FED;
  const work_t work = {(ulong)maps, CEIL_DIV(tokens, TILE_ROWS), splits, (uint)columns_per_split, (uint)vocabulary,
                       raster_rows, CEIL_DIV(hidden_size, STEP_DEPTH)};
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
    const int lane = thread % 32;
    const int own_row = warpgroup * OWN_ROWS + warp % 4 * 16 + lane / 4;
    const int own_column = 2 * (lane % 4);
    const ulong plane = (ulong)splits * tokens;
    float logits[ROW_BLOCKS][SUMS];
    ring_t ring = {0, 0};
    FOR_EACH_ITEM(number, work) {
      const item_t item = item_of(number, &work);
      const int first_row = item.row + own_row;
      row_t rows[ROWS];
      uint target[ROWS];
#pragma unroll
      for (int r = 0; r < ROWS; ++r) {
        const int token = min(first_row + ROW_OF(r), tokens - 1);
        target[r] = (uint)targets[token];
        start_row(&rows[r]);
      }
      for (uint column = item.column; column < item.end; column += TILE_COLUMNS) {
        release_stage(base, multiply(base, &ring, logits, a, b, &next, &work), &next, &work);
        const int first = (int)column + own_column;
        const int left = (int)(item.end - column) - own_column;
#pragma unroll
        for (int i = 0; i < ROW_BLOCKS; ++i) {
          finish_logits(logits[i], left, scale BIAS_ARGUMENT SOFTCAP_ARGUMENT);
          if (item.end - column < TILE_COLUMNS) {
#pragma unroll
            for (int k = 0; k < SUMS; ++k)
              if (8 * (k / 4) + k % 2 >= left)
                logits[i][k] = -INFINITY;
          }
#pragma unroll
          for (int r = 0; r < 2; ++r)
            take_logits(&rows[2 * i + r], logits[i], r, first, target[2 * i + r] - (uint)first, left);
        }
      }
#pragma unroll
      for (int r = 0; r < ROWS; ++r) {
        finish_row(&rows[r]);
        merge_row(&rows[r], 1);
        merge_row(&rows[r], 2);
        const int token = first_row + ROW_OF(r);
        if (lane % 4 == 0 && token < tokens) {
          __global float *at = partials + (ulong)item.split * tokens + token;
          at[0] = rows[r].maximum;
          at[plane] = rows[r].sum;
          at[2 * plane] = rows[r].target_logit;
#if SMOOTHING
          at[PLANE_WEIGHTED * plane] = rows[r].logit_sum;
#endif
#if ARGMAX
          at[PLANE_ARGMAX * plane] = as_float(rows[r].argmax);
#endif
        }
      }
    }
  }
}
